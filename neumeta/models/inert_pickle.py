"""Reading a file of `torch.save` so that none of its code runs: what it names stays a name.

torch's reader of weights calls only what it is told to be safe. Here every other name in the file
is given to it as an empty class of ours, so that settings, counters and whole modules that lie
beside the weights are in nobody's way. A name of the operating system's modules is still refused.
"""

import io
import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

_DEEP = 64  # modules within modules; a pickle may hold itself
_PICKLES_OF_OLD_FORMAT = 4  # magic number, protocol, facts of the system, the object


class Inert:
    """Stands for an object of a class that is not loaded: it keeps what it was given, no more."""

    state: Any = None

    def __new__(cls, *args: Any, **words: Any) -> "Inert":
        """Take anything.

        Args:
            *args: What the class itself would have been given.
            **words: Likewise.

        Returns:
            A new object, which has looked at none of it.
        """
        return super().__new__(cls)

    def __init__(self, *args: Any, **words: Any) -> None:
        """Leave all of it alone; see `__new__`."""

    def __setstate__(self, state: Any) -> None:
        """Keep the attributes that the file gives.

        Args:
            state: Usually a mapping.
        """
        self.state = state

    def tensors(self, prefix: str = "") -> dict[str, Tensor]:
        """Read this object as a pickled module.

        Args:
            prefix: Its place in the module around it, with a dot at the end.

        Returns:
            What its `state_dict` would hold, by name; nothing where it was no module.
        """
        state = self.state if isinstance(self.state, Mapping) else {}
        passing = state.get("_non_persistent_buffers_set") or ()
        found = {
            f"{prefix}{name}": value
            for kind in ("_parameters", "_buffers")
            for name, value in _items(state.get(kind))
            if isinstance(value, Tensor) and name not in passing
        }
        for name, inner in _items(state.get("_modules")):
            if isinstance(inner, Inert) and prefix.count(".") < _DEEP:
                found |= inner.tensors(f"{prefix}{name}.")
        return found


def load_inert(content: bytes) -> Any:
    """Read what `torch.save` wrote, tensors and NumPy arrays as they are, all else inert.

    Args:
        content: Of the file.

    Returns:
        What lies in it.

    Raises:
        Exception: Whatever torch stumbles over in a file of another kind.
    """
    known = _known()
    names = set(_named_in(content)) - set(known)  # torch's own list counts before this one
    stubs = [(type("Inert", (Inert,), {"named": name}), name) for name in sorted(names)]
    with torch.serialization.safe_globals([*((v, k) for k, v in known.items()), *stubs]):
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _known() -> dict[str, Any]:
    """What is real beside torch's own list: containers, and NumPy's arrays and scalars."""
    reconstruct, scalar = np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]
    found: dict[str, Any] = {"collections.defaultdict": _plain_dict, "builtins.list": list}
    for package in ("numpy.core", "numpy._core"):  # of NumPy 1 and 2
        found[f"{package}.multiarray._reconstruct"] = reconstruct
        found[f"{package}.multiarray.scalar"] = scalar
    found |= {"numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype}
    return found | {f"numpy.dtypes.{name}": getattr(np.dtypes, name) for name in np.dtypes.__all__}


def _plain_dict(*args: Any) -> dict[Any, Any]:
    return {}


def _named_in(content: bytes) -> Iterator[str]:
    """Names of classes and functions that a file asks for, by disassembly alone."""
    stream = io.BytesIO(content)
    pickles = _PICKLES_OF_OLD_FORMAT
    if content[:2] == b"PK":
        with zipfile.ZipFile(stream) as archive:
            inner = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            stream, pickles = io.BytesIO(archive.read(inner[0]) if inner else b""), len(inner[:1])
    for _ in range(pickles):
        for code, value, _ in pickletools.genops(stream):
            if code.name == "GLOBAL":
                module, name = str(value).split(" ", 1)
                module, name = NAME_MAPPING.get(
                    (module, name), (IMPORT_MAPPING.get(module, module), name)
                )
                yield f"{module}.{name}"


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []
