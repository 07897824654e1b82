"""The raw files that a data set is made of: what its stage depends on, wherever they lie."""

from pathlib import Path

from neumeta.data.entries import raw_files
from neumeta.data.params import DataParams
from neumeta.data.roots import data_root

# Folders of torchvision, by the name of the data set.
_FOLDERS = {
    "mnist": "MNIST/raw",
    "fashion_mnist": "FashionMNIST/raw",
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
}
_PACKED = frozenset({".gz", ".html"})  # downloads that were unpacked, and words about them


def input_files(params: DataParams) -> list[tuple[str, Path]] | None:
    """List the raw files of a data set.

    Args:
        params: Its section.

    Returns:
        Name below its folder, and path, of each; empty for what comes with a package, None where
        this machine has none of them.

    Raises:
        UserError: If a folder cannot be listed.
    """
    if params.source == "sklearn_digits":
        return []
    root = data_root(params)
    if params.source == "folder":
        return raw_files(root) if root.exists() else None
    folder = root / _FOLDERS[str(params.name)]
    files = [path for path in folder.glob("*") if path.is_file() and path.suffix not in _PACKED]
    return [(path.name, path) for path in files] or None
