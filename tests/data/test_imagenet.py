"""Trees as ImageNet is published: many classes, a validation split for a test set, crops."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neumeta.core.errors import UserError
from neumeta.data import folder as reading
from neumeta.data.images import decode
from neumeta.data.sources import load_dataset
from tests.data.pictures import encoded, folder_params

IDS = ("n01440764", "n01443537", "n01484850")
PER_CLASS = {"train": 20, "val": 4}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Splits train and val of folders by id, pictures of unlike sizes."""
    random = np.random.default_rng(0)
    for split, count in PER_CLASS.items():
        for label, name in enumerate(IDS):
            place = tmp_path / "imagenet" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                shape = (int(random.integers(20, 40)), int(random.integers(20, 40)), 3)
                pixels = np.full(shape, 80 * label, dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{name}_{number}.JPEG")
    return tmp_path / "imagenet"


def test_the_published_tree_is_read(tree: Path) -> None:
    (tree / "ids.txt").write_text("".join(f"{name}\n" for name in reversed(IDS)))
    settings = {"image_size": 18, "crop": 16, "val_is_test": True, "classes": "ids.txt"}
    dataset = load_dataset("x", folder_params(tree, val_fraction=0.2, **settings))
    assert dataset.classes == tuple(reversed(IDS)) and dataset.image_shape == (3, 16, 16)
    sizes = {split: dataset.size(split) for split in dataset.images}
    assert sizes == {"train": 48, "val": 12, "test": 12}
    gray = dataset.images["test"].float().mean((1, 2, 3))
    expected = (80 * (2 - dataset.labels["test"])).float()
    torch.testing.assert_close(gray, expected, atol=2, rtol=0)


def test_a_split_may_lack_classes_that_the_file_names(tree: Path) -> None:
    (tree / "ids.txt").write_text("\n".join((*IDS, "n09999999")))
    dataset = load_dataset(
        "x", folder_params(tree, image_size=16, classes="ids.txt", val_is_test=True)
    )
    assert len(dataset.classes) == 4 and int(dataset.labels["train"].max()) == 2


def test_no_more_pictures_are_decoded_than_the_limit_asks_for(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    plain: Callable[..., np.ndarray] = decode

    def counting(*args: object) -> np.ndarray:
        decoded.append(1)
        return plain(*args)

    monkeypatch.setattr(reading, "decode", counting)
    settings = {"image_size": 16, "val_is_test": True, "limit": 8, "val_fraction": 0.5}
    dataset = load_dataset("x", folder_params(tree, **settings))
    assert {split: dataset.size(split) for split in dataset.images} == {
        "train": 8,
        "val": 8,
        "test": 8,
    }
    assert len(decoded) <= 2 * 8 + 1 + 8 + 1
    again = load_dataset("x", folder_params(tree, **settings))
    assert again.content_sha256() == dataset.content_sha256()


def test_a_crop_is_the_centre_of_the_picture_as_it_is_or_scaled() -> None:
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[5:15, 15:25] = 200
    data = encoded(Image.fromarray(pixels), "PNG")
    assert (decode(data, crop=10) == 200).all()
    scaled = decode(data, 10, crop=10)
    assert scaled.shape == (10, 10, 3) and scaled[5, 5, 0] > 190 and scaled[0, 0, 0] == 0
    with pytest.raises(ValueError, match="crop needs 30 or more"):
        decode(data, crop=30)


@pytest.mark.parametrize(
    ("names", "text"),
    [(None, "cannot read the names of classes"), ("one\none\n", "each once"), ("", "each once")],
)
def test_a_file_of_classes_must_be_one(tree: Path, names: str | None, text: str) -> None:
    if names is not None:
        (tree / "ids.txt").write_text(names)
    with pytest.raises(UserError, match=text):
        load_dataset("x", folder_params(tree, image_size=16, classes="ids.txt", val_is_test=True))


def test_a_published_validation_split_must_be_there_to_be_the_test_set(tree: Path) -> None:
    (tree / "val").rename(tree / "test")
    with pytest.raises(UserError, match="val_is_test needs the splits train and val alone"):
        load_dataset("x", folder_params(tree, image_size=16, val_is_test=True))
