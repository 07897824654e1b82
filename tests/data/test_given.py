"""Data sets out of what a program holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from neumeta.core.errors import UserError
from neumeta.data.given import given_dataset

IMAGES = torch.randn(40, 3, 8, 8)
LABELS = torch.arange(40) % 4


def test_tensors_are_taken_as_the_network_takes_them() -> None:
    found = given_dataset(IMAGES, seed=1)
    assert {split: found.size(split) for split in found.images} == {
        "train": 36,
        "val": 4,
        "test": 4,
    }
    assert found.classes == () and (found.labels["train"] == -1).all()
    together = torch.cat([found.split("train").inputs, found.split("val").inputs])
    assert sorted(together.sum((1, 2, 3)).tolist()) == sorted(IMAGES.sum((1, 2, 3)).tolist())


def test_a_loader_gives_images_and_classes() -> None:
    loader = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=7)
    found = given_dataset(loader, count=20)
    assert found.size("train") + found.size("val") == 20
    pairs = {
        round(float(image.sum()), 4): int(label)
        for image, label in zip(IMAGES, LABELS, strict=True)
    }
    inputs, labels = found.split("train").inputs, found.labels["train"]
    assert [pairs[round(float(image.sum()), 4)] for image in inputs] == labels.tolist()


def test_the_normalisation_of_tensors_is_told_and_taken_back() -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    found = given_dataset(IMAGES, mean=mean, std=std)
    assert (found.pixel_max, found.mean, found.std) == (255, mean, std)
    pixels = found.images["train"]
    expected = (pixels / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(found.split("train").inputs, expected)
    whole = torch.cat([found.split("train").inputs, found.split("val").inputs])
    assert abs(float(whole.sum() - IMAGES.sum())) < 1e-2


def test_a_folder_of_pictures_is_read(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(20):
            pixels = generator.integers(0, 255, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    found = given_dataset(tmp_path, image_size=8)
    assert (found.classes, found.image_shape) == (("cat", "dog"), (3, 8, 8))
    turned = given_dataset(tmp_path, image_size=8, classes=("dog", "cat"))
    assert turned.classes == ("dog", "cat")
    assert torch.equal(turned.images["train"], found.images["train"])
    assert torch.equal(turned.labels["train"], 1 - found.labels["train"])
    assert given_dataset(tmp_path, image_size=8, count=12).size("train") == 12
    with pytest.raises(UserError, match="classes are cat, bird; the folder has cat, dog"):
        given_dataset(tmp_path, image_size=8, classes=("cat", "bird"))
    with pytest.raises(UserError, match="image_size: Input should be"):
        given_dataset(tmp_path, image_size=0)


@pytest.mark.parametrize(
    ("images", "text"),
    [
        ("nowhere", "no such folder"),
        (3, "images are a int"),
        (torch.zeros(4, 3, 8), "a batch is .*numbers with a fraction"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.uint8), "a batch is"),
        ([], "no batch came"),
        (torch.zeros(1, 3, 8, 8), "two or more are needed"),
    ],
)
def test_what_holds_no_images_is_refused(images: object, text: str) -> None:
    with pytest.raises(UserError, match=text):
        given_dataset(images)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"mean": (0.5,) * 3}, "mean and std go together"),
        ({"mean": (0.5,) * 3, "std": (0.2, 0.0, 0.2)}, "std holds 0; must be above 0"),
        ({"mean": 0.5, "std": 0.2}, "mean is 0.5; must have one number"),
        ({"count": -1}, "count is -1"),
        ({"mean": (0.5,) * 3, "std": (20.0,) * 3}, "by this mean and std their pixels are"),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        given_dataset(IMAGES, **settings)


def test_classes_are_whole_numbers_and_images_finite() -> None:
    with pytest.raises(UserError, match="must be whole numbers"):
        given_dataset([(IMAGES, LABELS.float())])
    with pytest.raises(UserError, match="not finite"):
        given_dataset(IMAGES / 0)


def test_one_number_a_channel() -> None:
    with pytest.raises(UserError, match="one number for each of 3 channels"):
        given_dataset(IMAGES, mean=(0.5,), std=(0.5,))
