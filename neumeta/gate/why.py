"""Says which file, function or package gave a stage another identity."""

from collections.abc import Iterator
from pathlib import Path

from neumeta.core.errors import UserError
from neumeta.core.history import tree_at
from neumeta.core.identity import Closure, closure_of, digest_of, read_tree, stage_modules
from neumeta.core.ledger import LEDGER, identity_of, read_ledger
from neumeta.core.syntax import parts
from neumeta.gate.results import made_at, read_results


def why(stage: str, root: str | Path = ".", base: str | None = None) -> list[str]:
    """Explain the identity of a stage.

    Args:
        stage: Name of the stage.
        root: The project.
        base: Revision to compare with; None for the newest whose code is that of the results.

    Returns:
        Lines of text: whether results are up to date, then one for each difference.

    Raises:
        UserError: If there is no such stage or revision.
    """
    files = read_tree(root)
    if stage not in stage_modules(files):
        known = ", ".join(stage_modules(files))
        raise UserError(f"no stage {stage!r}; stages are {known}")
    now = identity_of(stage, files, read_ledger(Path(root) / LEDGER))
    own = [result for result in read_results(root) if result.stage == stage]
    stale = [result for result in own if result.identity != now]
    lines = [f"{stage}: identity {now}; {len(own)} results, {len(stale)} of them by other code"]
    if not stale and base is None:
        return lines
    revision = base or made_at(root, stale)
    lines.append(f"compared with {revision[:12]}:")
    code = closure_of(stage, files)
    found = list(differences(closure_of(stage, tree_at(root, revision)), code))
    equal = f"nothing but comments and docstrings; {code.digest()} stands for the same code"
    return [*lines, *(f"  {line}" for line in found or [equal])]


def differences(old: Closure, new: Closure) -> Iterator[str]:
    """Compare two closures.

    Args:
        old: The one.
        new: The other.

    Yields:
        One line for each package, file and function that differs.
    """
    for name in sorted({*old.packages, *new.packages}):
        before, after = old.packages.get(name, "absent"), new.packages.get(name, "absent")
        if before != after:
            yield f"package {name}: {before} -> {after}"
    gone = {path: digest_of(path, old.files[path]) for path in {*old.files} - {*new.files}}
    for path in sorted({*old.files, *new.files}):
        if path in gone:
            if gone[path] not in {digest_of(p, t) for p, t in new.files.items()}:
                yield f"file {path}: gone"
        elif path not in old.files:
            same = [p for p in gone if gone[p] == digest_of(path, new.files[path])]
            yield f"file {path}: " + (f"was {same[0]}" if same else "new")
        elif digest_of(path, old.files[path]) != digest_of(path, new.files[path]):
            yield from _changed(path, old.files[path], new.files[path])


def _changed(path: str, old: bytes, new: bytes) -> Iterator[str]:
    if not path.endswith(".py"):
        yield f"file {path}: changed"
        return
    before, after = parts(old.decode()), parts(new.decode())
    for name in sorted({*before, *after}):
        if name not in after:
            yield f"{path}: {name} is gone"
        elif name not in before:
            yield f"{path}: {name} is new"
        elif before[name] != after[name]:
            yield f"{path}: {name} changed"
    if before == after:
        yield f"{path}: its parts stand in another order"
