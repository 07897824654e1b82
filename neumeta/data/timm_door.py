"""The one door to timm, an optional extra: imported when it is asked for, after torchvision.

timm imports torchvision itself, which beside a CPU-only torch works only once its door was passed.
"""

from typing import Any

from neumeta.core.errors import UserError
from neumeta.data import torchvision_door

_EXTRA = "neumeta[timm]"


def open_timm() -> Any:
    """Import timm.

    Returns:
        The package.

    Raises:
        UserError: If it is not installed.
    """
    assert torchvision_door.models  # timm finds torchvision imported, by its own door
    try:
        import timm
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise UserError(f'timm is not installed; pip install "{_EXTRA}"') from error
    return timm
