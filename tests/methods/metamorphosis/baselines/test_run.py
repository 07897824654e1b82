"""The whole table: every kind that is asked for, in order, resumable, the same on every run."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

import neumeta.methods.metamorphosis.baselines.run as run_module
from neumeta.core.errors import UserError
from neumeta.core.jobs import Finished, Job
from neumeta.core.reading import parse
from neumeta.core.shard import Shard
from neumeta.measure.results import ResultRow, results_csv, row_store, to_frame
from neumeta.methods.metamorphosis.baselines.run import Baselines
from neumeta.methods.metamorphosis.params.baselines import BaselineParams
from tests.methods.metamorphosis.baselines.toy_examples import (
    every_kind,
    lenet_examples,
    resnet_examples,
)
from tests.toy import at

WIDTHS = {"start": 2, "stop": 4, "step": 1}
CRITERIA = ("random", "l1", "l2", "taylor", "hessian")


def lenet_rows(folder: Path) -> list[ResultRow]:
    params = every_kind(WIDTHS, [3])
    return Baselines(lenet_examples(), params).measure(row_store(folder, None))


def test_every_method_width_and_seed(tmp_path: Path) -> None:
    rows = lenet_rows(tmp_path)
    found = [(row.method, row.width, row.seed) for row in rows]
    wanted: list[tuple[str, int, int | None]] = [("base", 4, None)]
    for width in (2, 3, 4):
        wanted += [("interpolated", width, None), ("bypass", width, None)]
        wanted += [("pruned-random", width, seed) for seed in (0, 1)]
        wanted += [(f"pruned-{name}", width, None) for name in CRITERIA[1:]]
    wanted += [(f"pruned-{name}-finetuned", 3, 0) for name in CRITERIA]
    wanted += [("individual", 3, 0), ("individual-distilled", 3, 0)]
    wanted += [("slimmable", width, 0) for width in (2, 3, 4)]
    wanted += [("integral", width, 0) for width in (2, 3, 4)]
    assert found == wanted
    assert [row.seen for row in rows] == [row.width in (3, 4) for row in rows]


def test_all_methods_that_do_not_train_agree_at_the_base_width(tmp_path: Path) -> None:
    rows = lenet_rows(tmp_path)
    base = rows[0]
    same = {"interpolated", *(f"pruned-{name}" for name in CRITERIA)}
    for row in rows:
        if row.width == 4 and row.method in same:
            assert (row.accuracy, row.params, row.macs) == (base.accuracy, base.params, base.macs)
            assert row.loss == pytest.approx(base.loss)


def test_what_is_null_is_not_run(tmp_path: Path) -> None:
    params = parse(BaselineParams, {"widths": WIDTHS, "origin": "edge"}, "toy", "baselines")
    rows = Baselines(lenet_examples(), params).measure(row_store(tmp_path, None))
    assert {row.method for row in rows} == {"base", "interpolated", "bypass"}


def test_a_resnet_scores_its_whole_network(tmp_path: Path) -> None:
    examples = resnet_examples()
    params = every_kind({"start": 16, "stop": 64, "step": 24}, [16])
    rows = Baselines(examples, params).measure(row_store(tmp_path, None))
    for row in rows:
        shapes = examples.family.shapes(at(row.width))
        assert row.params == sum(math.prod(shape) for shape in shapes.values())
    assert {row.method for row in rows} >= {"slimmable", "integral", "pruned-hessian-finetuned"}


def test_a_rerun_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        results_csv(to_frame(lenet_rows(tmp_path / name))) for name in ("first", "second")
    )
    assert first == second


def test_a_killed_run_loses_one_network_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = lenet_rows(tmp_path / "unbroken")
    trained: list[str] = []
    train = run_module.train_network
    limit = 4

    def counting(*args: Any, label: str, **kwargs: Any) -> Any:
        if len(trained) == limit:
            raise KeyboardInterrupt
        trained.append(label)
        return train(*args, label=label, **kwargs)

    monkeypatch.setattr(run_module, "train_network", counting)
    with pytest.raises(KeyboardInterrupt):
        lenet_rows(tmp_path / "killed")
    limit = 100
    assert lenet_rows(tmp_path / "killed") == unbroken
    assert len(trained) == len(set(trained)) == 7


def job(name: str, settings: Any = None) -> Job[tuple[ResultRow, ...]]:
    """A job that is never run."""
    return Job(name, [name, settings], tuple)


def test_the_store_keeps_rows_to_the_bit(tmp_path: Path) -> None:
    rows = (
        ResultRow("individual", 3, True, 0, 1 / 3, 0.1 + 0.2, 10, 20),
        ResultRow("base", 4, False, None, 2 / 3, float("inf"), 10, 20),
    )
    first = row_store(tmp_path, "shared")
    first.keep(job("a", {"lr": 1}), Finished(rows, 1.5))
    again = row_store(tmp_path, "shared")
    assert again.read(job("a", {"lr": 1})) == Finished(rows, 1.5)
    assert again.read(job("a", {"lr": 2})) is None
    assert again.read(job("b", {"lr": 1})) is None
    assert row_store(tmp_path, "other").read(job("a", {"lr": 1})) is None


def test_what_nobody_asks_for_is_forgotten(tmp_path: Path) -> None:
    store = row_store(tmp_path, "shared")
    for name in ("a", "b"):
        store.keep(job(name), Finished((), 1.0))
    store.forget_others([store.path(job("b").settings)])
    assert store.read(job("a")) is None
    assert store.read(job("b")) == Finished((), 1.0)


@pytest.mark.parametrize("count", [2, 5])
def test_shards_joined_give_the_table_of_one_run(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lenet_rows(tmp_path / "whole")
    for index in range(1, count + 1):
        comparison = Baselines(lenet_examples(), every_kind(WIDTHS, [3]))
        comparison.measure(row_store(tmp_path / "shards", None), Shard(index, count))
    for name in ("train_network", "train_slimmable", "train_integral"):
        monkeypatch.setattr(run_module, name, None)  # nothing is left to train
    assert lenet_rows(tmp_path / "shards") == whole


def test_one_width_more_trains_its_networks_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lenet_rows(tmp_path)
    trained: list[str] = []
    train = run_module.train_network

    def counting(*args: Any, label: str, **kwargs: Any) -> Any:
        trained.append(label)
        return train(*args, label=label, **kwargs)

    monkeypatch.setattr(run_module, "train_network", counting)
    comparison = Baselines(lenet_examples(), every_kind(WIDTHS, [3, 2]))
    rows = comparison.measure(row_store(tmp_path, None))
    assert len(trained) == 7 and all("h=2" in label for label in trained)
    fresh = comparison.measure(row_store(tmp_path / "fresh", None))
    assert results_csv(to_frame(rows)) == results_csv(to_frame(fresh))


@pytest.mark.parametrize(
    "text", ["{", "[]", json.dumps({"value": [{"method": "x"}], "seconds": 1})]
)
def test_a_damaged_entry_is_dropped(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = row_store(tmp_path, None)
    store.keep(job("a"), Finished((), 1.0))
    (file,) = store.folder.iterdir()
    file.write_text(text)
    assert store.read(job("a")) is None
    assert "damaged" in caplog.text and "doing a again" in caplog.text
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("widths", "some", "message"),
    [
        ({"start": 7, "stop": 7, "step": 1}, [3], "width 7 is outside the lenet family"),
        ({"start": 2, "stop": 5, "step": 1}, [3], "width 5 is above the base width"),
        (WIDTHS, [5], "width 5 is above the base width"),
    ],
)
def test_wrong_widths_are_refused_before_any_work(
    widths: dict[str, int], some: list[int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Baselines(lenet_examples(), every_kind(widths, some))


def test_shared_weights_cannot_be_trained_above_the_base_width() -> None:
    examples = lenet_examples()
    wide = dataclasses.replace(examples, points=(at(3), at(5)))
    with pytest.raises(UserError, match="width 5 is above the base width"):
        Baselines(wide, every_kind(WIDTHS, [3]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"criteria": ["l1", "l1"]}, "each may stand there once"),
        ({"criteria": ["l3"]}, "'random', 'l1', 'l2', 'taylor' or 'hessian'"),
        ({"criteria": ["taylor"], "scoring": None}, "need the section scoring"),
        ({"widths": None}, "widths and recipe go together"),
        ({"recipe": None}, "widths and recipe go together"),
        ({"trains": "some"}, "'generated' or 'all'"),
    ],
)
def test_faults_of_the_section(changes: dict[str, object], message: str) -> None:
    section = every_kind(WIDTHS, [3]).model_dump(mode="json")
    section["pruned"] |= changes
    with pytest.raises(UserError, match=message) as raised:
        parse(BaselineParams, section, "toy.yaml", "toy.baselines")
    assert str(raised.value).startswith("toy.yaml: toy.baselines.pruned")
    assert "\n" not in str(raised.value)
