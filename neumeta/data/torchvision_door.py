"""The one door to torchvision: other modules import `datasets`, `models`, `transforms` from here.

The Linux wheel of torchvision is built against CUDA. Beside a CPU-only torch its compiled operators
do not load, and `import torchvision` then dies with "operator torchvision::nms does not exist",
because it attaches shape rules to operators that nobody declared. Declaring their schemas first is
enough: data sets, transforms and models work; box operations raise torchvision's own error when
called. Where the compiled operators load, they bring their schemas and nothing is declared here.
"""

from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec

import torch

SCHEMAS = {
    name: f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    for name in ("nms", "qnms")
}


def operators_load() -> bool:
    """Whether the compiled operators of the installed torchvision load beside this torch.

    Finds and loads the file as torchvision itself does; loading it twice is harmless.

    Returns:
        False if there is no such file, or if it was built for another torch.
    """
    package = find_spec("torchvision")  # locates the package without running it
    folders = (package.submodule_search_locations if package else None) or []
    for folder in folders:
        finder = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES))
        library = finder.find_spec("_C")
        if library is not None and library.origin is not None:
            try:
                torch.ops.load_library(library.origin)
            except OSError:
                return False
            return True
    return False


def declare_operators() -> torch.library.Library | None:
    """Declare the operators that torchvision needs in order to be imported, if they are missing.

    Returns:
        The library that holds the declarations: they vanish with it, so keep it. None if the
        compiled operators load or the schemas exist already.
    """
    if operators_load():
        return None
    missing = [name for name in SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    if not missing:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in missing:
        library.define(SCHEMAS[name])
    return library


DECLARED = declare_operators()  # held for as long as the process lives

from torchvision import datasets, models, transforms  # noqa: E402  (the declarations come first)

__all__ = ["DECLARED", "datasets", "models", "transforms"]
