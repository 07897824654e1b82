"""The stage ablate: every row measured once, kept, resumed, and never aborting the others."""

import csv
import io
import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from neumeta.core.checkpoint import write_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.reading import parse
from neumeta.data.dataset import write_dataset
from neumeta.measure.evaluator import evaluate
from neumeta.measure.frames import read_frame
from neumeta.methods.metamorphosis.columns import ABLATION_COLUMNS
from neumeta.methods.metamorphosis.generator import count_inr_params
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.methods.metamorphosis.params.ablate import AblateParams, AblateTable, row_params
from neumeta.methods.metamorphosis.params.train import TrainParams
from neumeta.methods.metamorphosis.problem import Problem, make_problem
from neumeta.methods.metamorphosis.trainer import Trainer
from neumeta.models.axes import Point
from neumeta.models.network_file import read_network
from neumeta.stages._params_file import load_params
from neumeta.stages.metamorphosis import ablate
from neumeta.tasks.registry import task_of
from neumeta.tasks.task import deciding
from tests.toy import at, toy_dataset, toy_family, toy_params, trained_toy, write_toy_params

FLAGS = [
    *("--experiment", "digits-lenet"),
    *("--dataset", "toy.safetensors"),
    *("--permuted", "permuted.safetensors"),
    *("--out", "out/ablate.csv"),
    *("--record", "out/ablate.run.json"),
]
VIEWS = {"views": 2, "pad": 1, "flip": False, "seed": 0}
KEPT = Path("data/.resume/digits-lenet/ablate")
NETWORK: dict[str, Any] = {
    "name": "network",
    "title": "Shape of the INR",
    "change_base": {"task.steps": 20},
    "rows": [
        {"name": "usual"},
        {"name": "no residual", "change": {"network.residual": False}},
    ],
}
DRAWS: dict[str, Any] = {
    "name": "draws",
    "title": "Draws",
    "split": "val",
    "change_base": {"task.steps": 20},
    "rows": [
        {"name": "K = 1", "sample": {"draws": 1}},
        {"name": "K = 4", "sample": {"draws": 4, "noise": 0.5}},
    ],
}
DEAD: dict[str, Any] = {
    "name": "dead",
    "title": "Nothing learnt",
    "rows": [
        {
            "name": "all to zero",
            "change": {
                "warm_start.steps": 0,
                "losses.task": 0.0,
                "losses.distillation": 0.0,
                "losses.reconstruction": 0.0,
                "losses.regularisation": 100.0,
                "task.lr": 0.05,
            },
        }
    ],
}


def section(*tables: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A section `ablate` of one seed and two widths."""
    return {"split": "test", "widths": [2, 4], "seeds": [0], "tables": list(tables)} | changes


def write_params(*tables: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Write params.yaml with these tables into the current folder."""
    params = toy_params()
    params["digits-lenet"]["ablate"] = deepcopy(section(*tables, **changes))
    params["digits-lenet"]["train"]["warm_start"]["steps"] = 80
    write_toy_params(Path("."), params)
    return params


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy dataset and a base network that has learnt it."""
    folder = tmp_path_factory.mktemp("inputs")
    dataset, family = toy_dataset(), toy_family()
    write_dataset(folder / "toy.safetensors", dataset)
    header = {"kind": "network", "width": 4, **family.header()}
    write_checkpoint(folder / "permuted.safetensors", trained_toy(), header)
    return folder


@pytest.fixture
def here(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with these inputs, as the current one."""
    for path in inputs.iterdir():
        shutil.copy(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Runs:
    """Counts trainings; may be told to break before one of them."""

    def __init__(self) -> None:
        self.count = 0
        self.break_at: int | None = None


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    counted, run = Runs(), Trainer.run

    def counting(trainer: Trainer, *args: Any, **kwargs: Any) -> Any:
        if counted.count == counted.break_at:
            raise KeyboardInterrupt
        counted.count += 1
        return run(trainer, *args, **kwargs)

    monkeypatch.setattr(Trainer, "run", counting)
    return counted


def table() -> list[dict[str, str]]:
    """The rows of the written table."""
    return list(csv.DictReader(io.StringIO(Path("out/ablate.csv").read_text())))


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line of an error."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return str(lines[0])


@pytest.mark.usefixtures("here")
def test_every_row_is_measured_and_equal_trainings_run_once(runs: Runs) -> None:
    write_params(NETWORK, DRAWS, seeds=[0, 1])
    assert ablate.main(FLAGS) == 0
    rows = table()
    assert list(rows[0]) == list(ABLATION_COLUMNS)
    assert [(r["table"], r["row"], r["seed"], r["width"], r["seen"]) for r in rows] == [
        (name, row, seed, width, seen)
        for name, row in (
            ("network", "usual"),
            ("network", "no residual"),
            ("draws", "K = 1"),
            ("draws", "K = 4"),
        )
        for seed in ("0", "1")
        for width, seen in (("2", "false"), ("4", "true"))
    ]
    assert {r["collapsed"] for r in rows} == {"false"}
    assert len({r["accuracy"] for r in rows}) > 2
    # "usual" and both rows of the second table are one INR for each seed, "no residual" another.
    assert runs.count == 4
    frame = read_frame("out/ablate.csv", ABLATION_COLUMNS)
    assert len(frame) == len(rows) and frame["seen"].dtype == bool


@pytest.mark.usefixtures("here")
def test_a_row_scores_what_the_trainer_makes_by_itself() -> None:
    params = write_params(DRAWS)
    assert ablate.main(FLAGS) == 0
    train = deepcopy(params["digits-lenet"]["train"])
    train["task"]["steps"] = 20
    dataset, family = toy_dataset(), toy_family()
    base, _, _ = read_network("permuted.safetensors")
    problem = make_problem(family, base, dataset, parse(TrainParams, train, "toy", "train"))
    inr = Trainer(problem, 0).run()
    for row in table():
        width, one = int(row["width"]), row["row"] == "K = 1"
        with torch.no_grad():
            made = inr.weights(
                at(width),
                draws=1 if one else 4,
                noise=0.0 if one else 0.5,
                generator=torch.Generator().manual_seed(0),
            )
        task, split = task_of(dataset), dataset.split("val")
        tally = evaluate(family.skeleton(at(width)), {**base, **made}, split, task)
        assert float(row["accuracy"]) == pytest.approx(deciding(task, tally), abs=1e-6)
        assert int(row["inr_params"]) == count_inr_params(inr)


@pytest.mark.usefixtures("here")
def test_draws_and_noise_are_those_of_the_row_or_else_the_usual_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights, asked = MorphableNetwork.weights, set()

    def spy(self: MorphableNetwork, point: Point, **how: Any) -> Any:
        asked.add((point["width"], how["draws"], how["noise"], how["generator"].initial_seed()))
        return weights(self, point, **how)

    monkeypatch.setattr(MorphableNetwork, "weights", spy)
    params = write_params(DRAWS)
    params["digits-lenet"]["sweep"] |= {"draws": 3, "seed": 9}
    params["digits-lenet"]["train"]["sample_noise"] = 0.25
    write_toy_params(Path("."), params)
    assert ablate.main(FLAGS) == 0
    assert asked == {(w, k, noise, 9) for w in (2, 4) for k, noise in ((1, 0.25), (4, 0.5))}


@pytest.mark.usefixtures("here")
def test_a_second_run_gives_the_same_bytes_with_and_without_kept_parts(runs: Runs) -> None:
    write_params(NETWORK)
    assert ablate.main(FLAGS) == 0
    first, trained = Path("out/ablate.csv").read_bytes(), runs.count
    record = json.loads(Path("out/ablate.run.json").read_text())
    assert ablate.main(FLAGS) == 0
    assert runs.count == trained
    again = json.loads(Path("out/ablate.run.json").read_text())
    assert again["seconds"] == pytest.approx(record["seconds"], abs=0.5)
    assert again["seconds"] > 0.2  # the time of the trainings, not of looking them up
    shutil.rmtree(KEPT)
    assert ablate.main(FLAGS) == 0
    assert runs.count == 2 * trained
    assert Path("out/ablate.csv").read_bytes() == first


@pytest.mark.usefixtures("here")
def test_a_killed_run_goes_on_and_an_added_row_trains_nothing_else(runs: Runs) -> None:
    write_params(NETWORK)
    runs.break_at = 1
    assert ablate.main(FLAGS) == 130
    assert not Path("out/ablate.csv").exists()
    runs.break_at = None
    assert ablate.main(FLAGS) == 0
    assert runs.count == 2
    more = deepcopy(NETWORK)
    more["rows"].insert(0, {"name": "small", "change": {"network.hidden": 8}})
    more["rows"].append({"name": "K = 2", "sample": {"draws": 2}})
    write_params(more, widths=[2, 3, 4])
    assert ablate.main(FLAGS) == 0
    assert runs.count == 3  # other draws and widths need no other INR
    assert [row["row"] for row in table()][::3] == ["small", "usual", "no residual", "K = 2"]
    sizes = {row["row"]: int(row["inr_params"]) for row in table()}
    assert sizes["small"] < sizes["usual"]


@pytest.mark.usefixtures("here")
def test_other_code_data_or_seed_is_measured_again(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_params(DRAWS)
    assert ablate.main(FLAGS) == 0
    assert runs.count == 1
    monkeypatch.setattr("neumeta.core.jobs.own_identity", lambda stage: f"other {stage}")
    assert ablate.main(FLAGS) == 0
    assert runs.count == 2
    write_params(DRAWS, seeds=[1])
    assert ablate.main(FLAGS) == 0
    assert runs.count == 3
    assert len(list(KEPT.rglob("*.safetensors"))) == 1  # INRs that nothing asks for are deleted


@pytest.mark.usefixtures("here")
def test_one_table_alone_leaves_its_parts_and_no_output(
    runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    write_params(NETWORK, DRAWS)
    with caplog.at_level("INFO", logger="neumeta"):
        assert ablate.main([*FLAGS, "--table", "draws"]) == 0
    assert runs.count == 1
    assert not Path("out/ablate.csv").exists()
    assert any(line.startswith("draws, K = 4, seed 0: ") for line in caplog.messages)
    assert not any("no residual" in line for line in caplog.messages)
    assert ablate.main(FLAGS) == 0
    assert runs.count == 2


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("count", [2, 4])
def test_shards_train_each_inr_once_and_the_run_that_joins_none(count: int, runs: Runs) -> None:
    write_params(NETWORK, DRAWS, seeds=[0, 1])
    assert ablate.main(FLAGS) == 0
    whole, trained = Path("out/ablate.csv").read_bytes(), runs.count
    shutil.rmtree("out")
    shutil.rmtree(KEPT)
    for index in range(1, count + 1):
        assert ablate.main([*FLAGS, "--shard", f"{index}/{count}"]) == 0
        assert not list(Path("out").iterdir())
    # Rows of one INR, sampled in other ways, go to one shard.
    assert runs.count == 2 * trained
    assert ablate.main(FLAGS) == 0
    assert runs.count == 2 * trained
    assert Path("out/ablate.csv").read_bytes() == whole


@pytest.mark.usefixtures("here")
def test_a_dead_generator_is_a_row_and_the_others_go_on() -> None:
    write_params(DEAD, NETWORK)
    assert ablate.main(FLAGS) == 0
    rows = table()
    dead = [row for row in rows if row["table"] == "dead"]
    assert {row["collapsed"] for row in dead} == {"true"}
    assert {row["collapsed"] for row in rows if row not in dead} == {"false"}
    # Three classes of equal size: a constant answer is right once in three.
    assert all(float(row["accuracy"]) == pytest.approx(1 / 3, abs=0.05) for row in dead)


@pytest.mark.usefixtures("here")
def test_rows_do_not_influence_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rows share (features, teacher) must be what each would compute alone."""
    made: list[TrainParams] = []

    def counting(family: Any, base: Any, dataset: Any, params: TrainParams) -> Problem:
        made.append(params)
        return make_problem(family, base, dataset, params)

    monkeypatch.setattr("neumeta.methods.metamorphosis.ablation.make_problem", counting)
    rows: list[dict[str, Any]] = [
        {"name": "centre", "change": {"coordinates.origin": "centre"}},
        {"name": "views", "change": {"augmentation": VIEWS}},
        {"name": "usual"},
        {"name": "no teacher", "change": {"losses.distillation": 0.0}},
    ]
    kept = []
    for order in (rows, rows[::-1]):
        short = {"task.steps": 6, "warm_start.steps": 6}
        write_params(NETWORK | {"rows": order, "change_base": short})
        assert ablate.main(FLAGS) == 0
        kept.append({path.name: path.read_bytes() for path in KEPT.glob("*/*")})
        shutil.rmtree(KEPT)
    inrs = [{n: b for n, b in files.items() if n.endswith(".safetensors")} for files in kept]
    assert len(inrs[0]) == len(rows)
    assert inrs[0] == inrs[1]
    assert len(made) == 4  # features once with views and one without, in each run


@pytest.mark.usefixtures("here")
def test_a_damaged_part_and_a_damaged_inr_are_made_again(
    runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    write_params(DRAWS)
    assert ablate.main(FLAGS) == 0
    before = Path("out/ablate.csv").read_bytes()
    for path in KEPT.glob("*/*"):
        path.write_bytes(b"{")
    assert ablate.main(FLAGS) == 0
    assert runs.count == 2
    assert sum("damaged" in line for line in caplog.messages) >= 3
    assert Path("out/ablate.csv").read_bytes() == before


@pytest.mark.usefixtures("here")
def test_without_tables_the_stage_writes_a_header_and_reads_nothing() -> None:
    write_params()
    for path in ("toy.safetensors", "permuted.safetensors"):
        Path(path).unlink()
    assert ablate.main(FLAGS) == 0
    assert Path("out/ablate.csv").read_text() == ",".join(ABLATION_COLUMNS) + "\n"
    assert Path("out/ablate.run.json").exists() and not KEPT.exists()
    assert len(read_frame("out/ablate.csv", ABLATION_COLUMNS)) == 0


def with_change(**changes: Any) -> dict[str, Any]:
    """A table whose second row has these changes."""
    broken = deepcopy(NETWORK)
    broken["rows"][1]["change"] = changes
    return broken


WRONG = [
    (
        with_change(**{"network.residul": False}),
        ["network.residul", "unknown key 'residul'", "residual_scale"],
    ),
    (with_change(**{"net.residual": False}), ["no section 'net'", "network"]),
    (with_change(**{"network.residual.x": False}), ["no section 'residual'"]),
    (with_change(**{"network.residual": 3}), ["network.residual: Input should be a valid boolean"]),
    (with_change(**{"task.lr": 5.0}), ["task.lr", "less than or equal to 1", "got 5.0"]),
    (with_change(seeds=[4]), ["seeds", "set ablate.seeds"]),
    (with_change(**{"losses.task": 0.0, "losses.distillation": 0.0}), ["losses", "are all 0"]),
]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("broken", "words"), WRONG, ids=lambda v: str(v)[-40:])
def test_a_wrong_change_is_one_line_that_names_table_row_and_key(
    broken: dict[str, Any], words: list[str], runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    write_params(DRAWS, broken)
    assert ablate.main(FLAGS) == 1
    line = error_line(capsys)
    where = "params.yaml: digits-lenet.ablate: table 'network', row 'no residual': "
    assert line.startswith(f"ablate: error: {where}")
    for word in words:
        assert word in line
    assert runs.count == 0 and not Path("out/ablate.csv").exists()
    with pytest.raises(UserError, match="table 'network', row 'no residual'") as caught:
        load_params("params.yaml")  # what `neumeta check` does, before anything runs
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("here")
def test_widths_outside_the_family_are_refused_before_any_work(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = with_change(**{"widths.stop": 7})
    for tables, changes, place in (
        ([wide], {}, "table 'network', row 'no residual'"),
        ([NETWORK], {"widths": [4, 7]}, "table 'network', row 'usual'"),
    ):
        write_params(*tables, **changes)
        assert ablate.main(FLAGS) == 1
        line = error_line(capsys)
        assert place in line and "width 7 is outside the lenet family; use 2..6" in line
        with pytest.raises(UserError, match=r"width 7 is outside the family's 2\.\.6"):
            load_params("params.yaml")
    assert runs.count == 0


@pytest.mark.usefixtures("here")
def test_an_unknown_table_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    write_params(NETWORK, DRAWS)
    assert ablate.main([*FLAGS, "--table", "nope"]) == 1
    assert "--table 'nope': no such table; allowed are network, draws" in error_line(capsys)


def test_changes_of_the_row_win_over_those_of_the_table() -> None:
    train = parse(TrainParams, toy_params()["digits-lenet"]["train"], "toy", "train")
    raw = deepcopy(NETWORK)
    raw["rows"][1]["change"] |= {"task.steps": 7, "probe_widths": [3]}
    checked = parse(AblateTable, raw, "toy", "table")
    usual, other = (row_params(train, checked, row) for row in checked.rows)
    assert (usual.task.steps, usual.network.residual) == (20, train.network.residual)
    assert (other.task.steps, other.network.residual) == (7, False)
    assert other.probe_widths == (3,)
    assert other.task.lr == train.task.lr
    assert train.task.steps == 60


def test_names_are_unique_and_the_reference_is_a_row() -> None:
    twice = deepcopy(NETWORK)
    twice["rows"][1]["name"] = "usual"
    with pytest.raises(UserError, match="row 'usual' is there twice"):
        parse(AblateParams, section(twice), "toy", "ablate")
    with pytest.raises(UserError, match="table 'network' is there twice"):
        parse(AblateParams, section(NETWORK, NETWORK), "toy", "ablate")
    with pytest.raises(UserError, match="reference 'best' is no row"):
        parse(AblateParams, section(NETWORK | {"reference": "best"}), "toy", "ablate")


def test_a_section_survives_the_way_through_yaml(tmp_path: Path) -> None:
    path = tmp_path / "ablate.yaml"
    text = """
split: test
widths: [64, 48]
seeds: [0, 1, 2]
tables:
  - name: residual
    title: Residual connections
    reference: with
    change_base: {task.steps: 600}
    rows:
      - {name: with, published: 91.87}
      - {name: without, change: {network.residual: false}, sample: {draws: 16, noise: 0.5}}
"""
    path.write_text(text)
    raw = YAML(typ="safe", pure=True).load(path)
    checked = parse(AblateParams, raw, path, "ablate")
    assert checked.tables[0].rows[0].published == 91.87
    assert checked.tables[0].rows[1].change == {"network.residual": False}
