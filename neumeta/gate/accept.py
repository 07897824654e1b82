"""Lets results outlive a change of code, where old and new code were run and gave the same bytes.

Every committed experiment has a twin: its own parameters with budgets cut to seconds, on data of
the same shape. A stage whose code changed is run in each of its twins, by the code that made the
results and by the working tree, from the same inputs; if all outputs agree, the ledger notes that
the new code stands for the old. Stages that differ are left out: their results are stale.
"""

import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neumeta.core.errors import UserError
from neumeta.core.history import git
from neumeta.core.identity import closure_of, read_tree, stage_modules
from neumeta.core.ledger import LEDGER, Entry, identities, read_ledger, write_ledger
from neumeta.core.reading import read_yaml
from neumeta.gate.budgets import cut
from neumeta.gate.coverage import Unrun, unrun_statements
from neumeta.gate.inputs import fitting_family, make_checkpoint, make_data
from neumeta.gate.memory import Memory
from neumeta.gate.results import Result, identities_at, made_at, read_results
from neumeta.gate.side import Side, write_params
from neumeta.gate.twins import Findings, run_twins
from neumeta.gate.worker import HEAVY

KEPT = Path("data/.resume/twins")
TREE_FILES = ("neumeta", "params.yaml", "requirements.lock")


@dataclass(frozen=True)
class Verdict:
    """What the twins say of one stage.

    Attributes:
        stage: Its name.
        runs: How many of its runs agree.
        faults: Why it is not accepted, one line a run; empty where it is.
        others: Results that were made by other code than that of the base, and stay stale.
    """

    stage: str
    runs: int
    faults: tuple[str, ...] = ()
    others: int = 0


@dataclass(frozen=True)
class Outcome:
    """What `accept` did.

    Attributes:
        base: Revision that was compared with.
        verdicts: One for each stage whose code changed.
        unrun: Changed statements that no twin ran.
        seconds: Time of the comparison.
    """

    base: str
    verdicts: tuple[Verdict, ...]
    unrun: Unrun
    seconds: float


def stale_results(root: Path, results: Iterable[Result]) -> list[Result]:
    """List the results that were made by other code than the tree's.

    Args:
        root: The project.
        results: Committed runs.

    Returns:
        Those of them.
    """
    now = identities(read_tree(root), read_ledger(root / LEDGER))
    return [result for result in results if now.get(result.stage) != result.identity]


def accept(
    why: str,
    root: str | Path = ".",
    base: str | None = None,
    packages: Sequence[str] = HEAVY,
) -> Outcome | None:
    """Compare old and new code by twins, and note in the ledger which stages agree.

    Args:
        why: What was changed, for the ledger.
        root: The project.
        base: Revision to compare with; None for the newest whose code is that of the results.
        packages: What the stages import that takes long; imported once for all twins.

    Returns:
        The outcome; None if no committed result is by other code.

    Raises:
        UserError: If there is nothing to compare with.
    """
    place = Path(root)
    results = read_results(place)
    stale_ones = stale_results(place, results)
    if not stale_ones:
        return None
    start = time.monotonic()
    stale = sorted({result.stage for result in stale_ones})
    revision = base or made_at(place, stale_ones)
    made = identities_at(place, revision, stale)
    others = {s: [r for r in results if r.stage == s and r.identity != made.get(s)] for s in stale}
    with tempfile.TemporaryDirectory(prefix="neumeta-twins-") as scratch:
        folder = Path(scratch).resolve()
        old_tree, new_tree = _trees(place, revision, folder)
        old, new = read_tree(old_tree), read_tree(new_tree)
        findings = Findings()
        for stage in stale:
            if fault := _hopeless(stage, old, new):
                findings.note(stage, fault)
            elif all(r in others[stage] for r in results if r.stage == stage):
                findings.note(stage, "the base holds other code than made its results")
        wanted = [r for r in results if r.stage in stale and r.stage not in findings.faults]
        earlier = {r.name: r for r in read_results(folder / "old-lock")}
        memory = Memory(place / KEPT)
        with _sides(folder, old_tree, new_tree, memory, packages) as (before, after):
            run_twins(wanted, earlier, before, after, findings)
        memory.forget_others()
        unrun = unrun_statements(old_tree, new_tree, after.coverage, _files_of(stale, new))
        ledger = {s: dict(e) for s, e in read_ledger(place / LEDGER).items()}
        short = git(place, "rev-parse", "--short=12", revision).decode().strip()
        verdicts = []
        for stage in stale:
            runs, faults = findings.agreed.get(stage, 0), findings.faults.get(stage, [])
            verdicts.append(Verdict(stage, runs, tuple(faults), len(others[stage])))
            if not faults and runs:
                own = {r.identity for r in results if r.stage == stage and r.identity}
                entries = {c: e for c, e in ledger.get(stage, {}).items() if e.identity in own}
                entry = Entry(identity=made[stage], why=why, base=short, twins=runs)
                ledger[stage] = {**entries, closure_of(stage, new).digest(): entry}
        write_ledger(place / LEDGER, ledger)
    return Outcome(short, tuple(verdicts), unrun, time.monotonic() - start)


def _trees(root: Path, revision: str, folder: Path) -> tuple[Path, Path]:
    """Lay out the old tree and a copy of the new one, which may go on changing."""
    old, new = folder / "old-tree", folder / "new-tree"
    names = git(root, "ls-tree", "--name-only", revision).decode().split()
    wanted = [name for name in (*TREE_FILES, "dvc.lock") if name in names]
    (folder / "old.tar").write_bytes(git(root, "archive", revision, *wanted))
    # Pythons before 3.11.4 know no filters, those from 3.12 on warn without one.
    safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(folder / "old.tar") as archive:
        archive.extractall(old, **safe)
    for name in TREE_FILES:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, new / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            new.mkdir(exist_ok=True)
            shutil.copy(source, new / name)
    (folder / "old-lock").mkdir()
    shutil.copy(old / "dvc.lock", folder / "old-lock/dvc.lock")
    return old, new


def _hopeless(stage: str, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> str | None:
    """Why twins can say nothing of a stage, if so."""
    if stage not in stage_modules(old) or stage not in stage_modules(new):
        return "it is not on both sides"
    before, after = closure_of(stage, old).packages, closure_of(stage, new).packages
    moved = [
        f"{name} {before[name]} -> {after[name]}"
        for name in sorted({*before} & {*after})
        if before[name] != after[name]
    ]
    if moved:
        return f"another version of {', '.join(moved)}: both sides would run the installed one"
    return None


@contextmanager
def _sides(
    folder: Path, old_tree: Path, new_tree: Path, memory: Memory, packages: Sequence[str]
) -> Iterator[tuple[Side, Side]]:
    inputs = folder / "inputs"
    sides = []
    for name, tree in (("old", old_tree), ("new", new_tree)):
        write_params(folder / name, twin_params(read_yaml(tree / "params.yaml"), inputs))
        sides.append(Side(tree, folder / name, inputs, memory, packages))
    with sides[0] as before, sides[1] as after:
        yield before, after


def twin_params(params: Mapping[str, Any], inputs: Path) -> dict[str, Any]:
    """Make the parameters of all twins.

    Args:
        params: The whole of params.yaml.
        inputs: Where data and base networks of the twins are put.

    Returns:
        The same sections, cut.
    """
    twins: dict[str, Any] = {key: cut(value, key) for key, value in params.items()}
    twins["data"] = make_data(inputs / "data", twins.get("data", {}))
    for section in twins.values():
        if isinstance(section, dict) and {"family", "fetch"} <= {*section}:
            section["family"] = fitting_family(section["family"])
            with suppress(UserError):  # its stages then fail on both sides, and say why
                section["fetch"] = make_checkpoint(inputs / "checkpoints", section)
    return twins


def _files_of(stages: Iterable[str], files: Mapping[str, bytes]) -> set[str]:
    known = stage_modules(files)
    return {path for stage in stages if stage in known for path in closure_of(stage, files).files}
