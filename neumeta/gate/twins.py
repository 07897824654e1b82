"""Runs twins by old and new code, from the same inputs, and compares what they write."""

import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neumeta.core.progress import progress
from neumeta.gate.compare import first_difference
from neumeta.gate.results import Result, reads
from neumeta.gate.side import Side, trail_of


@dataclass
class Findings:
    """What came out of all comparisons, filled run by run.

    Attributes:
        agreed: Runs by stage.
        faults: Faults by stage.
    """

    agreed: dict[str, int] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def note(self, stage: str, fault: str | None) -> None:
        """Add the outcome of one run.

        Args:
            stage: Its stage.
            fault: None if it agrees.
        """
        if fault is None:
            self.agreed[stage] = self.agreed.get(stage, 0) + 1
        else:
            self.faults.setdefault(stage, []).append(fault)


def run_twins(
    wanted: Sequence[Result],
    earlier: Mapping[str, Result],
    before: Side,
    after: Side,
    findings: Findings,
) -> None:
    """Run wanted stages on both sides at once; the new side gets the inputs of the old one.

    Args:
        wanted: Runs to compare, parents before children.
        earlier: Runs of the old side by name.
        before: The old side.
        after: The new one.
        findings: Gets the outcome of every wanted run.
    """
    known = [result for result in wanted if result.name in earlier]
    for result in wanted:
        if result.name not in earlier:
            findings.note(result.stage, f"{result.name}: the base has no such result")
    needed = with_ancestors([earlier[result.name] for result in known], list(earlier.values()))
    ready = {result.name: threading.Event() for result in needed}
    broken: dict[str, str] = {}

    def run_old() -> None:
        try:
            for result in needed:
                lost = [p.name for p in needed if p.name in broken and reads(result, p)]
                fault = f"no {lost[0]}" if lost else before.run(result, watch=False)
                if fault is not None:
                    broken[result.name] = fault
                ready[result.name].set()
        except Exception as error:  # whatever it is: nobody may wait for ever
            for name, event in ready.items():
                if not event.is_set():
                    broken[name] = str(error) or type(error).__name__
                    event.set()

    thread = threading.Thread(target=run_old, daemon=True)
    thread.start()
    for result in progress(known, "twins", "run"):
        ready[result.name].wait()
        if result.name in broken:
            findings.note(result.stage, f"{result.name}: its base fails: {broken[result.name]}")
            continue
        for dep in result.deps:
            _copy(before.folder / dep, after.folder / dep)
        fault = after.run(result, watch=True)
        if fault is None:
            fault = first_difference(before.folder, after.folder, (*result.outs, trail_of(result)))
        findings.note(result.stage, fault and f"{result.name}: {fault}")
    thread.join()


def with_ancestors(results: Iterable[Result], known: Sequence[Result]) -> list[Result]:
    """Add the runs whose outs are read, and what those read.

    Args:
        results: What is wanted.
        known: All runs, parents before children.

    Returns:
        In the order of `known`.
    """
    kept = {result.name for result in results}
    for child in reversed(known):
        if child.name in kept:
            kept |= {
                parent.name for parent in known if parent is not child and reads(child, parent)
            }
    return [result for result in known if result.name in kept]


def _copy(source: Path, target: Path) -> None:
    """Replace a file or folder by a copy."""
    if target.is_dir():
        shutil.rmtree(target)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
