"""Networks that are called by a function."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.models.called import called


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.last = nn.Embedding(10, 4), nn.Linear(6, 3)

    def forward(self, *, ids: Tensor, extra: Tensor) -> dict[str, Tensor]:
        return {"logits": self.last(torch.cat([self.table(ids).mean(1), extra], dim=1))}


def call(network: nn.Module, batch: Any) -> Tensor:
    result: Tensor = network(**batch)["logits"]
    return result


def batch(size: int = 5) -> dict[str, Tensor]:
    return {"ids": torch.randint(10, (size, 7)), "extra": torch.randn(size, 2)}


def test_a_packed_batch_gives_what_the_batch_gives() -> None:
    network, given = Two(), batch()
    packed = called(network, call, batch())
    assert torch.equal(packed(packed.pack(given)), call(network, given))
    assert packed.example.shape == (2, 1, 1, 9)
    twin = copy.deepcopy(packed).around(network)
    assert torch.equal(twin(packed.pack(given)), call(network, given))


def test_classes_of_a_loader_are_packed_beside_the_images() -> None:
    given = [torch.randn(5, 6), torch.arange(5)]
    packed = called(nn.Linear(6, 3), lambda network, batch: network(batch[0]), given)
    assert packed.pack(given).shape == (5, 1, 1, 7)


def test_numbers_that_would_be_rounded_are_refused() -> None:
    given = {"ids": torch.full((3, 7), 2**24 + 1), "extra": torch.zeros(3, 2)}
    with pytest.raises(UserError, match="whole numbers beyond"):
        called(Two(), call, given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"ids": torch.zeros(3, 7), "extra": torch.zeros(4, 2)}, "hold 3, 4 examples"),
        ({"ids": 3}, "tensors alone"),
        ({"ids": torch.zeros(3, 8), "extra": torch.zeros(3, 2)}, "another form"),
        ([torch.zeros(3, 7), torch.zeros(3, 2)], "another form"),
    ],
)
def test_other_batches_are_refused(given: Any, text: str) -> None:
    with pytest.raises(UserError, match=text):
        called(Two(), call, batch()).pack(given)
