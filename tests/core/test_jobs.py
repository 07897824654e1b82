"""The one store of finished jobs: what is kept, when it is found again, and how it is shared."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neumeta.core import jobs as module
from neumeta.core import unchanged
from neumeta.core.device import CPU
from neumeta.core.errors import UserError
from neumeta.core.jobs import STATE, Finished, Job, JobStore, shared_by
from neumeta.core.ledger import Entry, write_ledger
from neumeta.core.processes import ProcessGroup
from neumeta.core.shard import Shard, asked_shard, parse_shard


def store_in(folder: Path, shared: Any = "shared") -> JobStore[float]:
    return JobStore(folder, shared, encode=lambda value: [value], decode=lambda c: float(c[0]))


class Work:
    """Jobs that note when they are done."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def job(self, settings: Any, name: str = "", together: Any = None) -> Job[float]:
        def run() -> float:
            self.done.append(settings)
            return float(len(self.done))

        return Job(name or f"job {settings}", settings, run, together)


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_finished_jobs_are_not_done_again(tmp_path: Path) -> None:
    work = Work()
    assert store_in(tmp_path).run([work.job(1), work.job(2)]) == [1.0, 2.0]
    store = store_in(tmp_path)
    assert store.run([work.job(2), work.job(3), work.job(1)]) == [2.0, 3.0, 1.0]
    assert work.done == [1, 2, 3]
    assert (store.found, store.done) == (2, 1)


def test_a_killed_run_keeps_what_was_finished(tmp_path: Path) -> None:
    work = Work()

    def killed() -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_in(tmp_path).run([work.job(1), Job("killed", 2, killed)])
    store_in(tmp_path).run([work.job(1), work.job(2)])
    assert work.done == [1, 2]


def test_a_name_is_for_people_and_equal_settings_are_one_job(tmp_path: Path) -> None:
    work = Work()
    jobs = [work.job(1, "a"), work.job(2), work.job(1, "b")]
    assert store_in(tmp_path).run(jobs) == [1.0, 2.0, 1.0]
    assert work.done == [1, 2]
    assert store_in(tmp_path).seconds(jobs) == sum(
        json.loads(path.read_text())["seconds"] for path in kept(tmp_path)
    )


@pytest.mark.parametrize("value", [1 / 3, math.pi, 1e-320, math.inf, math.nan])
def test_numbers_come_back_to_the_last_bit(value: float, tmp_path: Path) -> None:
    job = Job("a", 1, lambda: value)
    store_in(tmp_path).run([job])
    found = store_in(tmp_path).read(job)
    assert found is not None
    assert found.value == value or (math.isnan(value) and math.isnan(found.value))


def test_time_is_that_of_all_attempts(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    slow: Job[float] = Job("a", 1, lambda: Finished(5.0, 1000.0))
    assert store.run([slow, Job("b", 2, lambda: 1.0)]) == [5.0, 1.0]
    assert 1000 <= store.seconds([slow, Job("b", 2, lambda: 1.0)]) < 1010


@pytest.mark.parametrize("text", ['{"value": [', "[]", '{"seconds": 1.0}', '{"value": ["x"]}', ""])
def test_a_damaged_result_is_done_again(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work, store = Work(), store_in(tmp_path)
    store.run([work.job(1)])
    store.path(1).write_text(text)
    assert store.read(work.job(1)) is None
    assert "damaged" in caplog.text and "doing job 1 again" in caplog.text
    assert kept(tmp_path) == []
    store.run([work.job(1)])
    assert work.done == [1, 1]


def test_the_state_of_an_unfinished_job_goes_when_it_is_finished(tmp_path: Path) -> None:
    store, work = store_in(tmp_path), Work()
    for settings in (1, 2):
        store.path(settings, STATE).parent.mkdir(exist_ok=True)
        store.path(settings, STATE).write_bytes(b"half")
    store.run([work.job(1)])
    assert kept(tmp_path) == sorted([store.path(1), store.path(2, STATE)])


def test_nothing_of_other_inputs_is_found_and_it_can_be_forgotten(tmp_path: Path) -> None:
    work = Work()
    root = tmp_path / "experiment" / "stage"
    store_in(root, "old").run([work.job(1)])
    new = store_in(root, "new")
    assert new.read(work.job(1)) is None
    assert store_in(root, "old").read(work.job(1)) is not None
    new.run([work.job(1)])
    new.forget_stale()
    assert store_in(root, "old").read(work.job(1)) is None
    assert new.read(work.job(1)) is not None
    new.remove()
    assert not root.parent.exists()


def test_what_nobody_asks_for_is_forgotten(tmp_path: Path) -> None:
    work, store = Work(), store_in(tmp_path)
    store.run([work.job(1), work.job(2)])
    store.path(1, ".inr").write_bytes(b"")
    store.forget_others([store.path(2)], "*.json")
    assert kept(tmp_path) == sorted([store.path(2), store.path(1, ".inr")])


@given(st.integers(0, 60), st.integers(1, 70))
def test_shards_divide_the_work(items: int, count: int) -> None:
    shares = [parse_shard(f"{i}/{count}").of(range(items)) for i in range(1, count + 1)]
    assert sorted(item for share in shares for item in share) == list(range(items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "1/2/3", "-1/2", "1/x", "1/ 2"])
def test_a_wrong_shard_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="must be I/N with I from 1 to N, for example 1/4"):
        asked_shard(text)


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_shards_leave_nothing_for_the_run_that_joins(count: int, tmp_path: Path) -> None:
    work = Work()
    jobs = [work.job(number) for number in (1, 2, 3, 2, 4, 5)]
    shares = [
        store_in(tmp_path).run(jobs, shard=Shard(index, count)) for index in range(1, count + 1)
    ]
    assert sorted(work.done) == [1, 2, 3, 4, 5]
    assert asked_shard(None) is None
    whole = store_in(tmp_path).run(jobs, shard=asked_shard(None))
    assert len(work.done) == 5
    assert {value for share in shares for value in share} == set(whole)
    assert len(whole) == len(jobs) and whole[1] == whole[3]


def test_a_share_does_not_depend_on_what_is_done(tmp_path: Path) -> None:
    work = Work()
    jobs = [work.job(number) for number in range(6)]
    store_in(tmp_path).run(jobs[:1])
    store_in(tmp_path).run(jobs, shard=Shard(2, 2))
    assert work.done == [0, 1, 3, 5]


def test_jobs_that_need_the_same_go_to_one_shard(tmp_path: Path) -> None:
    work = Work()
    jobs = [work.job(number, together={"inr": number // 3}) for number in range(9)]
    for index, expected in ((1, [0, 1, 2, 6, 7, 8]), (2, [3, 4, 5])):
        work.done.clear()
        store_in(tmp_path).run(jobs, shard=Shard(index, 2))
        assert work.done == expected


def test_the_leading_process_alone_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agreed: list[str] = []
    monkeypatch.setattr(ProcessGroup, "agree", lambda self, state: agreed.append(state))
    work = Work()
    follower = store_in(tmp_path)
    assert follower.run([work.job(1), work.job(2)], processes=ProcessGroup(1, 2)) == [1.0, 2.0]
    assert kept(tmp_path) == []
    leader = store_in(tmp_path)
    leader.run([work.job(1)], processes=ProcessGroup(0, 2))
    assert kept(tmp_path) == [leader.path(1)]
    leader.run([work.job(1)], processes=ProcessGroup(0, 2))
    assert agreed == ["job 1, job 2 to do", "job 1 to do", "nothing to do"]


MODULE = "neumeta/stages/sweep.py"


def project(folder: Path) -> Callable[[str], None]:
    """A project whose one stage has the given code."""
    (folder / MODULE).parent.mkdir(parents=True)

    def write(code: str) -> None:
        (folder / MODULE).write_text(code)

    return write


def test_jobs_are_found_again_after_a_refactoring_that_was_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "ROOT", tmp_path)
    write, data, work = project(tmp_path), tmp_path / "data", Work()
    data.write_bytes(b"1")

    def found() -> bool:
        shared = shared_by("sweep", {"draws": 3}, {"dataset": data}, CPU)
        return store_in(tmp_path / "kept", shared).read(work.job(1)) is not None

    write("x = 1 + 1")
    before = unchanged.own_identity("sweep")
    store_in(tmp_path / "kept", shared_by("sweep", {"draws": 3}, {"dataset": data}, CPU)).run(
        [work.job(1)]
    )
    assert found()
    write("x = 1 + 1  # a comment")
    assert found()
    write("x = 2")
    assert not found()
    entry = Entry(identity=before, why="simpler", base="abc", twins=1)
    write_ledger(tmp_path / "code.yaml", {"sweep": {unchanged.own_identity("sweep"): entry}})
    assert found()
    data.write_bytes(b"2")
    assert not found()


def test_code_is_part_of_what_jobs_share(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = shared_by("sweep", None, {}, CPU)
    assert shared["code"] == unchanged.own_identity("sweep") != unchanged.own_identity("train")
    monkeypatch.setattr(module, "own_identity", lambda stage: f"other code of {stage}")
    assert shared_by("sweep", None, {}, CPU)["code"] == "other code of sweep"


def test_devices_of_one_type_share_jobs_and_the_cpu_keeps_its_own() -> None:
    def shared(name: str) -> dict[str, Any]:
        return shared_by("sweep", None, {}, torch.device(name))

    assert "device" not in shared("cpu")  # keys are what they were before there was a choice
    assert shared("cuda:0") == shared("cuda:1") == shared("cpu") | {"device": "cuda"}
