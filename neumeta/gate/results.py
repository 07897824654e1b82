"""What results are committed, and which code made them: read from dvc.lock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neumeta.core.errors import UserError
from neumeta.core.history import revisions, tree_at
from neumeta.core.identity import UNIDENTIFIED, stage_modules
from neumeta.core.ledger import LEDGER, identity_of, parse_ledger
from neumeta.core.reading import read_yaml

LOCK_OF_RESULTS = "dvc.lock"
IDENTITIES = "code.json"
MOST_REVISIONS = 400


@dataclass(frozen=True)
class Result:
    """One committed run of a stage.

    Attributes:
        name: As DVC names it, such as `train@digits-lenet`.
        command: Words of its command.
        deps: Paths that it read.
        outs: Paths that it wrote.
        identity: Of the code that made it; None for the stage `code` itself.
    """

    name: str
    command: tuple[str, ...]
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    identity: str | None

    @property
    def stage(self) -> str:
        """Name of the stage.

        Returns:
            The part before `@`.
        """
        return self.name.partition("@")[0]


def read_results(root: str | Path) -> list[Result]:
    """Read all committed runs.

    Args:
        root: The folder that holds dvc.lock.

    Returns:
        Those of all stages with an identity, parents before children.

    Raises:
        UserError: If there is no lock.
    """
    entries = read_yaml(Path(root) / LOCK_OF_RESULTS).get("stages", {})
    results = [_result(name, entry) for name, entry in entries.items() if name not in UNIDENTIFIED]
    return in_order(results)


def _result(name: str, entry: Mapping[str, Any]) -> Result:
    own = entry.get("params", {}).get(IDENTITIES, {})
    return Result(
        name=name,
        command=tuple(str(entry["cmd"]).split()),
        deps=tuple(dep["path"] for dep in entry.get("deps", [])),
        outs=tuple(out["path"] for out in entry.get("outs", [])),
        identity=own.get(name.partition("@")[0]),
    )


def in_order(results: Iterable[Result]) -> list[Result]:
    """Put parents before children.

    Args:
        results: In any order.

    Returns:
        The same, each after those whose outs it reads.

    Raises:
        UserError: If they read each other in a circle.
    """
    ordered: list[Result] = []
    todo = list(results)
    while todo:
        ready = [r for r in todo if not any(p is not r and reads(r, p) for p in todo)]
        if not ready:
            raise UserError(f"{LOCK_OF_RESULTS}: {todo[0].name} reads what follows from itself")
        ordered += ready
        todo = [result for result in todo if result not in ready]
    return ordered


def reads(child: Result, parent: Result) -> bool:
    """Tell whether one run reads what another wrote, as a file or in a folder.

    Args:
        child: The reader.
        parent: The writer.

    Returns:
        Whether it does.
    """
    return any(
        dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/")
        for dep in child.deps
        for out in parent.outs
    )


def made_at(root: str | Path, results: Sequence[Result]) -> str:
    """Find the newest revision whose code is that of the committed results.

    Where the results of one stage were made by several codes, any of these will do.

    Args:
        root: Somewhere in the repository.
        results: Committed runs.

    Returns:
        Its hash.

    Raises:
        UserError: If no revision of the recent history fits.
    """
    wanted: dict[str, set[str]] = {}
    for result in results:
        if result.identity:
            wanted.setdefault(result.stage, set()).add(result.identity)
    names = ", ".join(sorted({result.stage for result in results}))
    if not wanted:
        raise UserError(f"{LOCK_OF_RESULTS} does not say which code made the results of {names}")
    for revision in revisions(root, MOST_REVISIONS):
        try:
            found = identities_at(root, revision, wanted)
        except UserError:  # what is broken there made no results
            continue
        if all(found.get(stage) in own for stage, own in wanted.items()):
            return revision
    raise UserError(
        f"no revision of the last {MOST_REVISIONS} holds the code that made the results of "
        f"{names}; name one with --base"
    )


def identities_at(root: str | Path, revision: str, stages: Iterable[str]) -> dict[str, str]:
    """Identify the code of stages as it stood at a revision.

    Args:
        root: Somewhere in the repository.
        revision: Any name of a commit.
        stages: Names of stages.

    Returns:
        Identity by stage, by the ledger of that revision; without stages that were not there.

    Raises:
        UserError: If there is no such revision, or its code or ledger is broken.
    """
    files = tree_at(root, revision)
    text = files.get(LEDGER, b"").decode(errors="replace")
    ledger = parse_ledger(text, f"{revision}:{LEDGER}")
    known = stage_modules(files)
    return {stage: identity_of(stage, files, ledger) for stage in stages if stage in known}
