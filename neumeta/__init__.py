"""Neural Metamorphosis: train once, then take a network of any width out of one file."""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neumeta.methods.metamorphosis.loading import load
    from neumeta.methods.metamorphosis.metamorphose import metamorphose
    from neumeta.methods.metamorphosis.morph import MorphableNetwork
    from neumeta.models.called import called
    from neumeta.models.shrink.shrink import shrink
    from neumeta.models.stored_network import StoredNetwork
    from neumeta.permute.smooth import smooth
    from neumeta.tracing.arrangement import Arrangement
    from neumeta.tracing.trace import trace_cliques

__all__ = [
    "Arrangement",
    "MorphableNetwork",
    "StoredNetwork",
    "__version__",
    "called",
    "load",
    "metamorphose",
    "shrink",
    "smooth",
    "trace_cliques",
]
__version__ = "0.1.0"
_HOMES = {
    "Arrangement": "neumeta.tracing.arrangement",
    "MorphableNetwork": "neumeta.methods.metamorphosis.morph",
    "StoredNetwork": "neumeta.models.stored_network",
    "called": "neumeta.models.called",
    "load": "neumeta.methods.metamorphosis.loading",
    "metamorphose": "neumeta.methods.metamorphosis.metamorphose",
    "shrink": "neumeta.models.shrink.shrink",
    "smooth": "neumeta.permute.smooth",
    "trace_cliques": "neumeta.tracing.trace",
}


def _refuse_other_python() -> None:
    """End a command that another Python than the project's was asked to run, in one line."""
    needed = ("torch", "numpy", "pydantic", "safetensors", "pandas", "tqdm")
    lacking = ", ".join(name for name in needed if find_spec(name) is None)
    if lacking or sys.version_info < (3, 11):
        version = ".".join(map(str, sys.version_info[:2]))
        sys.exit(
            f"error: `python` is {sys.executable} here (version {version}"
            f"{f', without {lacking}' if lacking else ''}), not the Python of this project; "
            "use `make report`, or activate its environment, for example `. .venv/bin/activate`"
        )


# As dvc.yaml starts the stages, `python -m neumeta...`: until the module is found it is called so.
if sys.argv[:1] == ["-m"]:
    _refuse_other_python()


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
