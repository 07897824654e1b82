import json

import pytest
import torch
from torch import nn

from neumeta.core.errors import UserError
from neumeta.models.axes import Axis, Point
from neumeta.models.family import Family
from neumeta.models.params import _KINDS, FamilyParams
from neumeta.models.registry import FAMILIES
from tests.toy import at, toy_family


class Stack(nn.Module):
    """A family of two axes: hidden channels, and how many blocks there are."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Linear(5, 7)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(7, width), nn.ReLU(), nn.Linear(width, 7)) for _ in range(depth)
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        value = self.first(inputs)
        for block in self.blocks:
            value = value + block(value)
        return value


def stack_family() -> Family:
    axes = (Axis("width", 2, 8, 4, "channels"), Axis("depth", 1, 3, 2, "blocks"))
    spec = {"image_shape": [5], "classes": list("abcdefg")}
    return Family(
        "stack", {"name": "stack"}, spec, axes, lambda at: Stack(at["width"], at["depth"])
    )


def test_points_are_values() -> None:
    point = Point.of({"width": 32, "depth": 9})
    assert point == Point.of({"depth": 9, "width": 32}) != Point.of({"width": 32})
    assert len({point, point.moved(depth=9), point.moved(depth=8)}) == 2
    assert (point["width"], point["depth"]) == (32, 9)
    assert (str(point), str(at(32))) == ("depth 9, width 32", "width 32")
    assert Point.of(json.loads(json.dumps(point.values()))) == point
    assert max(at(9), at(16), at(10)) == at(16)
    with pytest.raises(KeyError):
        at(3)["depth"]


def test_a_family_names_its_points() -> None:
    family = toy_family()
    assert family.base == family.at() == family.at(width=4) == at(4)
    assert stack_family().at(depth=3) == Point.of({"width": 4, "depth": 3})
    with pytest.raises(UserError, match=r"^width 7 is outside the lenet family; use 2\.\.6$"):
        family.at(width=7)
    message = "depth 2, width 4: the axes of the lenet family are width"
    with pytest.raises(UserError, match=message):
        family.at(depth=2)
    with pytest.raises(UserError, match="width 4: the axes of the stack family are width, depth"):
        stack_family().build(at(4))


def test_what_changes_along_each_axis_is_found_by_its_ends() -> None:
    family = stack_family()
    assert "blocks.2.0.weight" in family.shapes(family.at(depth=3))
    assert family.generated == tuple(family.shapes(family.base))
    assert family.morphing_axes == {
        "first.weight": (),
        "first.bias": (),
        **{
            f"blocks.{block}.{name}": axes
            for block in (0, 1)
            for name, axes in {
                "0.weight": (0,),
                "0.bias": (0,),
                "2.weight": (1,),
                "2.bias": (),
            }.items()
        },
    }
    base = dict(family.build(family.base).named_parameters())
    made = family.resample(base, family.at(width=6))
    assert {name: tuple(value.shape) for name, value in made.items()} == family.shapes(
        family.at(width=6)
    )
    assert [spec.shape for spec in family.specs(family.at(width=3))] == list(
        family.shapes(family.at(width=3)).values()
    )


def test_a_family_whose_range_is_one_point_morphs_nothing() -> None:
    family = toy_family(min_width=4, max_width=4)
    assert not any(family.morphing_axes.values())


def test_every_family_of_the_params_is_in_the_registry() -> None:
    names = FamilyParams.model_json_schema()["properties"]["name"]["enum"]
    assert set(names) == set(FAMILIES) == set(_KINDS)
