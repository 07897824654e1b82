"""Which changed statements no twin ran: what byte-equal outputs say nothing of."""

import ast
import difflib
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from neumeta.core.errors import UserError


@dataclass(frozen=True)
class Unrun:
    """Changed statements that no twin ran.

    Attributes:
        changed: Number of changed statements in the code of the stages.
        lines: First lines of those that did not run, by file.
    """

    changed: int
    lines: dict[str, tuple[int, ...]]

    @property
    def count(self) -> int:
        """How many did not run.

        Returns:
            Their number.
        """
        return sum(map(len, self.lines.values()))


def unrun_statements(old: Path, new: Path, data: Path, files: Collection[str]) -> Unrun:
    """Compare changed lines with those that ran.

    Args:
        old: Tree of the base.
        new: Tree whose runs were watched.
        data: Folder of the notes of all runs.
        files: Files to look at, below the tree.

    Returns:
        What did not run.

    Raises:
        UserError: If the package `coverage` is missing.
    """
    try:
        import coverage
    except ImportError as error:
        raise UserError("the package coverage is missing; run `make env`") from error
    joined = coverage.Coverage(data_file=None, config_file=False)
    # What only type checkers read never runs; all else counts, whatever a comment says.
    joined.clear_exclude()
    joined.exclude(r"if (typing\.)?TYPE_CHECKING:")
    # Kept notes name the places of the comparison in which they were made.
    joined.set_option("paths", {"tree": [str(new), f"*/{new.name}"]})
    notes = [str(path) for path in data.iterdir() if path.is_file()]
    if notes:
        joined.combine(notes, keep=True)
    changed, lines = 0, {}
    for path, touched in changed_lines(old, new).items():
        if path not in files:
            continue
        _, found, _, missing, _ = joined.analysis2(str(new / path))
        statements = _statements(touched, {*found}, (new / path).read_text(encoding="utf-8"))
        changed += len(statements)
        if unrun := tuple(sorted(statements & {*missing})):
            lines[path] = unrun
    return Unrun(changed, lines)


def _statements(touched: set[int], known: set[int], text: str) -> set[int]:
    """First lines of the statements that hold touched lines, of those that can run."""
    first: dict[int, int] = {}
    for node in ast.walk(ast.parse(text)):  # parents come before what lies in them
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            first |= dict.fromkeys(range(node.lineno, last + 1), node.lineno)
    return {line if line in known else first.get(line, 0) for line in touched} & known


def changed_lines(old: Path, new: Path) -> dict[str, set[int]]:
    """List new and changed lines of modules; a moved module has only those that differ.

    Args:
        old: The one tree.
        new: The other.

    Returns:
        Line numbers of the other by path of a module.
    """
    names = ["git", "diff", "--no-index", "-M", "--name-status", "-z", str(old), str(new)]
    done = subprocess.run(names, capture_output=True, text=True)
    fields = iter(done.stdout.split("\0"))
    found: dict[str, set[int]] = {}
    for status in fields:
        if not status:
            continue
        before = Path(next(fields))
        after = Path(next(fields)) if status[0] in "RC" else before
        if status[0] == "D" or after.suffix != ".py":
            continue
        if status[0] == "M":
            relative = before.relative_to(old) if before.is_relative_to(old) else before
            relative = relative.relative_to(new) if relative.is_relative_to(new) else relative
            before, after = old / relative, new / relative
        text = after.read_text(encoding="utf-8").splitlines()
        earlier = before.read_text(encoding="utf-8").splitlines() if status[0] != "A" else []
        found[after.relative_to(new).as_posix()] = _new_lines(earlier, text)
    return found


def _new_lines(old: list[str], new: list[str]) -> set[int]:
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return {i + 1 for tag, _, _, start, end in blocks if tag != "equal" for i in range(start, end)}
