"""What is done in other steps gives what torch gives."""

import pytest
import torch
import torch.nn.functional as F

from neumeta.tracing.rewrite import listed, pad_circular, pad_packed
from tests.small_networks import noise


@pytest.mark.parametrize("pad", [(1, 2), (2, 0, 1, 1), (-1, 2, 0, -1), (0, 0, 3, 3)])
def test_circular_padding(pad: tuple[int, ...]) -> None:
    image = noise(2, 3, 4, 5) if len(pad) == 4 else noise(2, 3, 5)
    assert torch.equal(pad_circular(image, pad), F.pad(image, pad, mode="circular"))


@pytest.mark.parametrize(("batch_first", "total"), [(True, 4), (False, 4), (True, 7)])
def test_packed_sequences(batch_first: bool, total: int) -> None:
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        noise(3, 4, 2), torch.tensor([4, 2, 1]), batch_first=True
    )
    theirs, lengths = torch.nn.utils.rnn.pad_packed_sequence(
        packed, batch_first=batch_first, padding_value=-1.0, total_length=total
    )
    ours, own = pad_packed(packed.data, packed.batch_sizes, batch_first, -1.0, total)
    assert torch.equal(ours, theirs) and torch.equal(own, lengths)


def test_lists() -> None:
    numbers = noise(2, 3)
    assert listed(numbers) == numbers.tolist()
    assert listed(torch.tensor(2)) == 2
