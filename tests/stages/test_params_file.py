from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from neumeta.core.errors import UserError
from neumeta.core.reading import load_section, read_yaml
from neumeta.methods.metamorphosis.params.experiment import Experiment
from neumeta.methods.metamorphosis.params.study import StudyParams
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.stages._params_file import load_params, select
from neumeta.stages._selection import check_selection
from tests.committed import committed
from tests.toy import (
    COARSE,
    RECIPE,
    ROOT,
    coarse_train,
    shipped_params,
    toy_params,
    write_toy_params,
)


def test_the_committed_file_runs_digits_alone(tmp_path: Path) -> None:
    """And so does what the tests start from, whatever `neumeta use` has set since."""
    path = committed(tmp_path, "params.yaml") / "params.yaml"
    assert read_yaml(path)["run"] == ["digits-lenet"]
    path.write_text(shipped_params(), encoding="utf-8")
    assert load_params(path).run == ("digits-lenet",)


def test_the_real_file_is_valid() -> None:
    params = load_params(ROOT / "params.yaml")
    assert {"digits-lenet", "mnist-lenet"} <= set(params.of("experiment"))
    kinds = {"digits", "mnist", "fashion_mnist", "cifar10", "cifar100"}
    assert kinds <= set(params.data)


def test_specified_widths_of_the_two_experiments() -> None:
    defined = load_params(ROOT / "params.yaml").of("experiment")
    digits, mnist = defined["digits-lenet"], defined["mnist-lenet"]
    assert digits.train.widths.values() == tuple(range(8, 25))
    assert digits.sweep.widths.values() == tuple(range(4, 25))
    assert mnist.train.widths.values() == tuple(range(8, 33))
    assert mnist.sweep.widths.values() == tuple(range(4, 33))


def set_at(params: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        params = params[parent]
    if value is DELETED:
        del params[last]
    else:
        params[last] = value


DELETED = object()
WIDE = {"start": 3, "stop": 5, "step": 1}
SLIMMABLE = {
    "seeds": [0],
    "random_widths": 0,
    "temperature": 1.0,
    "rescale": False,
    "recipe": RECIPE,
}
FAULTS = [
    ("digits-lenet.train.lrr", 1, ["digits-lenet.train.lrr", "unknown key", "optimiser"]),
    ("digits-lenet.train.losses.kd", 1.0, ["losses.kd", "unknown key", "distillation"]),
    (
        "digits-lenet.train.losses",
        {
            "tsk" if key == "task" else key: value
            for key, value in toy_params()["digits-lenet"]["train"]["losses"].items()
        },
        ["losses.tsk", "unknown key; allowed are task", "(and 1 more)"],
    ),
    ("digits-lenet.train.task.lr", -1.0, ["digits-lenet.train.task.lr", "greater than 0", "-1"]),
    ("digits-lenet.train.ema", 1.0, ["train.ema", "less than 1"]),
    ("digits-lenet.train.seeds", [], ["train.seeds", "at least 1"]),
    ("digits-lenet.train.seeds", [1, 0, 1], ["train.seeds", "1 is there twice"]),
    ("digits-lenet.ablate.widths", [3, 3], ["ablate.widths", "3 is there twice"]),
    ("digits-lenet.train.noise", "much", ["train.noise", "number", "'much'"]),
    ("digits-lenet.train.widths", {"start": 4, "stop": 3, "step": 1}, ["start 4 is above stop 3"]),
    ("digits-lenet.sweep.widths.stop", 7, ["sweep.widths", "width 7", "2..6"]),
    (
        "digits-lenet",
        toy_params()["digits-lenet"]
        | {"baselines": toy_params()["digits-lenet"]["baselines"] | {"slimmable": SLIMMABLE}}
        | {"train": toy_params()["digits-lenet"]["train"] | {"probe_widths": [5], "widths": WIDE}},
        ["digits-lenet", "width 5 is above the base width"],
    ),
    ("digits-lenet.fetch.sha256", "00", ["fetch.sha256", "pattern"]),
    ("digits-lenet.fetch.url", "http://x", ["fetch", "source train takes exactly recipe"]),
    ("digits-lenet.train.network.arrangement", "both", ["arrangement", "'block' or 'single'"]),
    (
        "digits-lenet.train.losses",
        {**toy_params()["digits-lenet"]["train"]["losses"], "task": 0.0, "distillation": 0.0},
        ["train.losses", "all 0; set one above 0"],
    ),
    ("digits-lenet.train.coarse", COARSE, ["train", "coarse needs encoding.blur above 0"]),
    (
        "digits-lenet.train",
        coarse_train(coordinates=toy_params()["digits-lenet"]["train"]["coordinates"]),
        ["train", "coarse needs coordinates.jitter channel", "size none"],
    ),
    (
        "digits-lenet.train",
        coarse_train(coarse=COARSE | {"widths": {"start": 2, "stop": 3, "step": 1}}),
        ["train", "coarse.widths holds 2, which train.widths does not"],
    ),
    (
        "digits-lenet.train",
        coarse_train(coarse=COARSE | {"grids": {"start": 2, "stop": 4, "step": 1}}),
        ["train", "coarse.grids must not lie above coarse.widths"],
    ),
    ("digits-lenet.permute", DELETED, ["digits-lenet.permute", "is missing"]),
    ("digits-lenet.dataset", "svhn", ["digits-lenet.dataset", "svhn", "mnist"]),
    ("data.digits.test_fraction", 0.0, ["data.digits", "test_fraction must be above 0"]),
    ("data.mnist.name", DELETED, ["data.mnist", "name goes with source torchvision"]),
    ("run", ["nope"], ["'nope' is not defined", "digits-lenet"]),
    ("run", "digits-lenet", ["run", "must be a list of names"]),
    ("Typo", {}, ["Typo.dataset", "is missing"]),
    ("orders.seeds", [0, 0], ["orders.seeds", "0 is there twice"]),
    (
        "permutation-study.networks",
        ["digits-lenet", "nope"],
        ["permutation-study.networks", "'nope' is not defined", "digits-lenet"],
    ),
    (
        "permutation-study.study.experiment",
        "nope",
        ["permutation-study.study.experiment", "'nope' is not defined"],
    ),
    (
        "permutation-study.study.change",
        {"task.step": 3},
        ["permutation-study.study: change: task.step", "unknown key 'step'", "batch_size"],
    ),
    (
        "permutation-study.study.change",
        {"seeds": [3]},
        ["permutation-study.study: change: seeds", "set study.seeds"],
    ),
    ("permutation-study.study.widths", [7], ["permutation-study.study: width 7", "2..6"]),
    ("permutation-study.study.widht", [4], ["study.widht", "unknown key", "widths"]),
    (
        "permutation-study.report.published",
        {"best": {"variation": 1.0, "accuracy": 2.0}},
        ["permutation-study.report.published", "'layer-2-opt' or 'ours'"],
    ),
    (
        "permutation-study.report.published",
        {"ours": {"variation": 0.0, "accuracy": 2.0}},
        ["published.ours.variation", "greater than 0"],
    ),
    ("digits-lenet.study", {}, ["digits-lenet.study", "unknown key", "ablate"]),
    ("lonely", {"dataset": "digits"}, ["lonely.family", "is missing"]),
]


@pytest.mark.parametrize(("key", "value", "expected"), FAULTS, ids=[str(f[0]) for f in FAULTS])
def test_a_fault_gives_one_line_with_file_section_key_and_what_is_allowed(
    key: str, value: Any, expected: list[str], tmp_path: Path
) -> None:
    params = deepcopy(toy_params())
    set_at(params, key, value)
    path = write_toy_params(tmp_path, params)
    with pytest.raises(UserError) as caught:
        load_params(path)
    text = str(caught.value)
    assert "\n" not in text
    for part in [str(path), *expected]:
        assert part in text


def test_sections_are_frozen_and_typed(tmp_path: Path) -> None:
    path = write_toy_params(tmp_path)
    section = load_section(TrainParams, "digits-lenet.train", path)
    with pytest.raises(ValueError, match="frozen"):
        section.noise = 2.0
    with pytest.raises(UserError, match=r"no key 'nope' on the way to nope\.train"):
        load_section(TrainParams, "nope.train", path)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_yaml(tmp_path / "absent.yaml")
    for text in ("a: [1", "- 1"):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(UserError, match=r"bad\.yaml") as caught:
            read_yaml(tmp_path / "bad.yaml")
        assert "\n" not in str(caught.value)


def test_what_follows_from_a_study(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    original = shipped_params()
    path.write_text(original, encoding="utf-8")
    select(["permutation-study"], path)
    params = load_params(path)
    check_selection(path, params.selected())
    study = params.of("study")["permutation-study"]
    loops = read_yaml(tmp_path / "data/selected.json")["selected"]
    assert loops["run"] == ["permutation-study"] and loops["experiments"] == {}
    assert tuple(loops["orders"]) == study.networks
    assert set(loops["networks"]) == set(study.networks)
    assert loops["datasets"] == ["cifar10-folder", "digits", "mnist"]
    inputs = {"dataset": "cifar10-folder", "experiment": "cifar10-resnet20"}
    assert loops["studies"] == {"permutation-study": inputs}
    select(["digits-lenet", "permutation-study"], path)
    both = load_params(path).selected()
    assert set(both.loops["networks"]) == {"digits-lenet", *study.networks}
    assert set(both.loops["orders"]) == set(study.networks)
    with pytest.raises(UserError, match="'cifar10-lenet' has no stages of its own; choose permut"):
        select(["cifar10-lenet"], path)
    select(["digits-lenet"], path)
    assert path.read_text(encoding="utf-8") == original


def test_selecting_experiments_changes_one_list_and_no_comment(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    original = shipped_params()
    path.write_text(original, encoding="utf-8")
    select(["mnist-lenet", "digits-lenet"], path)
    changed = path.read_text(encoding="utf-8")
    assert changed == original.replace("run: [digits-lenet]", "run: [mnist-lenet, digits-lenet]")
    loops = load_params(path).selected()
    assert loops.loops["experiments"] == {"mnist-lenet": "mnist", "digits-lenet": "digits"}
    assert list(loops.loops["experiments"]) == ["mnist-lenet", "digits-lenet"]
    assert loops.datasets == ("digits", "mnist")
    select(["digits-lenet"], path)
    assert path.read_text(encoding="utf-8") == original
    with pytest.raises(UserError, match="'nope' is not defined"):
        select(["digits-lenet", "nope"], path)
    assert path.read_text(encoding="utf-8") == original


def test_loops_of_another_list_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(shipped_params(), encoding="utf-8")
    params = load_params(path)
    with pytest.raises(UserError, match="is missing; run `neumeta use digits-lenet`"):
        check_selection(path, params.selected())
    select(["mnist-lenet"], path)
    with pytest.raises(UserError, match="any more; run `neumeta use digits-lenet`"):
        check_selection(path, params.selected())


def test_the_committed_loops_follow_from_the_committed_list() -> None:
    check_selection(ROOT / "params.yaml", load_params(ROOT / "params.yaml").selected())


def test_every_field_of_the_schema_is_in_the_real_file() -> None:
    """Adding an experiment is copying a section: no key of it may be hidden in a default."""
    optional = {"path", "url", "sha256", "recipe", "by_order"}  # of fetch, by its source
    optional |= {"depth", "scope"}  # of a family
    optional |= {"build", "options", "streams", "multiple", "widths"}  # of a traced one
    optional |= {"published", "published_base", "published_as", "base_saw_validation"}  # of a paper

    def check(model: Any, value: dict[str, Any], place: str) -> None:
        for name, field in model.model_fields.items():
            assert name in value or name in optional, f"{place}.{name}"
            if hasattr(field.annotation, "model_fields") and name in value:
                check(field.annotation, value[name], f"{place}.{name}")

    raw = read_yaml(ROOT / "params.yaml")
    for name in ("digits-lenet", "mnist-lenet"):
        check(Experiment, raw[name], name)
    check(StudyParams, raw["permutation-study"], "permutation-study")
