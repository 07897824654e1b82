"""Twins of all experiments: small budgets, valid under the schema, the same ways of the code."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from neumeta.core.reading import read_yaml
from neumeta.gate.accept import twin_params
from neumeta.gate.budgets import WIDTH_STEP, cut
from neumeta.gate.side import write_params
from neumeta.models.registry import make_family
from neumeta.stages._params_file import Params, load_params

ROOT = Path(__file__).parents[2]
MOST = {
    "steps": 6,
    "epochs": 1,
    "batch_size": 16,
    "batches": 1,
    "views": 2,
    "draws": 2,
    "perturbations": 2,
    "validate_every": 2,
    "limit": 48,
}


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    return read_yaml(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def twins(real: dict[str, Any], inputs: Path) -> dict[str, Any]:
    return twin_params(real, inputs)


@pytest.fixture(scope="module")
def checked(twins: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Params:
    """The twins as the stages read them; this refuses what the schema does."""
    folder = tmp_path_factory.mktemp("twins")
    write_params(folder, twins)
    return load_params(folder / "params.yaml")


def leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """All values of parameters by dotted place; keys of changes are dotted, too."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from leaves(part, f"{place}.{key}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from leaves(part, f"{place}.{number}")
    else:
        yield place, value


def test_every_section_has_a_twin_that_is_valid(checked: Params, real: dict[str, Any]) -> None:
    assert {*checked.sections} == {*load_params(ROOT / "params.yaml").sections}
    assert {"digits-lenet", "cifar10-resnet20", "permutation-study"} <= {*checked.sections}
    assert checked.run == tuple(real["run"])


def test_all_experiments_can_run_at_once(checked: Params) -> None:
    assert set(checked.selected(checked.runnable()).datasets) <= set(checked.data)


def test_no_budget_is_left(twins: dict[str, Any], real: dict[str, Any]) -> None:
    found: dict[str, list[Any]] = {name: [] for name in MOST}
    for place, value in leaves(twins):
        name = place.rpartition(".")[2]
        if name in MOST and value is not None:
            found[name].append(value)
    assert {n: max(v) for n, v in found.items() if v and max(v) > MOST[n]} == {}
    asked = {place.rpartition(".")[2] for place, value in leaves(real) if value is not None}
    assert {name for name, values in found.items() if values} >= asked & set(MOST)
    assert {"steps", "epochs", "batch_size", "views", "draws"} <= asked


def test_every_experiment_resamples_what_is_not_square(checked: Params) -> None:
    """Else a twin could not tell the axes of a tensor apart."""
    found = {}
    for name, section in checked.of("experiment").items():
        settings = section.family.settings()
        if settings["name"] == "traced":  # its axes are told apart by its groups
            continue
        spec = {"image_shape": [1, 32, 32], "classes": list("0123456789")}
        family = make_family(settings, spec)
        base = family.shapes(family.base)
        for stage in ("train", "baselines"):
            widths = getattr(section, stage).widths.values()
            shapes = [family.shapes(family.at(width=width)) for width in widths]
            found[name, stage] = {
                (base[tensor], at[tensor])
                for at in shapes
                for tensor, axes in family.morphing_axes.items()
                if len(base[tensor]) > 1 and axes and at[tensor] != base[tensor]
                if at[tensor][0] != at[tensor][1]
            }
    assert len(found) >= 10 and all(found.values())


def lists(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield name, value
        for key, part in value.items():
            yield from lists(part, str(key))
    elif isinstance(value, list):
        yield name, value
        for part in value:
            yield from lists(part)


def test_few_seeds_and_widths_are_left(twins: dict[str, Any]) -> None:
    found = list(lists(twins))
    ranges = [v for _, v in found if isinstance(v, Mapping) and {*v} == {"start", "stop", "step"}]
    assert ranges and {r["step"] for r in ranges} == {WIDTH_STEP}
    assert max(len(range(r["start"], r["stop"] + 1, r["step"])) for r in ranges) <= 7
    lengths = {
        name: [len(v) for n, v in found if n == name and isinstance(v, list)]
        for name in ("seeds", "random_seeds", "widths")
    }
    assert all(lengths.values())
    assert {name: max(found) for name, found in lengths.items()} == {
        "seeds": 1,
        "random_seeds": 1,
        "widths": 2,
    }


def test_what_is_no_budget_stays(twins: dict[str, Any], real: dict[str, Any]) -> None:
    """A switch that were lost would take the twin past the code of its experiment."""
    before, after = dict(leaves(real)), dict(leaves(twins))
    switches = [place for place, value in before.items() if isinstance(value, bool | str)]
    made = (".data.", ".fetch.sha256")
    lost = {p: after.get(p) for p in switches if p not in after or after[p] != before[p]}
    assert {p for p in lost if not p.startswith(made[0]) and not p.endswith(made[1])} == set()
    nothing = {place for place, value in before.items() if value is None}
    assert {p for p in nothing if after.get(p) is not None and not p.startswith(".data.")} == set()
    gone = {place for place in {*before} - {*after} if not place.startswith(".data.")}
    cut_lists = ("seeds", "random_seeds", "widths")
    assert {place for place in gone if place.split(".")[-2] not in cut_lists} == set()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("steps", 400, 6),
        ("steps", 2, 2),
        ("steps", 0, 0),  # a phase that is left out stays left out
        ("warm_start.steps", 0, 0),
        ("task.steps", 900, 6),
        ("batch_size", None, None),
        ("seeds", [3, 4], [3]),
        ("widths", [4, 6, 8], [4, 8]),
        ("widths", [4, 6], [4, 6]),
        ("widths", {"start": 4, "stop": 24, "step": 1}, {"start": 4, "stop": 24, "step": 8}),
        ("a", [{"steps": 9}, 9], [{"steps": 6}, 9]),
        ("lr", 0.1, 0.1),
        ("name", "steps", "steps"),
    ],
)
def test_cuts(key: str, value: Any, expected: Any) -> None:
    assert cut(value, key) == expected


def test_parameters_are_not_changed_in_place(real: dict[str, Any], inputs: Path) -> None:
    before = read_yaml(ROOT / "params.yaml")
    twin_params(real, inputs)
    assert real == before


def test_inputs_are_the_same_on_every_run(
    real: dict[str, Any], twins: dict[str, Any], inputs: Path, tmp_path: Path
) -> None:
    """Kept runs are found by a hash of them."""
    assert twin_params(real, tmp_path) == twins
    for path in inputs.rglob("*"):
        if path.is_file():
            assert (tmp_path / path.relative_to(inputs)).read_bytes() == path.read_bytes(), path


def test_networks_from_elsewhere_get_a_file_of_their_shape(
    twins: dict[str, Any], inputs: Path
) -> None:
    fetches = [s["fetch"] for s in twins.values() if isinstance(s, dict) and "fetch" in s]
    named = {str(f.get("url") or f.get("path") or "").rpartition("/")[2] for f in fetches} - {""}
    files = {path.name for path in (inputs / "checkpoints").iterdir()}
    of_timm = {"efficientnet-lite0-57934424.pth"} if find_spec("timm") is None else set()
    assert len(named) > 3 and named - of_timm == files
