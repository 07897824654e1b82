"""`dvc repro` on the whole toy pipeline: it reruns what a change can reach, and nothing else."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.stages.commands import STAGES
from tests.toy import ROOT, toy_params, write_toy_params

ALL = (*STAGES, "index")


def dvc(folder: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def stages_run(output: str) -> set[str]:
    return {found.split("@")[0] for found in re.findall(r"Running stage '([^']+)'", output)}


def test_dvc_reruns_exactly_what_a_change_can_reach(tmp_path: Path) -> None:
    """The whole toy pipeline by `dvc repro`, then one change after another."""
    folder = tmp_path / "project"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "neumeta", folder / "neumeta", ignore=skip)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    params = toy_params()
    write_toy_params(folder, params)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    dvc(folder, "init", "-q")
    assert stages_run(dvc(folder, "repro")) == set(ALL)
    second = dvc(folder, "repro")
    assert stages_run(second) == set()
    assert "up to date" in second

    # What a fresh clone holds is enough to see that the lock matches the code.
    clone, cache = tmp_path / "clone", shutil.ignore_patterns("cache", "data", "tmp")
    shutil.copytree(folder, clone, ignore=cache)
    assert stages_run(dvc(clone, "repro", "--dry", "--allow-missing")) == set()

    params["digits-lenet"]["report"]["title"] = "Another title"
    write_toy_params(folder, params)
    assert set(json.loads(dvc(folder, "status", "--json"))) == {"report@digits-lenet"}

    made = ["sweep", "baselines", "ablate", "study"]
    items = {"study": "permutation-study"}
    measured = [f"{stage}@{items.get(stage, 'digits-lenet')}" for stage in made]
    params["digits-lenet"]["train"]["task"]["lr"] *= 0.9
    write_toy_params(folder, params)
    assert stages_run(dvc(folder, "repro", *measured)) == {"train", "sweep", "ablate", "study"}
    reports = {"report@digits-lenet", "study_report@permutation-study"}
    assert set(json.loads(dvc(folder, "status", "--json"))) == reports

    params["digits-lenet"]["baselines"]["individual"]["seeds"] = [3]
    params["digits-lenet"]["train"]["task"]["lr"] /= 0.9
    write_toy_params(folder, params)
    back = stages_run(dvc(folder, "repro", *measured))
    assert back == {"baselines"}, "the run cache must restore a known training"
    assert set(json.loads(dvc(folder, "status", "--json"))) == {"report@digits-lenet"}
