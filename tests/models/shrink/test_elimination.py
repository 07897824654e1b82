"""The order of channels: against trying every channel at every step."""

import torch
from torch import Tensor

from neumeta.models.shrink.elimination import Reading, eliminated


def matrices(channels: int, seed: int) -> tuple[Tensor, Tensor]:
    """A second moment and a weighing."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(200, channels, generator=generator).double()
    samples = mixed @ torch.randn(channels, channels, generator=generator).double()
    weight = torch.randn(50, channels, generator=generator).double()
    return samples.T @ samples / len(samples), weight.T @ weight


def loss(reading: Reading, kept: list[int]) -> float:
    """tr(G R), computed from its definition."""
    index = reading.places[kept].flatten()
    across = reading.moment[index]
    rest = reading.moment - across.T @ torch.linalg.solve(across[:, index], across)
    return float((reading.weighing * rest).sum())


def brute_force(readings: list[Reading], keep: int) -> list[int]:
    """Try every unit at every step."""
    left, dropped = list(range(len(readings[0].places))), list[int]()
    while len(left) > keep:

        def without(unit: int) -> float:
            return sum(loss(reading, [u for u in left if u != unit]) for reading in readings)

        dropped.append(min(left, key=without))
        left.remove(dropped[-1])
    return dropped


def test_one_reader() -> None:
    reading = Reading(*matrices(20, 0), torch.arange(20)[:, None])
    assert eliminated([reading], 3) == brute_force([reading], 3)


def test_losses_of_two_readers_are_added_up() -> None:
    places = torch.arange(12)[:, None]
    first, second = (Reading(*matrices(12, seed), places) for seed in (1, 2))
    both = eliminated([first, second], 2)
    assert both == brute_force([first, second], 2)
    assert both != eliminated([first], 2)


def test_units_of_several_places_go_as_a_whole() -> None:
    places = torch.randperm(24, generator=torch.Generator().manual_seed(0)).reshape(8, 3)
    reading = Reading(*matrices(24, 3), places)
    assert eliminated([reading], 2) == brute_force([reading], 2)


def test_units_of_a_part_of_what_is_read() -> None:
    moment, weighing = matrices(10, 4)
    part = Reading(moment, weighing, torch.tensor([[2], [5], [7], [8]]))
    index = torch.tensor([2, 5, 7, 8])
    alone = Reading(moment[index][:, index], weighing[index][:, index], torch.arange(4)[:, None])
    assert eliminated([part], 1) == brute_force([alone], 1)


def test_a_dead_channel_and_a_double_go_first() -> None:
    moment, weighing = matrices(8, 5)
    moment[7], moment[:, 7] = moment[3], moment[:, 3]
    moment[7, 7] = moment[3, 3]
    moment[1], moment[:, 1] = 0.0, 0.0
    gone = eliminated([Reading(moment, weighing, torch.arange(8)[:, None])], 6)
    assert gone in ([1, 3], [1, 7], [3, 1], [7, 1])
