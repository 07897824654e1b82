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


def test_equal_octaves_give_the_input_dimension_of_the_paper() -> None:
    assert FourierEncoding(16, 16, 16).features == 198
