"""What `preprocess` takes: raw images of the data set, and nothing that only looks like them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from neumeta.core.errors import UserError
from neumeta.data.pixels import normalise, preprocessed

MEAN, STD = [0.5, 0.4, 0.3], [0.1, 0.2, 1.0]
SPEC = {"image_shape": [3, 8, 10], "pixel_max": 255, "mean": MEAN, "std": STD}
GRAY = {"image_shape": [1, 8, 8], "pixel_max": 16, "mean": [0.5], "std": [0.5]}


def images(*shape: int, most: int = 255) -> Tensor:
    made = torch.randint(0, most + 1, shape, generator=torch.Generator().manual_seed(0))
    made.flatten()[:2] = torch.tensor([0, most])
    return made.to(torch.uint8)


RAW = images(4, 3, 8, 10)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int16, torch.int64, torch.float32, torch.half]
)
def test_raw_images_of_any_type_are_normalised_alike(dtype: torch.dtype) -> None:
    wanted = torch.empty(4, 3, 8, 10)
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        wanted[:, channel] = (RAW[:, channel] / 255 - mean) / std
    found = preprocessed(RAW.to(dtype), SPEC)
    assert found.dtype == torch.float32
    assert torch.allclose(found, wanted, atol=1e-5)
    assert torch.equal(found, normalise(RAW, 255, MEAN, STD))


def test_dark_and_empty_batches_are_images() -> None:
    black = torch.zeros(2, 3, 8, 10)
    assert torch.equal(preprocessed(black, SPEC), normalise(black, 255, MEAN, STD))
    assert preprocessed(RAW[:0], SPEC).shape == (0, 3, 8, 10)
    assert preprocessed(torch.empty(2, 3, 8, 10, device="meta"), SPEC).is_meta


WRONG: dict[str, tuple[Any, str]] = {
    "floats of 0 to 1": (RAW / 255, "in 0 to 1; must be raw, 0 to 255; multiply images of 0 to 1"),
    "floats of -1 to 1": (RAW / 127.5 - 1, "in -1 to 1; .*normalised already"),
    "normalised": (normalise(RAW, 255, MEAN, STD), "must be raw, 0 to 255; .*normalised already"),
    "normalised twice": (preprocessed(RAW, SPEC) * 9, "normalised already"),
    "16 bits": (RAW.int() * 257, r"pixels lie in 0 to 6\.554e\+04; must be raw, 0 to 255"),
    "not a number": (RAW.float().where(RAW != 0, torch.nan), "NaN or infinity"),
    "infinite": (RAW.float().where(RAW != 255, torch.inf), "NaN or infinity"),
    "bool": (RAW > 9, r"torch.bool; must be pixels, numbers of 0 to 255"),
    "complex": (RAW.to(torch.complex64), "complex64; must be pixels"),
    "channels last": (
        RAW.permute(0, 2, 3, 1),
        r"channels come first: images.permute\(0, 3, 1, 2\)",
    ),
    "one image": (RAW[0], r"\(3, 8, 10\); must be \(n, 3, 8, 10\).*images?\[None\]"),
    "one, channels last": (RAW[0].permute(1, 2, 0), r"image.permute\(2, 0, 1\)\[None\]"),
    "another size": (images(4, 3, 16, 20), r"\(4, 3, 16, 20\); must be \(n, 3, 8, 10\)"),
    "turned": (RAW.transpose(2, 3), r"\(4, 3, 10, 8\); must be \(n, 3, 8, 10\)"),
    "gray": (RAW[:, :1], r"\(4, 1, 8, 10\)"),
    "with alpha": (images(4, 4, 8, 10), r"\(4, 4, 8, 10\)"),
    "flat": (RAW.flatten(1), r"\(4, 240\)"),
    "a number": (torch.tensor(3.0), r"\(\)"),
    "a list": (RAW.tolist(), "are a list; must be a torch tensor"),
    "numpy": (RAW.numpy(), "are a ndarray; must be a torch tensor"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_raw_images_is_refused_with_what_is_expected(name: str) -> None:
    wrong, told = WRONG[name]
    with pytest.raises(UserError, match=told) as caught:
        preprocessed(wrong, SPEC)
    assert "\n" not in str(caught.value)


def test_the_range_is_that_of_the_data_set() -> None:
    """scikit-learn's digits end at 16: pictures of 0 to 255 would be nonsense there."""
    with pytest.raises(UserError, match="in 0 to 255; must be raw, 0 to 16; multiply by 16 /"):
        preprocessed(images(2, 1, 8, 8), GRAY)
    with pytest.raises(UserError, match=r"add the axis of channels: images\[:, None\]"):
        preprocessed(images(2, 8, 8, most=16), GRAY)
    with pytest.warns(UserWarning, match="were these images of 0 to 1"):
        preprocessed(images(2, 1, 8, 8, most=1), GRAY)
    assert preprocessed(images(2, 1, 8, 8, most=16), GRAY).shape == (2, 1, 8, 8)
