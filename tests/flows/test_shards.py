"""Jobs on Dask workers, against a real server and with real child processes."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows.environment import child_environment
from tests.flows.toy import PROJECT, Flows, alive, dvc, shell, wait_for

# DVC 3.67 reads an attribute that pygtrie has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

EXPERIMENT = Path("data/experiments/digits-lenet")

# Plays the stage: a shard leaves its number of threads, and sleeps or fails if told so.
SCRIPT = """\
import os, sys, time
from pathlib import Path
told = Path("told.txt").read_text()
if "--shard" in sys.argv:
    part = Path("part-" + sys.argv[-1].replace("/", "-"))
    part.write_text(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']}")
    if "sleep" in told:
        time.sleep(60)
    if "fail" in told:
        sys.exit("no such width")
else:
    Path("sweep.csv").write_text("".join(sorted(p.name for p in Path().glob("part-*"))))
"""
STAGE = {
    "cmd": "python stage.py",
    "deps": ["told.txt"],
    "outs": ["sweep.csv"],
    "meta": {"shards": True},
}


def make_repository(folder: Path, name: str, entry: dict[str, object]) -> Path:
    """A repository of one stage."""
    with (folder / "dvc.yaml").open("w") as stream:
        YAML(typ="safe", pure=True).dump({"stages": {name: entry}}, stream)
    shell("git", "init", "-q", "-b", "main", cwd=folder)
    dvc("init", "-q", cwd=folder)
    return folder


@pytest.fixture
def scripted(tmp_path: Path) -> Path:
    """A stage that does what told.txt says, in shards too."""
    (tmp_path / "stage.py").write_text(SCRIPT)
    return make_repository(tmp_path, "sweep", {"foreach": ["alpha"], "do": STAGE})


@pytest.fixture
def scheduler() -> Iterator[str]:
    """A Dask scheduler with two workers, each a process of its own."""
    code = (
        "import sys\n"
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    nobody = '127.0.0.1:0'\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=nobody) as c:\n"
        "        print(c.scheduler_address, flush=True)\n"
        "        sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdin
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def started(part: Path) -> str:
    """What a shard wrote when it started: its process id and its number of threads."""
    return str(wait_for(lambda: part.exists() and part.read_text(), 60, "no shard started"))


@pytest.mark.parametrize(("stage", "out", "jobs"), [("sweep", "sweep.csv", 8), ("train", "inr", 2)])
def test_two_local_workers_give_the_bytes_of_one_run(
    stage: str, out: str, jobs: int, finished: Path, tmp_path: Path, flows: Flows
) -> None:
    """The project's own stages, at toy size."""
    root = Path(shutil.copytree(finished, tmp_path / "project"))
    entry = YAML(typ="safe", pure=True).load((PROJECT / "dvc.yaml").read_text())["stages"][stage]
    entry["foreach"] = {"digits-lenet": "digits"}
    # Which code and selection they are run with does not matter here.
    entry["do"]["params"] = [key for key in entry["do"]["params"] if isinstance(key, str)]
    make_repository(root, stage, entry)
    place = root / EXPERIMENT / out
    whole = contents(place)
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    code, output = flows.run(root, "--workers", "2")
    assert code == 0, output
    assert output.rstrip().endswith("1 ran")
    for index in (1, 2):
        line = f"{stage} digits-lenet, shard {index}/2: 0 jobs were there, {jobs // 2} done now"
        assert f"{stage}@digits-lenet {index}/2' - {line}" in output
    assert f"{stage} digits-lenet: {jobs} jobs were there, 0 done now" in output
    assert contents(place) == whole
    assert not list((root / "data/.resume").glob(f"*/{stage}"))
    assert "up to date" in dvc("status", cwd=root)


def contents(place: Path) -> dict[str, bytes]:
    """Of a file, or of the files in a folder."""
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    return {path.name: path.read_bytes() for path in files}


def test_workers_of_a_running_scheduler_measure_too(
    scripted: Path, flows: Flows, scheduler: str
) -> None:
    (scripted / "told.txt").write_text("fail")
    local = ["--workers", "2"]
    on_dask = [*local, "--scheduler", scheduler]
    for arguments in (local, on_dask):
        code, output = flows.run(scripted, *arguments)
        assert code == 1
        assert output.rstrip().endswith("error: failed: sweep@alpha (nothing ran)")
        assert "/2 ended with exit code 1: no such width" in output
        assert "Traceback" not in output
        assert not (scripted / "sweep.csv").exists()
    (scripted / "told.txt").write_text("")
    code, output = flows.run(scripted, *on_dask)
    assert code == 0, output
    assert (scripted / "sweep.csv").read_text() == "part-1-2part-2-2"


@pytest.mark.parametrize("where", ["local", "scheduler"])
def test_ending_the_flow_ends_the_shards_at_once(
    where: str,
    scripted: Path,
    flows: Flows,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "777")  # not what a shard must get
    arguments = ["--workers", "2"]
    if where == "scheduler":
        arguments += ["--scheduler", request.getfixturevalue("scheduler")]
    (scripted / "told.txt").write_text("sleep")
    process = flows.start(scripted, *arguments)
    parts = [scripted / f"part-{index}-2" for index in (1, 2)]
    texts = [started(part) for part in parts]
    pids = [int(text.split()[0]) for text in texts]
    assert {text.split()[1] for text in texts} == {str(max(1, (os.cpu_count() or 1) // 2))}
    assert all(alive(pid) for pid in pids)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: not any(alive(pid) for pid in pids), 30, "a shard still runs")
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert not (scripted / "sweep.csv").exists()
