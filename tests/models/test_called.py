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
