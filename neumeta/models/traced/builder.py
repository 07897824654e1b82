"""Networks by a text: of torchvision, of timm, or of a function of one's own."""

import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from neumeta.core.errors import UserError
from neumeta.data.timm_door import open_timm
from neumeta.data.torchvision_door import models

Build = Callable[[], nn.Module]
_FORMS = "torchvision:NAME, timm:NAME or package.module:function"


def builder(text: str, options: Mapping[str, Any] | None = None) -> Build:
    """Find what builds a network.

    Args:
        text: `torchvision:NAME`, `timm:NAME`, or `package.module:function`, a callable that
            returns a network; modules in the current directory are found.
        options: Arguments of the builder by name, such as `num_classes`.

    Returns:
        A function without arguments that returns a new network with initial weights, in evaluation
        mode. It raises a UserError where the builder fails, or returns something else.

    Raises:
        UserError: If there is no such builder.
    """
    kind, colon, name = text.partition(":")
    if not (kind and colon and name):
        raise UserError(f"builder {text!r} must be {_FORMS}{_meant(text)}")
    known = {"torchvision": _of_torchvision, "timm": _of_timm}
    make = known[kind](name) if kind in known else _of_module(text, kind, name)
    given = dict(options or {})

    def build() -> nn.Module:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # builders warn of their initial weights
                network = make(**given)
        except Exception as error:  # whatever a builder says of its options
            raise UserError(f"{text}: building it fails: {_told(error)}") from error
        if not isinstance(network, nn.Module):
            raise UserError(f"{text}: must return a torch.nn.Module, not {type(network).__name__}")
        return network.eval()

    return build


def _of_torchvision(name: str) -> Callable[..., Any]:
    names = [found for found in models.list_models() if not found.startswith("quantized_")]
    if name not in names:
        raise UserError(f"torchvision has no network {name!r}{_near(name, names)}")

    def make(**options: Any) -> Any:
        if "weights_backbone" not in options and name in models.list_models(
            module=models.segmentation
        ):
            options["weights_backbone"] = None  # which would be downloaded
        return models.get_model(name, **{"weights": None, **options})

    return make


def _of_timm(name: str) -> Callable[..., Any]:
    timm = open_timm()
    if name.partition(".")[0] not in (names := timm.list_models()):
        raise UserError(f"timm has no network {name!r}{_near(name, names)}")

    def make(**options: Any) -> Any:
        return timm.create_model(name, **{"pretrained": False, **options})

    return make


def _of_module(text: str, module: str, name: str) -> Callable[..., Any]:
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        raise UserError(f"builder {text!r} must be {_FORMS}{_meant(name)}")
    try:
        with _current_directory():
            found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise UserError(
                f"{text}: there is no module {module!r}, neither installed nor in the current "
                f"directory; a builder is {_FORMS}"
            ) from error
        raise UserError(f"{text}: importing {module!r} fails: {_told(error)}") from error
    except Exception as error:  # whatever its code says
        raise UserError(f"{text}: importing {module!r} fails: {_told(error)}") from error
    if not hasattr(found, name):
        public = [known for known, value in vars(found).items() if callable(value)]
        raise UserError(f"{text}: module {module!r} has no {name!r}{_near(name, public)}")
    make = getattr(found, name)
    if not callable(make):
        raise UserError(
            f"{text}: must be a function that returns a network, not {type(make).__name__}"
        )
    assert callable(make)
    return make


@contextmanager
def _current_directory() -> Iterator[None]:
    """Let modules of the current directory be found first."""
    here = os.getcwd()
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(here)


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3)
    return f"; did you mean {', '.join(map(repr, near))}?" if near else ""


def _meant(name: str) -> str:
    known = name in models.list_models()
    return f"; did you mean 'torchvision:{name}'?" if known else ""


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
