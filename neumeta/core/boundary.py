"""Where users come in from Python: what they give is looked at there, not in a type checker."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def called_by_users(function: F) -> F:
    """Mark a function that tells wrong types itself, in one line.

    Checks of types at run time, as in the tests, then leave it alone; static ones see its types.

    Args:
        function: Whose arguments may be anything.

    Returns:
        The same.
    """
    function.__no_type_check__ = True  # type: ignore[attr-defined]
    return function
