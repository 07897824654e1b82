"""What a run computes on the way is compared, too: its table alone may hide another result."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from neumeta.core import jobs
from neumeta.core.checkpoint import to_bytes
from neumeta.gate.accept import Verdict
from neumeta.gate.worker import STATE, digest_of_tensors, weights_stepped
from tests.gate.project import Project

TRAIN, RULES = "neumeta/stages/train.py", "neumeta/rules.py"
# A stage whose table hides what it averaged, and which leaves nothing else behind.
KEPT = """\
import hashlib
import json
import os
import shutil
import struct
import time
from pathlib import Path

from neumeta import rules, tools

CODE = hashlib.sha256(Path(rules.__file__).read_bytes()).hexdigest()  # as folders of jobs are named


def tensors(values):
    body = struct.pack(f"<{len(values)}f", *values)
    facts = json.dumps({"kind": "inr", "seconds": time.time()})
    place = {"dtype": "F32", "shape": [len(values)], "data_offsets": [0, len(body)]}
    header = json.dumps({"__metadata__": {"neumeta": facts}, "average": place}).encode()
    return struct.pack("<Q", len(header)) + header + body


def atomically(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    Path(f"{path}.draft").write_bytes(content)
    os.replace(f"{path}.draft", path)


def main(argv):
    name, source, out = argv
    folder = Path("data/.resume") / name / CODE
    average = rules.average([1.0, 2.0, tools.read(source)])
    # WORK
    tools.write(out, len(average))
    return 0
"""
AVERAGE = '''\
"""What training computes."""

DECAY = 0.5


def average(values):
    found = [values[0]]
    for value in values[1:]:
        found.append(DECAY * found[-1] + (1 - DECAY) * value)
    return found
'''
ATOMIC = 'atomically(folder / "inr.safetensors", tensors(average))'
PLAIN = """folder.mkdir(parents=True)
    (folder / "inr.safetensors").write_bytes(tensors(average))"""
WAYS = {
    "kept": ATOMIC,
    "overwritten": f"{ATOMIC}\n    {ATOMIC.replace('average', '[0.0]')}",
    "removed with its folder": f'{ATOMIC}\n    shutil.rmtree("data/.resume", ignore_errors=True)',
    "removed alone": f'{PLAIN}\n    (folder / "inr.safetensors").unlink()',
    "not atomic": PLAIN,
    "not atomic, removed with its folder": f"{PLAIN}\n    shutil.rmtree(folder)",
}
OTHERS = {
    "the state of an unfinished job": ATOMIC.replace("inr.", "inr.state."),
    "no tensors": ATOMIC.replace("safetensors", "json"),
    "elsewhere": ATOMIC.replace("folder", 'Path("scratch")'),
}


def project_with(work: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose stage train works in this way, and whose results are by that code."""
    project = Project(root / "project")
    monkeypatch.setenv("TOY_LOG", str(project.log))
    project.write(RULES, AVERAGE)
    project.write(TRAIN, KEPT.replace("# WORK", work))
    project.write_lock(project.identities())
    project.commit()
    return project


@pytest.mark.parametrize("way", WAYS)
def test_what_a_stage_keeps_on_the_way_is_compared(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = project_with(WAYS[way], tmp_path, monkeypatch)
    project.edit(RULES, "DECAY = 0.5", "DECAY = 0.25")
    verdict = project.verdicts()["train"]
    assert verdict.runs == 0
    for name, fault in zip("ab", verdict.faults, strict=True):
        assert fault.startswith(f"train@{name}: trails/train@{name} differs in line ")
        assert "'file " in fault


def test_places_times_and_order_may_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of jobs are named after the code, which is another here."""
    second = ATOMIC.replace("inr.", "other.").replace("average", "[0.0]")
    project = project_with(f"{ATOMIC}; {second}", tmp_path, monkeypatch)
    project.edit(RULES, "def average(values):\n", "def average(values):\n    values = values[:]\n")
    project.edit(TRAIN, f"{ATOMIC}; {second}", f"{second}; {ATOMIC.replace('inr.', 'new.')}")
    assert project.verdicts() == {"train": Verdict("train", 2)}


@pytest.mark.parametrize("what", OTHERS)
def test_nothing_else_is_compared(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = project_with(OTHERS[what], tmp_path, monkeypatch)
    project.edit(RULES, "DECAY = 0.5", "DECAY = 0.25")
    assert project.verdicts() == {"train": Verdict("train", 2)}


def test_states_of_jobs_end_as_the_worker_knows() -> None:
    assert STATE == jobs.STATE


def test_weights_are_taken_down_after_each_step() -> None:
    def steps(decay: float) -> list[str]:
        weight = nn.Parameter(torch.ones(2))
        optimiser = torch.optim.SGD([weight], lr=0.1, weight_decay=decay)
        found: list[str] = []
        with weights_stepped(found):
            for _ in range(3):
                weight.grad = torch.zeros(2)
                optimiser.step()
        optimiser.step()
        return found

    assert len(set(steps(0.5))) == 3, "what comes after the run does not count"
    assert steps(0.5) == steps(0.5) and not {*steps(0.5)} & {*steps(0.25)}


def test_tensors_are_told_apart_by_all_but_times() -> None:
    def digest(value: float = 1.0, name: str = "a", **header: object) -> str:
        facts = {"kind": "inr", "noise": 0.5, "seconds": 1.0} | header
        return digest_of_tensors(to_bytes({name: torch.full((2,), value)}, facts))

    assert digest() == digest(seconds=2.0) == digest(seconds_each=[1.0], seconds_shared=3.0)
    found = {digest(), digest(value=-1.0), digest(name="b"), digest(noise=0.25), digest(new=None)}
    assert len(found) == 5
    whole = to_bytes({"a": torch.ones(2)}, {"kind": "inr"})
    broken = [whole[:4], whole[:30], whole[:-1], b"", b"\0" * 8, json.dumps([1]).encode()]
    assert len({digest_of_tensors(one) for one in broken}) == len(broken)
