"""The one file that imports dvc: reads the graph and the state of each stage, changes nothing.

The reading takes no lock, so a plan can be printed while a training runs. The plan is advice for
people: what runs is decided by the child `dvc repro` of each stage, under DVC's own locks.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from flows.errors import FlowError, one_line
from flows.plan import Plan, Stage, make_plan


def read_plan(
    root: Path,
    targets: Iterable[str] | None = None,
    force: bool = False,
    done: Collection[str] = (),
) -> Plan:
    """Plan a run from dvc.yaml, dvc.lock and the files of a repository.

    Args:
        root: the repository.
        targets: see `flows.plan.make_plan`.
        force: see `flows.plan.make_plan`.
        done: stages that run every time and have just done so.

    Returns:
        The plan.

    Raises:
        FlowError: no DVC repository, a broken dvc.yaml, or an unknown target.
    """
    stages, changes = read_graph(root)
    changes = {name: why for name, why in changes.items() if name not in done}
    return make_plan(stages, changes, targets, force)


def read_graph(root: Path) -> tuple[list[Stage], dict[str, str]]:
    """Read all stages and what changed for each.

    Args:
        root: the repository.

    Returns:
        The stages in DVC's order, and stage name to reason for each stage that must run.

    Raises:
        FlowError: no DVC repository, or a broken dvc.yaml, dvc.lock or params.yaml.
    """
    with _opened(root) as repo:
        graph = repo.index.graph
        nodes = sorted(graph, key=lambda n: (n.path_in_repo, str(getattr(n, "name", ""))))
        stages = [_stage(node, graph, root) for node in nodes]
        reasons = {_name(node): list(_reasons(node, root)) for node in nodes}
    return stages, {name: "; ".join(found) for name, found in reasons.items() if found}


def must_run(root: Path, name: str) -> bool:
    """Tell whether a pipeline has a stage that is not up to date, without a look at the others.

    Args:
        root: the repository.
        name: the stage.

    Returns:
        False also where there is no such stage.

    Raises:
        FlowError: see `read_graph`.
    """
    with _opened(root) as repo:
        nodes = [node for node in repo.index.stages if _name(node) == name]
        return any(True for node in nodes for _ in _reasons(node, root))


def has_remote(root: Path) -> bool:
    """Tell whether `dvc push` and `dvc pull` know where to.

    Args:
        root: the repository.

    Returns:
        True if the default remote is named, and is one of the configuration.

    Raises:
        FlowError: see `read_graph`.
    """
    with _opened(root) as repo:
        return repo.config["core"].get("remote") in repo.config["remote"]


@contextmanager
def _opened(root: Path) -> Iterator[Repo]:
    try:
        with Repo(str(root)) as repo:
            yield repo
    except (DvcException, OSError) as error:
        raise FlowError(f"{root}: cannot read the pipeline: {one_line(error)}") from error


def _name(node: Any) -> str:
    """Name a stage as DVC's command line does when it runs in the repository's root."""
    stage_name = getattr(node, "name", None)
    if not stage_name:
        return str(node.path_in_repo)
    return stage_name if node.path_in_repo == "dvc.yaml" else f"{node.path_in_repo}:{stage_name}"


def _path(entry: Any, root: Path) -> str:
    """Write the path of a dep or out relative to the repository where it lies inside."""
    path = Path(str(entry.fs_path))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _stage(node: Any, graph: Any, root: Path) -> Stage:
    params = {id(dep) for dep in node.params}
    return Stage(
        name=_name(node),
        command=node.cmd if isinstance(node.cmd, str) else "\n".join(node.cmd or ()),
        deps=tuple(_path(dep, root) for dep in node.deps if id(dep) not in params),
        outs=tuple(_path(out, root) for out in node.outs),
        params=tuple(f"{_path(dep, root)}:{key}" for dep in node.params for key in dep.params),
        parents=tuple(sorted(_name(parent) for parent in graph.successors(node))),
        shards=_takes_shards(node),
    )


def _takes_shards(node: Any) -> bool:
    """Read `meta: {shards: true}`; DVC leaves `meta` to its users, in any shape."""
    meta = getattr(node, "meta", None)
    value = meta.get("shards", False) if isinstance(meta, Mapping) else False
    if not isinstance(value, bool):
        raise FlowError(f"{_name(node)}: meta: shards is {value!r}; must be true or false")
    return value


def _reasons(node: Any, root: Path) -> Iterator[str]:
    """Say what changed since dvc.lock was written: command, params, deps, outs, in this order."""
    if not any(entry.hash_info for entry in (*node.deps, *node.outs)):
        yield "no entry in dvc.lock"
        return
    if node.is_callback or node.always_changed:
        yield "always runs"
    if node.changed_stage():
        yield "command changed"
    if not node.frozen:
        params = {id(dep) for dep in node.params}
        for dep in node.params:
            yield from _param_reasons(dep, _path(dep, root))
        for dep in node.deps:
            if id(dep) not in params:
                yield from (f"dep {_path(dep, root)} {word}" for word in _states(dep))
    for out in node.outs:
        yield from (f"out {_path(out, root)} {word}" for word in _states(out))


def _states(entry: Any) -> list[str]:
    """Ask DVC for the state of a dep or out; empty where nothing changed."""
    try:
        return [str(word) for word in entry.status().values()]
    except OSError as error:  # a stage of another process is replacing it
        return [f"unreadable ({one_line(error)})"]


def _param_reasons(dep: Any, file: str) -> Iterator[str]:
    changed = dep.status().get(str(dep), {})
    if isinstance(changed, str):
        yield f"params file {file} {changed}"
        return
    old = dep.hash_info.value or {}
    new = dep.read_params()
    for key, word in changed.items():
        if word == "modified":
            yield from (f"param {text}" for text in differences(key, old[key], new[key]))
        else:
            yield f"param {key} {word}"


def differences(key: str, old: Any, new: Any) -> list[str]:
    """List the leaves in which two values of a parameter differ.

    Args:
        key: the dotted name of the parameter.
        old: the value in dvc.lock.
        new: the value in the params file.

    Returns:
        One text per leaf: `train.lr: 0.1 -> 0.2`, `train.lr deleted` or `train.lr new`.
    """
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return [] if old == new else [f"{key}: {old} -> {new}"]
    found: list[str] = []
    for name in [*old, *(n for n in new if n not in old)]:
        full = f"{key}.{name}"
        if name not in new:
            found.append(f"{full} deleted")
        elif name not in old:
            found.append(f"{full} new")
        else:
            found.extend(differences(full, old[name], new[name]))
    return found
