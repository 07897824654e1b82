"""Neural Metamorphosis: train once, then take a network of any width out of one file."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neumeta.morph import MorphableNetwork, load

__all__ = ["MorphableNetwork", "__version__", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import torch only when it is needed, so that light modules stay light.

    Args:
        name: A public name of this package.

    Returns:
        The object.

    Raises:
        AttributeError: If there is no such name.
    """
    if name in {"MorphableNetwork", "load"}:
        from neumeta import morph

        return getattr(morph, name)
    raise AttributeError(f"module 'neumeta' has no attribute {name!r}")
