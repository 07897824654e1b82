"""Orders laid out along axes: applied, undone, saved."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from neumeta.core.errors import UserError
from neumeta.tracing.arrangement import Arrangement
from neumeta.tracing.groups import Group, Member

TENSORS = {
    "a.weight": torch.arange(12.0).reshape(4, 3),
    "a.bias": torch.arange(4.0),
    "b.weight": torch.arange(16.0).reshape(2, 8),  # two places for every unit of a
    "other": torch.arange(5.0),
}
PAIRS = tuple((2 * unit, 2 * unit + 1) for unit in range(4))
GROUP = Group(
    "a",
    (
        *Group.of_axes("a", (("a.weight", 0), ("a.bias", 0)), 4).members,
        Member("b.weight", 1, PAIRS),
    ),
)
ORDERS = {"a": [2, 0, 3, 1]}


def test_units_move_with_all_their_places() -> None:
    moved = Arrangement.of_orders([GROUP], ORDERS, TENSORS).apply(TENSORS)
    assert moved["a.bias"].tolist() == [2, 0, 3, 1]
    assert moved["a.weight"][:, 0].tolist() == [6, 0, 9, 3]
    assert moved["b.weight"][0].tolist() == [4, 5, 0, 1, 6, 7, 2, 3]
    assert moved["other"] is TENSORS["other"]
    assert TENSORS["a.bias"].tolist() == [0, 1, 2, 3]


def test_disjoint_groups_and_blocks_of_one_axis() -> None:
    """Channels within their blocks first, then whole blocks: what lies inside moves along."""
    tensors = {"w": torch.arange(6.0)}
    left = Group("left", (Member("w", 0, ((0,), (1,), (2,))),))
    right = Group("right", (Member("w", 0, ((3,), (4,), (5,))),))
    blocks = Group("both", (Member("w", 0, ((0, 1, 2), (3, 4, 5))),), "block")
    orders = {"left": [1, 0, 2], "right": [2, 1, 0], "both": [1, 0]}
    found = Arrangement.of_orders([left, right, blocks], orders, tensors)
    assert found.apply(tensors)["w"].tolist() == [5, 4, 3, 1, 0, 2]


def test_orders_can_be_undone_and_saved(tmp_path: Path) -> None:
    there = Arrangement.of_orders([GROUP], ORDERS, TENSORS)
    there.save(tmp_path / "orders.safetensors")
    loaded = Arrangement.load(tmp_path / "orders.safetensors")
    back = loaded.inverse().apply(there.apply(TENSORS))
    assert all(torch.equal(back[name], value) for name, value in TENSORS.items())
    again = Arrangement.of_orders([GROUP], ORDERS, TENSORS)
    again.save(tmp_path / "again.safetensors")
    files = [tmp_path / "orders.safetensors", tmp_path / "again.safetensors"]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 1, 2, 2], [0, 1, 2, 4]])
def test_no_order_of_the_group(order: list[int]) -> None:
    with pytest.raises(UserError, match=r"order of 'a' must hold each of 0\.\.3 once"):
        Arrangement.of_orders([GROUP], {"a": order}, TENSORS)


def test_tensors_that_do_not_fit() -> None:
    found = Arrangement.of_orders([GROUP], ORDERS, TENSORS)
    with pytest.raises(UserError, match=r"moves 'b.weight', which is not among"):
        found.apply({name: TENSORS[name] for name in ("a.weight", "a.bias")})
    with pytest.raises(UserError, match=r"needs 4 places on axis 0 of 'a.bias'"):
        found.apply({**TENSORS, "a.bias": torch.zeros(5)})
    with pytest.raises(UserError, match=r"group 'a' needs axis 0 of 'a.weight'"):
        Arrangement.of_orders([GROUP], ORDERS, {})


def test_files_that_hold_no_arrangement(tmp_path: Path) -> None:
    path = tmp_path / "orders.safetensors"
    Arrangement({("w", 0): torch.tensor([0, 0, 1])}).save(path)
    with pytest.raises(UserError, match="axis 0 of 'w' holds no permutation"):
        Arrangement.load(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="no neumeta header"):
        Arrangement.load(path)
    with pytest.raises(UserError, match="no such checkpoint"):
        Arrangement.load(tmp_path / "absent")


def test_arrangements_compare_by_what_they_move() -> None:
    one = Arrangement({("a", 0): torch.tensor([1, 0, 2]), ("b", 1): torch.tensor([1, 0])})
    same = Arrangement({("b", 1): torch.tensor([1, 0]), ("a", 0): torch.tensor([1, 0, 2])})
    assert one == same and one.inverse().inverse() == one
    for other in (
        Arrangement({("a", 0): torch.tensor([1, 0, 2])}),
        Arrangement({("a", 0): torch.tensor([2, 0, 1]), ("b", 1): torch.tensor([1, 0])}),
        Arrangement({("a", 1): torch.tensor([1, 0, 2]), ("b", 1): torch.tensor([1, 0])}),
        Arrangement({("a", 0): torch.tensor([1, 0]), ("b", 1): torch.tensor([1, 0])}),
        3,
    ):
        assert one != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_an_arrangement_is_saved_over_nothing_else(tmp_path: Path) -> None:
    own = Arrangement({("a", 0): torch.tensor([1, 0])})
    for name in ("mine.txt", "net.safetensors"):
        (tmp_path / name).write_bytes(b"of a user")
        with pytest.raises(UserError, match="is there, and is not a checkpoint of kind 'arrang"):
            own.save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"of a user"
    for _ in range(2):
        own.save(tmp_path / "orders.safetensors")
    assert Arrangement.load(tmp_path / "orders.safetensors") == own
