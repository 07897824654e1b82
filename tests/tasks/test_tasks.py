"""What a task tells training and measuring, and that another one than classification fits."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from neumeta.core.errors import UserError
from neumeta.data.params import TaskName
from neumeta.tasks.batch import Batch
from neumeta.tasks.classification import Classification
from neumeta.tasks.registry import TASKS, task_of
from neumeta.tasks.tally import Tally
from neumeta.tasks.task import Metric, Task, deciding
from tests.toy import toy_dataset


class Pixels:
    """A class per pixel, scored by a confusion matrix: sums that are no numbers."""

    name = "pixels"
    metrics: tuple[Metric, ...] = (Metric("miou", "share", higher_is_better=True),)

    def target_shape(self, image_shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(image_shape[1:])

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return F.cross_entropy(outputs, batch.targets)

    def distance(self, outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        return F.mse_loss(outputs, teacher)

    def tally(self, outputs: Tensor, batch: Batch) -> Tally:
        classes = outputs.shape[1]
        pairs = classes * batch.targets + outputs.argmax(1)
        counts = torch.bincount(pairs.flatten(), minlength=classes**2)
        return Tally({"confusion": counts.view(classes, classes)}, len(batch))

    def values(self, tally: Tally) -> dict[str, float]:
        counts = torch.as_tensor(tally.sums["confusion"]).double()
        shared = counts.diag() / (counts.sum(0) + counts.sum(1) - counts.diag())
        return {"miou": float(shared.mean())}


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("task", [Classification(), Pixels()])
def test_tallies_of_parts_add_up_to_that_of_the_whole(task: Task) -> None:
    size = (8, 3) if isinstance(task, Classification) else (8, 3, 4, 4)
    outputs = drawn(0, *size)
    targets = drawn(1, *size).argmax(1)
    batch = Batch(outputs, targets, torch.arange(8))
    whole, total = task.tally(outputs, batch), Tally()
    for rows in (slice(0, 5), slice(5, 8)):
        some = Batch(outputs[rows], targets[rows], batch.rows[rows])
        total += task.tally(some.inputs, some)
    assert total.examples == whole.examples == 8
    assert task.values(total) == pytest.approx(task.values(whole))
    assert list(task.values(whole)) == [metric.name for metric in task.metrics]
    assert deciding(task, whole) == task.values(whole)[task.metrics[0].name]
    again = Tally.of_facts(json.loads(json.dumps(total.facts())))
    assert task.values(again) == task.values(total)


def test_whole_and_broken_numbers_survive_json() -> None:
    counts = torch.tensor([[1, 2**53 + 1]])
    facts = Tally({"loss": 0.1 + 0.2, "counts": counts}, 3).facts()
    again = Tally.of_facts(json.loads(json.dumps(facts)))
    assert again.sums["loss"] == 0.1 + 0.2 and again.examples == 3
    assert torch.equal(torch.as_tensor(again.sums["counts"]), counts)


def test_sums_of_different_tasks_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="sums are"):
        _ = Tally({"right": 1.0}, 1) + Tally({"loss": 1.0}, 1)


def test_distance_is_zero_only_for_equal_outputs() -> None:
    outputs = drawn(0, 5, 3)
    task = Classification()
    assert task.distance(outputs, outputs, 2.0).item() == pytest.approx(0, abs=1e-6)
    assert task.distance(outputs, outputs.flip(1), 2.0).item() > 0.01
    expected = (
        (outputs.flip(1) / 2).softmax(1)
        * ((outputs.flip(1) / 2).log_softmax(1) - (outputs / 2).log_softmax(1))
    ).sum(1).mean() * 4
    assert task.distance(outputs, outputs.flip(1), 2.0).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_the_params_know_the_tasks() -> None:
    assert set(get_args(TaskName)) == set(TASKS)
    for name, task in TASKS.items():
        assert isinstance(task, Task) and task.name == name
        # A dead generator is told by the sampling error of a share; see `check_alive`.
        assert (task.metrics[0].unit, task.metrics[0].higher_is_better) == ("share", True)


def test_targets_are_those_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "pixels", Pixels())
    images = toy_dataset()
    assert isinstance(task_of(images), Classification)
    maps = {split: pixels[:, 0].long() % 3 for split, pixels in images.images.items()}
    assert isinstance(task_of(replace(images, task="pixels", labels=maps)), Pixels)
    with pytest.raises(UserError, match=r"shape \(\); pixels needs \(8, 8\)"):
        task_of(replace(images, task="pixels"))
    with pytest.raises(UserError, match=r"toy: targets of train have shape \(8, 8\)"):
        task_of(replace(images, labels=maps))
    with pytest.raises(UserError, match="task 'x' is unknown; allowed are classification"):
        task_of(replace(images, task="x"))


@pytest.mark.parametrize(
    ("metric", "text"),
    [(Metric("accuracy", "share", True), "12.35%"), (Metric("loss", "nats", False), "0.1235")],
)
def test_values_are_written_by_their_unit(metric: Metric, text: str) -> None:
    assert metric.format(0.12345678) == text
