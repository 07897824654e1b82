import math

import torch

from neumeta.inr.encoding import FourierEncoding


def test_features_are_those_of_the_definition() -> None:
    encoding = FourierEncoding(identity_octaves=1, index_octaves=3, size_octaves=2)
    coordinate = torch.rand(6, generator=torch.Generator().manual_seed(0))
    octaves = [1, 3, 3, 1, 2, 2]
    phases = [
        2.0**f * math.pi * coordinate[column] for column in range(6) for f in range(octaves[column])
    ]
    expected = torch.cat([coordinate, torch.stack(phases).sin(), torch.stack(phases).cos()])
    torch.testing.assert_close(encoding(coordinate[None])[0], expected)
    assert encoding.features == len(expected)


def test_blurred_features_are_means_over_a_gaussian_as_wide_as_the_cell() -> None:
    """Against a numerical integral; the variance is that of the uniform cell, width^2 / 12."""
    encoding = FourierEncoding(identity_octaves=1, index_octaves=4, size_octaves=1, blur=1.5)
    coordinate, cells = torch.tensor([0.3, 0.4, 0.7, 0.2, 0.5, 0.6]), torch.tensor([0.25, 0.0])
    steps = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    share = torch.exp(-(steps**2) / 2)
    share /= share.sum()
    near = coordinate.double().repeat(len(steps), 1)
    near[:, 1] += steps * 1.5 * 0.25 / 12**0.5
    sharp = FourierEncoding(identity_octaves=1, index_octaves=4, size_octaves=1)
    expected = (sharp(near) * share[:, None]).sum(dim=0).float()
    torch.testing.assert_close(encoding(coordinate[None], cells)[0], expected)


def test_a_cell_says_nothing_without_a_blur() -> None:
    encoding = FourierEncoding(identity_octaves=1, index_octaves=4, size_octaves=1)
    coordinate = torch.rand((2, 6), generator=torch.Generator().manual_seed(0))
    assert torch.equal(encoding(coordinate, torch.tensor([0.5, 0.5])), encoding(coordinate))


def test_equal_octaves_give_the_input_dimension_of_the_paper() -> None:
    assert FourierEncoding(16, 16, 16).features == 198
