"""Frozen-trunk features and in-memory augmentation."""

from typing import Any

import torch

from neumeta.data.augmentation import crop_and_flip
from neumeta.data.dataset import Dataset, SplitName
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.parts import apply_part
from neumeta.models.registry import make_family
from neumeta.training.features import feature_split, features
from tests.toy import at


def colour_dataset() -> Dataset:
    generator = torch.Generator().manual_seed(3)
    names: tuple[SplitName, ...] = ("train", "val", "test")
    images = {
        name: torch.randint(0, 256, (12, 3, 16, 16), generator=generator).to(torch.uint8)
        for name in names
    }
    labels = {name: torch.arange(12) % 3 for name in names}
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    return Dataset("toy", "classification", images, labels, ("a", "b", "c"), 255, mean, std)


def small_resnet(scope: str = "last_block") -> Family:
    settings: dict[str, Any] = {"name": "cifar_resnet", "depth": 20, "scope": scope}
    settings |= {"base_width": 64, "min_width": 1, "max_width": 64}
    return make_family(settings, colour_dataset().input_spec())


def test_no_shift_and_no_flip_change_nothing_and_shifts_bring_in_zeros() -> None:
    images = colour_dataset().images["train"].clamp(min=1)
    same = crop_and_flip(images, pad=0, flip=False, generator=torch.Generator())
    assert torch.equal(same, images)
    moved = crop_and_flip(images, pad=2, flip=True, generator=torch.Generator().manual_seed(0))
    assert moved.shape == images.shape and moved.dtype == torch.uint8
    assert (moved == 0).any()
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    for before, after in zip(padded, moved, strict=True):
        crops = [
            side[:, row : row + 16, column : column + 16]
            for side in (before, before.flip(2))
            for row in range(5)
            for column in range(5)
        ]
        assert any(torch.equal(after, crop) for crop in crops)


def test_crops_and_flips_are_all_drawn() -> None:
    image = torch.zeros(400, 1, 8, 8, dtype=torch.uint8)
    image[:, :, 4, 3] = 255
    moved = crop_and_flip(image, pad=1, flip=True, generator=torch.Generator().manual_seed(0))
    places = {tuple(found[1:].tolist()) for found in moved.nonzero()}
    assert places == {(0, row, column) for row in (3, 4, 5) for column in (2, 3, 4, 5)}


def test_features_are_the_trunk_once_and_without_gradients() -> None:
    family, dataset = small_resnet(), colour_dataset()
    base = parameters_of(family.build(at(64)))
    split = dataset.split("val")
    made = feature_split(family, base, split)
    wanted = apply_part(family.skeleton(at(64)), base, split.inputs, "trunk")
    assert (made.inputs - wanted).norm() < 1e-5 * wanted.norm()
    assert not made.inputs.requires_grad and not made.inputs.is_inference()
    low = features(family, base, split.inputs, torch.bfloat16)
    assert low.dtype == torch.bfloat16
    assert (low.float() - made.inputs).norm() < 0.02 * made.inputs.norm()
    assert not torch.equal(low.float(), made.inputs)
