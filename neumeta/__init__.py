"""Neural Metamorphosis: train once, then take a network of any width out of one file."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neumeta.methods.metamorphosis.loading import load
    from neumeta.methods.metamorphosis.morph import MorphableNetwork
    from neumeta.models.stored_network import StoredNetwork
    from neumeta.permute.arrangement import Arrangement
    from neumeta.permute.smooth import smooth
    from neumeta.permute.trace import trace_cliques

__all__ = [
    "Arrangement",
    "MorphableNetwork",
    "StoredNetwork",
    "__version__",
    "load",
    "smooth",
    "trace_cliques",
]
__version__ = "0.1.0"
_HOMES = {
    "Arrangement": "neumeta.permute.arrangement",
    "MorphableNetwork": "neumeta.methods.metamorphosis.morph",
    "StoredNetwork": "neumeta.models.stored_network",
    "load": "neumeta.methods.metamorphosis.loading",
    "smooth": "neumeta.permute.smooth",
    "trace_cliques": "neumeta.permute.trace",
}


def __getattr__(name: str) -> Any:
    """Import torch only when it is needed, so that light modules stay light.

    Args:
        name: A public name of this package.

    Returns:
        The object.

    Raises:
        AttributeError: If there is no such name.
    """
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'neumeta' has no attribute {name!r}")
