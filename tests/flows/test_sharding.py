"""How a stage is divided: commands, threads, and what is refused."""

import socket
from pathlib import Path

import pytest

from flows import width_report
from flows.errors import FlowError
from flows.plan import Stage
from flows.sharding import Sharding, Worker, shard_commands, threads_of, with_threads
from flows.stage_task import StageError
from flows.width_report import main, shards_before

SWEEP = Stage("sweep@alpha", "python -m stage --out 'a b.csv'", shards=True)


def test_a_shard_is_the_command_of_the_stage_with_one_flag() -> None:
    assert shard_commands(SWEEP, 2) == {
        "sweep@alpha 1/2": ["sh", "-c", "python -m stage --out 'a b.csv' --shard 1/2"],
        "sweep@alpha 2/2": ["sh", "-c", "python -m stage --out 'a b.csv' --shard 2/2"],
    }


def test_a_stage_of_two_commands_is_refused() -> None:
    with pytest.raises(FlowError, match="sweep@a: has several commands"):
        shard_commands(Stage("sweep@a", "one\ntwo"), 2)


def test_threads_are_set_for_the_child() -> None:
    command = with_threads(["sh", "-c", "x"], 3)
    assert command == ["env", "OMP_NUM_THREADS=3", "MKL_NUM_THREADS=3", "sh", "-c", "x"]


@pytest.mark.parametrize(
    ("workers", "shards", "threads"),
    [
        ({"a": Worker("h", 1, 8), "b": Worker("h", 1, 8)}, 2, {"a": 4, "b": 4}),
        ({"a": Worker("h", 1, 2), "b": Worker("h", 1, 2), "c": Worker("h", 1, 2)}, 3, "111"),
        ({"a": Worker("h", 1, 8), "b": Worker("i", 1, 4)}, 2, {"a": 8, "b": 4}),
        ({"a": Worker("h", 16, 16)}, 4, {"a": 4}),  # more room than shards
        ({"a": Worker("h", 2, 16)}, 8, {"a": 8}),  # two at once, the others wait
    ],
)
def test_the_cores_of_a_machine_are_divided_among_its_shards(
    workers: dict[str, Worker], shards: int, threads: dict[str, int] | str
) -> None:
    expected = dict.fromkeys(workers, 1) if threads == "111" else threads
    assert threads_of(workers, shards) == expected


def test_what_takes_shards_is_divided_and_only_on_request() -> None:
    assert Sharding(2).concerns(SWEEP)
    assert not Sharding(1).concerns(SWEEP)
    assert not Sharding(2).concerns(Stage("train@alpha"))
    assert not Sharding(2).concerns(Stage("sweep@alpha"))  # its name says nothing
    assert Sharding(2).concerns(Stage("train@alpha", shards=True))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--workers", "0"], "workers 0: must be 1 or more"),
        (
            ["--scheduler", "tcp://127.0.0.1:1"],
            "scheduler: needs workers of 2 or more",
        ),
        (
            ["--workers", "2", "--scheduler", "here"],
            "scheduler 'here': must be an address such as tcp://10.0.0.5:8786",
        ),
        (
            ["--workers", "2", "--scheduler", "tcp://127.0.0.1:99999"],
            "scheduler tcp://127.0.0.1:99999: no scheduler answers (",
        ),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {text}") and error.count("\n") == 1


def test_a_scheduler_must_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sharding = Sharding(2, f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        sharding.check_scheduler()
    with pytest.raises(FlowError, match="no scheduler answers"):
        sharding.check_scheduler()
    Sharding(2).check_scheduler()  # workers of our own need none


def test_shards_are_run_only_for_a_stage_that_will_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Stage] = []

    def measure(stage: Stage, root: Path, sharding: Sharding) -> None:
        measured.append(stage)
        raise StageError(stage.name, "failed", "no such width")

    changes: dict[str, str] = {}
    monkeypatch.setattr(width_report, "run_shards", measure)
    monkeypatch.setattr(width_report, "read_graph", lambda root: ([SWEEP], changes))
    two = Sharding(2)
    assert shards_before(SWEEP, tmp_path, False, two) == ""
    assert measured == []
    assert shards_before(SWEEP, tmp_path, True, two) == "no such width"
    changes["sweep@alpha"] = "dep changed"
    assert shards_before(SWEEP, tmp_path, False, two) == "no such width"
    assert shards_before(SWEEP, tmp_path, False, Sharding(1)) == ""
    assert measured == [SWEEP, SWEEP]
