import torch
from hypothesis import given
from hypothesis import strategies as st

from neumeta.permute.variation import (
    tensor_variation,
    total_variation,
    variation_along,
)


def test_values_by_hand() -> None:
    weight = torch.tensor([[0.0, 1.0], [3.0, -1.0]])
    assert variation_along(weight, 0) == 3 + 2
    assert variation_along(weight, 1) == 1 + 4
    assert tensor_variation(weight) == 10
    assert tensor_variation(torch.tensor([1.0, 4.0, 2.0])) == 5  # a bias has one axis


def test_kernel_positions_are_summed_and_kernel_axes_do_not_count() -> None:
    weight = torch.zeros(2, 1, 3, 3)
    weight[1] = torch.arange(9.0).view(1, 3, 3)
    assert tensor_variation(weight) == 36


def test_both_conventions() -> None:
    total = total_variation({"a": torch.tensor([0.0, 2.0]), "b": torch.tensor([5.0, 1.0])})
    assert (total.sum, total.per_tensor) == (6, 3)


@given(st.integers(2, 7), st.integers(2, 7), st.integers(0, 1000))
def test_variation_along_an_axis_ignores_the_order_of_the_other(m: int, n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(m, n, generator=generator)
    rows, columns = (torch.randperm(size, generator=generator) for size in (m, n))
    assert torch.isclose(
        torch.tensor(variation_along(weight, 1)), torch.tensor(variation_along(weight[rows], 1))
    )
    assert torch.isclose(
        torch.tensor(variation_along(weight, 0)),
        torch.tensor(variation_along(weight[:, columns], 0)),
    )


def test_diagonal_variation_is_not_axis_aligned() -> None:
    def diagonal(weight: torch.Tensor) -> float:
        return (weight[1:, 1:] - weight[:-1, :-1]).abs().sum().item()

    weight = torch.eye(3)
    assert diagonal(weight) != diagonal(weight[[1, 0, 2]])
