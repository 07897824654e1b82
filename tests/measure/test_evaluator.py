"""Scores of networks, and the rows that they fill."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from neumeta.core.errors import UserError
from neumeta.measure.evaluator import Evaluator, evaluate
from neumeta.measure.measurements import Measurement
from neumeta.models.axes import Point
from neumeta.models.family import Family
from neumeta.models.parameters import parameters_of
from neumeta.models.source import Card
from neumeta.tasks.classification import Classification
from neumeta.tasks.tally import Tally
from neumeta.training.features import feature_split
from tests.toy import at, toy_dataset, toy_family
from tests.training.test_features import colour_dataset, small_resnet


def test_score_does_not_depend_on_the_batch_size() -> None:
    family, split, task = toy_family(), toy_dataset().split("test"), Classification()
    network = family.initialised(at(4), seed=0)
    weights = parameters_of(network)
    whole = task.values(evaluate(family.skeleton(at(4)), weights, split, task))
    parts = task.values(evaluate(family.skeleton(at(4)), weights, split, task, batch_size=7))
    with torch.no_grad():
        outputs = network(split.inputs)
    right = (outputs.argmax(1) == split.targets).float().mean().item()
    assert whole["accuracy"] == parts["accuracy"] == pytest.approx(right)
    loss = nn.functional.cross_entropy(outputs, split.targets).item()
    assert parts["loss"] == pytest.approx(loss, rel=1e-5)


def test_another_trunk_is_seen() -> None:
    """Cached test features must not survive a change of the frozen tensors."""
    family, dataset = small_resnet(), colour_dataset()
    first = parameters_of(family.initialised(at(64), seed=0))
    first = {name: value for name, value in first.items() if name in family.shapes(at(64))}
    base = {**parameters_of(family.build(at(64))), **first}
    other = {**base, "conv1.weight": base["conv1.weight"] * -1}
    evaluator = Evaluator(family, dataset)
    losses = [evaluator.values(at(64), weights)["loss"] for weights in (base, other, base)]
    fresh = Evaluator(family, dataset).values(at(64), other)["loss"]
    assert losses[0] == losses[2] != losses[1] == fresh


def test_test_features_are_made_once_for_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    family, dataset = small_resnet(), colour_dataset()
    base = parameters_of(family.build(at(64)))
    made: list[int] = []

    def counted(*args: Any) -> Any:
        made.append(1)
        return feature_split(*args)

    monkeypatch.setattr("neumeta.measure.evaluator.feature_split", counted)
    evaluator = Evaluator(family, dataset)
    for factor in (1.0, 0.5, 0.0):
        weights = {n: w * factor if n in family.generated else w for n, w in base.items()}
        evaluator.tally(at(64), weights)
    assert len(made) == 1


def test_the_whole_network_scores_as_its_tail() -> None:
    family, dataset = small_resnet(), colour_dataset()
    weights = parameters_of(family.build(at(64)))
    tail = Evaluator(family, dataset, "val").values(at(64), weights)
    whole = Evaluator(family, dataset, "val", whole=True).values(at(64), weights)
    assert tail == pytest.approx(whole, rel=1e-5)


def test_a_row_holds_the_metrics_and_costs_of_its_width() -> None:
    family, dataset = toy_family(), toy_dataset()
    evaluator = Evaluator(family, dataset, seen=[at(3)])
    weights = parameters_of(family.initialised(at(3), seed=0))
    row, values = evaluator.row("made", at(3), weights, 5), evaluator.values(at(3), weights)
    assert (row.method, row.width, row.seen, row.seed) == ("made", 3, True, 5)
    assert (row.accuracy, row.loss) == (values["accuracy"], values["loss"])
    assert row.params == sum(value.numel() for value in weights.values())
    assert (
        row.value(evaluator.task.metrics[0]) == evaluator.deciding(at(3), weights) == row.accuracy
    )
    assert not evaluator.row("made", at(2), parameters_of(family.initialised(at(2), seed=0))).seen


def test_the_table_of_widths_takes_accuracy_and_loss_alone() -> None:
    class Near(Classification):
        name = "near"

        def values(self, tally: Tally) -> dict[str, float]:
            return {"near": 1.0, "loss": super().values(tally)["loss"]}

    family = toy_family()
    evaluator = Evaluator(family, toy_dataset())
    evaluator.task = Near()
    with pytest.raises(UserError, match=r"^task near: .* accuracy and loss, not near and loss$"):
        evaluator.row("made", at(3), parameters_of(family.initialised(at(3), seed=0)))


@dataclass(frozen=True)
class Drawn:
    """Fresh weights, whose seed is that of the generator."""

    card: Card
    family: Family = field(default_factory=toy_family)

    def weights(self, at: Point, /, *, generator: torch.Generator) -> Mapping[str, Tensor]:
        return parameters_of(self.family.initialised(at, generator.initial_seed()))


def test_every_point_is_measured_with_every_seed() -> None:
    dataset, card = toy_dataset(), Card("drawn", None, 9, {}, ())
    source = Drawn(card)
    evaluator = Evaluator(source.family, dataset, "val")
    rows = evaluator.measure(source, [at(3), at(4)], [7, 8], method="drawn", item="toy")
    found = [(row.at["width"], row.seed, row.metric) for row in rows]
    metrics = ("accuracy", "loss")
    assert found == [(h, seed, name) for h in (3, 4) for seed in (7, 8) for name in metrics]
    weights = source.weights(at(4), generator=torch.Generator().manual_seed(8))
    row = evaluator.row("drawn", at(4), weights)
    costs = (32, row.params, row.macs, 9)
    last = Measurement("drawn", "toy", {"width": 4}, 8, "val", "loss", row.loss, *costs)
    assert rows[-1] == last
    named = Drawn(replace(card, seed=1))
    again = evaluator.measure(named, [at(4)], [8], method="drawn", item="toy")
    assert {row.seed for row in again} == {1}
    assert [row.value for row in again] == [row.value for row in rows[-2:]]
