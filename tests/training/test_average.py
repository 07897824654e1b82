import pytest
import torch

from neumeta.training.average import update_average


def test_average_follows_its_definition() -> None:
    average = [torch.tensor([1.0])]
    update_average(average, [torch.tensor([3.0])], 0.75)
    assert average[0].item() == pytest.approx(0.75 * 1 + 0.25 * 3)
