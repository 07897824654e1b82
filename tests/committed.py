"""Files as they are committed, whatever a run has made of them since.

Results in the working tree are those of the last run: on another processor their last digits differ
from the committed ones. What the project says of itself is compared with what is committed.
"""

import io
import tarfile
from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.core.history import git
from tests.toy import ROOT


def committed(folder: Path, *paths: str) -> Path:
    """Write files and folders of the current commit below a folder, and return it.

    Where the project is no git repository of its own, such as in an unpacked archive, nothing is
    committed, and the test is skipped.
    """
    try:
        top, _ = git(ROOT, "rev-parse", "--show-toplevel", "HEAD").decode().splitlines()
    except UserError as error:
        pytest.skip(f"nothing is committed here: {error}")
    if Path(top).resolve() != ROOT.resolve():
        pytest.skip(f"nothing is committed here: the repository is {top}")
    with tarfile.open(fileobj=io.BytesIO(git(ROOT, "archive", "HEAD", *paths))) as archive:
        archive.extractall(folder, filter="data")
    return folder
