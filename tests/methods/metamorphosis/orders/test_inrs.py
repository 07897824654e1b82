"""INRs from each order: the orders are those of the strategies, the training is that of ours."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.func import functional_call

from neumeta.core.reading import parse
from neumeta.core.shard import Shard
from neumeta.data.dataset import Dataset
from neumeta.methods.metamorphosis.orders import inrs
from neumeta.methods.metamorphosis.orders.inrs import OrderStudy, controls, ordered
from neumeta.methods.metamorphosis.orders.strategies import STRATEGIES
from neumeta.methods.metamorphosis.params.study import StudyInrParams, study_params
from neumeta.methods.metamorphosis.params.train import SweepParams, TrainParams
from neumeta.methods.metamorphosis.problem import make_problem
from neumeta.methods.metamorphosis.trainer import Trainer
from neumeta.methods.metamorphosis.variants import outcome_store
from neumeta.permute.variation import total_variation
from tests.methods.metamorphosis.orders.test_orders import cifar_family, weights_of
from tests.toy import at, toy_dataset, toy_family, toy_params, trained_toy


def parameters() -> tuple[StudyInrParams, TrainParams, SweepParams]:
    params = toy_params()
    section, study = params["digits-lenet"], params["permutation-study"]["study"]
    study |= {"seeds": [0, 1], "change": {"task.steps": 20, "warm_start.steps": 60}}
    parsed = parse(StudyInrParams, study, "toy", "study")
    train = parse(TrainParams, section["train"], "toy", "train")
    return parsed, study_params(train, parsed), parse(SweepParams, section["sweep"], "toy", "sweep")


class Trainings:
    """Counts trainings, and what they were prepared from."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count, self.problems = 0, 0
        run, prepare = Trainer.run, make_problem

        def running(trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
            self.count += 1
            return run(trainer, *args, **kwargs)

        def preparing(*args: Any) -> Any:
            self.problems += 1
            return prepare(*args)

        patch.setattr(Trainer, "run", running)
        patch.setattr("neumeta.methods.metamorphosis.ablation.make_problem", preparing)


@pytest.fixture
def data() -> Dataset:
    return toy_dataset()


def measure(data: Dataset, folder: Path) -> list[dict[str, Any]]:
    store = outcome_store(folder / "kept", None)
    return OrderStudy(toy_family(), trained_toy(), data, *parameters()).rows(store)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)
def test_an_order_keeps_the_function_and_is_what_the_inr_sees(strategy: Any) -> None:
    family = cifar_family()
    weights = weights_of(family)
    found = ordered(family, weights, strategy, seed=1)
    network = family.skeleton(at(64))
    images = toy_dataset().split("val").inputs[:3].double()
    outputs = [
        functional_call(network, {n: w.double() for n, w in some.items()}, images)
        for some in (weights, found.weights)
    ]
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
    changed = {n for n in weights if not torch.equal(weights[n], found.weights[n])}
    hidden = {f"layer3.2.conv{k}" for k in ("1.weight", "1.bias", "2.weight")}
    assert changed == (set() if strategy.name == "original" else hidden)
    ranks = found.family.stream_ranks["layer3.2.conv1.weight", 1]
    assert sorted(ranks) == list(range(64))
    assert (list(ranks) == list(range(64))) == (strategy.name == "original")
    seen = {name: found.weights[name] for name in family.generated}
    index = torch.tensor(ranks).argsort()
    seen["layer3.2.conv1.weight"] = seen["layer3.2.conv1.weight"][:, index]
    for kind in ("weight", "bias"):
        seen[f"layer3.2.conv2.{kind}"] = seen[f"layer3.2.conv2.{kind}"][index]
    assert found.variation == pytest.approx(total_variation(seen).sum)


def test_layer_wise_orders_follow_the_first_tensor_alone() -> None:
    family = cifar_family()
    weights = weights_of(family)
    first, last = "layer3.2.conv1.weight", "layer3.2.conv2.weight"
    other = {**weights, last: torch.randn(weights[last].shape)}
    for strategy in STRATEGIES:
        one, two = (ordered(family, some, strategy, seed=0) for some in (weights, other))
        assert torch.equal(one.weights[first], two.weights[first]) == (strategy.name != "ours")


def test_our_order_is_the_smoothest_that_an_inr_sees() -> None:
    family = cifar_family()
    weights = weights_of(family)
    seen = {s.name: ordered(family, weights, s, seed=0).variation for s in STRATEGIES}
    assert min(seen, key=lambda name: seen[name]) == "ours"


def test_rows_are_complete_and_equal_orders_share_their_features(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = STRATEGIES[:3]
    monkeypatch.setattr(inrs, "STRATEGIES", some)
    trainings = Trainings(monkeypatch)
    rows = measure(data, tmp_path)
    assert [(r["strategy"], r["seed"], r["width"], r["seen"]) for r in rows] == [
        (strategy.name, seed, width, width == 4)
        for strategy in some
        for seed in (0, 1)
        for width in (2, 4)
    ]
    assert trainings.count == 6
    distinct = 0
    for strategy in some:
        orders = {row["variation"] for row in rows if row["strategy"] == strategy.name}
        distinct += len(orders)
    assert trainings.problems == distinct < 6
    # Nothing is trained twice: neither in a second run nor after an interruption.
    assert measure(data, tmp_path) == rows
    assert trainings.count == 6
    kept = sorted((tmp_path / "kept").rglob("*.json"))
    kept[0].unlink()
    assert measure(data, tmp_path) == rows
    assert trainings.count == 6  # its INR is there, only its score was lost


def test_a_row_is_what_the_trainer_makes_of_that_order(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inrs, "STRATEGIES", STRATEGIES[1:2])
    family, (study, train, sweep) = toy_family(), parameters()
    row = next(
        row
        for row in measure(data, tmp_path)
        if (row["strategy"], row["seed"], row["width"]) == ("random", 1, 4)
    )
    found = ordered(family, trained_toy(), STRATEGIES[1], seed=1)
    inr = Trainer(make_problem(found.family, found.weights, data, train), 1).run()
    with torch.no_grad():
        made = inr.weights(
            at(4),
            draws=sweep.draws,
            noise=train.sample_noise,
            generator=torch.Generator().manual_seed(sweep.seed),
        )
    test = data.split(study.split)
    outputs = functional_call(family.skeleton(at(4)), {**found.weights, **made}, test.inputs)
    accuracy = (outputs.argmax(1) == test.targets).float().mean().item()
    assert row["accuracy"] == pytest.approx(accuracy)


def test_a_killed_study_goes_on(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inrs, "STRATEGIES", STRATEGIES[:2])
    trainings = Trainings(monkeypatch)
    run = Trainer.run

    def breaking(trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
        if trainings.count == 3:
            raise KeyboardInterrupt
        return run(trainer, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "run", breaking)
        with pytest.raises(KeyboardInterrupt):
            measure(data, tmp_path)
    assert trainings.count == 3
    rows = measure(data, tmp_path)
    assert trainings.count == 4
    assert rows == measure(data, tmp_path / "afresh")


@pytest.mark.parametrize("count", [2, 7])
def test_shards_train_each_inr_once(
    count: int, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inrs, "STRATEGIES", STRATEGIES[:2])
    whole = measure(data, tmp_path / "whole")
    trainings = Trainings(monkeypatch)
    for index in range(1, count + 1):
        store = outcome_store(tmp_path / "kept", None)
        study = OrderStudy(toy_family(), trained_toy(), data, *parameters())
        store.run(study.jobs(store), shard=Shard(index, count))
    assert trainings.count == 4
    assert measure(data, tmp_path) == whole
    assert trainings.count == 4


def test_controls_are_base_and_bypass(data: Dataset) -> None:
    family, weights = toy_family(), trained_toy()
    found = controls(family, weights, data, "test")
    test = data.split("test")
    outputs = functional_call(family.skeleton(at(4)), weights, test.inputs)
    assert found["base"] == pytest.approx((outputs.argmax(1) == test.targets).float().mean().item())
    # Everything is generated in LeNet: with zeros the answer is the first class, one in three.
    assert found["bypass"] == pytest.approx(1 / 3)
