"""A section of params.yaml takes any network through the pipeline: no code."""

import json
from pathlib import Path

import pandas as pd
import pytest

from neumeta.core.checkpoint import read_header
from neumeta.measure.results import read_results
from tests.stages.commands import run_stage
from tests.toy import toy_params, write_toy_params

STAGES = ("data", "fetch", "permute", "train", "sweep", "costs", "merge", "baselines", "ablate")
FAMILY = {
    "name": "traced",
    "build": "tests.own_network:own_network",
    "options": {"num_classes": 10, "channels": 8},
    "base_width": 4,
    "min_width": 1,
    "max_width": 4,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an own network has gone through all stages."""
    place = tmp_path_factory.mktemp("own")
    params = toy_params()
    section = params["digits-lenet"]
    section["family"] = FAMILY
    section["fetch"]["recipe"]["epochs"] = 6
    coordinates = {"jitter": "channel", "origin": "centre", "size": "none"}
    section["train"] |= {"coordinates": coordinates, "seeds": [0]}
    section["train"]["optimiser"] = section["train"]["optimiser"] | {"muon_momentum": 0.95}
    section["train"]["warm_start"]["steps"] = 200
    section["train"]["task"] |= {"steps": 40, "lr": 4e-4}
    section["baselines"]["individual"] = None
    params["run"] = ["digits-lenet"]
    write_toy_params(place, params)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for stage in (*STAGES, "report", "index"):
            assert run_stage(stage) == 0, stage
    return place


def test_every_method_is_measured_at_its_sizes(folder: Path) -> None:
    experiment = folder / "data/experiments/digits-lenet"
    merged, swept = (read_results(experiment / name) for name in ("merge.csv", "sweep.csv"))
    bare = read_results(experiment / "baselines.csv").query("method == 'interpolated'")
    sizes = [dict(zip(t["width"], t["params"], strict=True)) for t in (merged, bare)]
    assert sizes[0] == sizes[1] and sorted(sizes[0]) == [2, 3, 4]
    assert swept.groupby("method")["params"].nunique().eq(3).all()
    best = merged.set_index("width")["accuracy"]
    assert best[4] > 0.6  # the base network itself
    costs = pd.read_csv(experiment / "costs.csv")
    assert costs["params"].tolist() == merged["params"].tolist()


def test_the_report_shows_the_merge_and_what_networks_cost(folder: Path) -> None:
    page = (folder / "reports/digits-lenet/index.html").read_text(encoding="utf-8")
    assert "Merged" in page and "Latency" in page
    run = json.loads((folder / "data/runs/costs/digits-lenet.run.json").read_text())
    assert [*run["latency"]] == ["2", "3", "4"] and run["machine"] == "cpu, 1 thread"
    assert (folder / "reports/digits-lenet/accuracy_vs_cost.svg").exists()


def test_files_name_the_builder(folder: Path) -> None:
    header = read_header(folder / "data/experiments/digits-lenet/inr/seed-0.safetensors")
    assert header["family"]["build"] == FAMILY["build"]
