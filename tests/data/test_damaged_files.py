"""Files with bytes altered, lost or put in between: read, or refused in one line; nothing else."""

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from neumeta.core.errors import UserError
from neumeta.data.sources import load_dataset
from neumeta.models.architectures import build_for
from neumeta.models.lenet import LeNet
from neumeta.models.weights_file import parse_weights
from tests.bad_inputs.damage import damaged, pictures
from tests.data.pictures import folder_params, write_images

pytestmark = pytest.mark.filterwarnings("error")
EXAMPLES = 150


def outcomes(contents: list[bytes], use: Callable[[bytes], object]) -> dict[str, int]:
    """Try damaged contents; whatever is raised but one line fails the test."""
    chance, counts = random.Random(0), {"taken": 0, "refused": 0}
    for _ in range(EXAMPLES):
        try:
            use(damaged(chance.choice(contents), chance))
            counts["taken"] += 1
        except UserError as error:
            assert str(error).isprintable(), error
            counts["refused"] += 1
    return counts


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "webp", "gif", "bmp", "tga", "jp2", "tif", "tiff"]
)
def test_images(suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path)

    def use(content: bytes) -> None:
        (tmp_path / f"train/cat/x.{suffix}").write_bytes(content)
        load_dataset("x", folder_params(tmp_path, image_size=8))

    assert outcomes([pictures()[suffix]], use)["refused"] > EXAMPLES / 10
    assert capfd.readouterr().err == "", "a library writes of its own"


def test_zips(tmp_path: Path) -> None:
    write_images(tmp_path / "tree")
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((tmp_path / "tree").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path / "tree"))
    content = (tmp_path / "x.zip").read_bytes()

    def use(content: bytes) -> None:
        (tmp_path / "y.zip").write_bytes(content)
        load_dataset("x", folder_params(tmp_path / "y.zip"))

    assert outcomes([content], use)["refused"] > EXAMPLES / 2


def test_weights() -> None:
    torch.manual_seed(0)
    state = LeNet(4, in_channels=1, classes=3, head="pooled").state_dict()
    contents = []
    for value, new in ((state, True), (state, False), ({"model": state, "n": np.float64(1)}, True)):
        stream = io.BytesIO()
        torch.save(value, stream, _use_new_zipfile_serialization=new)
        contents.append(stream.getvalue())

    def use(content: bytes) -> None:
        build_for("lenet", parse_weights(content, "x"), "x")

    assert outcomes(contents, use)["refused"] > EXAMPLES / 2
