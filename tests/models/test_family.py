import pytest
import torch

from neumeta.core.errors import UserError
from neumeta.models.cost import count_macs, count_params
from neumeta.models.registry import family_from_header, make_family
from tests.toy import LENET, at, toy_dataset, toy_family

MNIST = {**toy_dataset().input_spec(), "image_shape": [1, 28, 28], "classes": list("0123456789")}
PUBLISHED = {**LENET, "base_width": 32, "max_width": 63}


@pytest.mark.parametrize(("width", "params"), [(32, 257_802), (16, 64_906), (8, 16_458)])
def test_parameter_counts_of_the_published_lenet(width: int, params: int) -> None:
    family = make_family(PUBLISHED, MNIST)
    assert count_params(family.build(at(width))) == params == 250 * width**2 + 56 * width + 10


def test_macs_by_hand() -> None:
    h = 4
    by_hand = 28 * 28 * 9 * h + 14 * 14 * 25 * h * 2 * h + 7 * 7 * 25 * 2 * h * 4 * h + 4 * h * 10
    family = make_family(PUBLISHED, MNIST)
    assert count_macs(family.build(at(h)), family.example_input()) == by_hand


def test_groups_name_exactly_the_axes_that_follow_the_width() -> None:
    family = toy_family()
    small, large = family.shapes(at(2)), family.shapes(at(5))
    for name in family.generated:
        moving = tuple(
            axis for axis, (a, b) in enumerate(zip(small[name], large[name], strict=True)) if a != b
        )
        assert family.morphing_axes[name] == moving, name
    assert len(family.generated) == 8


def test_corner_head_reads_one_cell_and_pooled_head_all() -> None:
    image = torch.zeros(1, 1, 28, 28)
    far = image.clone()
    far[..., 25:, 25:] = 5.0  # outside the receptive field of cell (0, 0)
    for head, differs in (("corner", False), ("pooled", True)):
        family = make_family({**PUBLISHED, "head": head}, MNIST)
        network = family.initialised(at(8), seed=0)
        assert torch.equal(network(image), network(far)) is not differs


def test_header_rebuilds_the_family() -> None:
    family = toy_family()
    again = family_from_header(family.header())
    assert again.shapes(at(3)) == family.shapes(at(3))
    with pytest.raises(UserError, match="header lacks"):
        family_from_header({"family": LENET})


def test_faults_are_one_line() -> None:
    with pytest.raises(UserError, match=r"width 7 is outside the lenet family; use 2\.\.6"):
        toy_family().build(at(7))
    with pytest.raises(UserError, match="unknown; allowed are lenet"):
        make_family({**LENET, "name": "vgg"}, MNIST)
    with pytest.raises(UserError, match="8 x 8 or more"):
        make_family(LENET, {**MNIST, "image_shape": [1, 7, 9]})


def test_initial_weights_depend_on_the_seed_only() -> None:
    family = toy_family()
    torch.manual_seed(1)
    first = family.initialised(at(4), seed=3).state_dict()
    torch.manual_seed(2)
    second = family.initialised(at(4), seed=3).state_dict()
    other = family.initialised(at(4), seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])
