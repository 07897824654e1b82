"""Training examples in views, and what the teacher says of them."""

import pytest
import torch

from neumeta.data.params import AugmentationParams
from neumeta.models.parameters import parameters_of
from neumeta.models.parts import apply_part
from neumeta.training.examples import Examples, examples_of, training_examples
from tests.toy import at
from tests.training.test_features import colour_dataset, small_resnet


def test_views_are_drawn_of_the_right_example() -> None:
    family, dataset = small_resnet("all_blocks"), colour_dataset()
    base = parameters_of(family.build(at(64)))
    params = AugmentationParams(views=3, pad=2, flip=True, seed=1)
    examples = training_examples(family, base, dataset, params)
    assert examples.views.shape == (3, 12, 3, 16, 16)
    index = torch.tensor([5, 0, 11, 5])
    rows = torch.cat([examples.rows(index, torch.Generator().manual_seed(s)) for s in range(20)])
    assert set((rows // 12).tolist()) == {0, 1, 2}
    batch = examples.take(rows)
    assert torch.equal(batch.rows, rows)
    assert torch.equal(batch.targets, dataset.labels["train"][index].repeat(20))
    for row, value in zip(rows.tolist(), batch.inputs, strict=True):
        assert torch.equal(value, examples.views[row // 12, row % 12])
    assert not torch.equal(examples.views[0], examples.views[1])
    plain = training_examples(family, base, dataset, None)
    state = torch.Generator().manual_seed(0)
    before = state.get_state()
    assert torch.equal(plain.rows(index, state), index)
    assert torch.equal(state.get_state(), before)


def test_the_teacher_is_asked_once_and_answers_for_every_view() -> None:
    family, dataset = small_resnet(), colour_dataset()
    base = parameters_of(family.build(at(64)))
    params = AugmentationParams(views=2, pad=1, flip=True, seed=1)
    examples = training_examples(family, base, dataset, params)
    outputs = examples.teacher_outputs
    assert outputs is examples.teacher_outputs and not outputs.requires_grad
    rows = torch.tensor([3, 20])
    wanted = apply_part(family.skeleton(at(64)), base, examples.take(rows).inputs, "tail")
    torch.testing.assert_close(outputs[rows], wanted.detach())


def test_a_split_is_one_view_without_a_teacher() -> None:
    split = colour_dataset().split("val")
    examples = examples_of(split)
    index = torch.tensor([4, 1])
    batch = examples.take(examples.rows(index, torch.Generator()))
    assert torch.equal(batch.inputs, split.inputs[index])
    assert isinstance(examples, Examples) and examples.part == "whole"
    with pytest.raises(AssertionError, match="no teacher"):
        _ = examples.teacher_outputs
