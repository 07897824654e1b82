"""Where raw data lies on this machine."""

import os
from pathlib import Path

from neumeta.data.params import DataParams

DATA_ROOT_VARIABLE = "NEUMETA_DATA_ROOT"
DEFAULT_ROOT = "data/raw"


def data_root(params: DataParams) -> Path:
    """Choose the folder of a dataset.

    Args:
        params: Its section.

    Returns:
        $NEUMETA_DATA_ROOT (else data/raw), and below it the parameter `root`, which may also be
        an absolute path.
    """
    return Path(os.environ.get(DATA_ROOT_VARIABLE) or DEFAULT_ROOT) / (params.root or "")
