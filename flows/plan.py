"""What a run will do: stages in topological waves, each with its status and the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from flows.errors import FlowError

Status = Literal["run", "follows", "up to date"]
RUN: Status = "run"  # something it reads or writes has changed
FOLLOWS: Status = "follows"  # unchanged now, but a stage before it will run
UP_TO_DATE: Status = "up to date"


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml.

    Attributes:
        name: as written on DVC's command line, for example `train@digits-lenet`.
        command: the shell command.
        deps: files and folders it reads, relative to the repository.
        outs: files and folders it writes, metrics and plots included.
        params: the parameters it reads, as `file:key`.
        parents: names of the stages whose outs it reads.
        shards: whether its command takes `--shard I/N`, as `meta` of its entry says.
    """

    name: str
    command: str = ""
    deps: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    shards: bool = False

    @property
    def family(self) -> str:
        """The part of the name before `@`: `train` of `train@digits-lenet`."""
        return self.name.partition("@")[0]

    @property
    def item(self) -> str:
        """The part of the name after `@`, empty where there is none: the experiment."""
        return self.name.partition("@")[2]


@dataclass(frozen=True)
class PlannedStage:
    """A stage with its place in a plan.

    Attributes:
        stage: the stage.
        wave: 1 for stages without parents, else one more than the last parent's wave.
        status: `run`, `follows` or `up to date`.
        why: which dep, param, out or command changed, or which parent runs first.
        selected: whether the user named it (or named nothing); False for a mere ancestor.
    """

    stage: Stage
    wave: int
    status: Status
    why: str
    selected: bool = True

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.stage.name


@dataclass(frozen=True)
class Plan:
    """The stages of a run, parents before children.

    Attributes:
        stages: in order of their waves, by name within a wave.
    """

    stages: tuple[PlannedStage, ...]

    @property
    def waves(self) -> tuple[tuple[PlannedStage, ...], ...]:
        """The stages grouped by wave; the stages of one wave may run side by side."""
        last = max((s.wave for s in self.stages), default=0)
        return tuple(tuple(s for s in self.stages if s.wave == wave) for wave in range(1, last + 1))

    @property
    def items(self) -> tuple[str, ...]:
        """The experiments and datasets of the plan, each once, in order."""
        return tuple(dict.fromkeys(s.stage.item for s in self.stages if s.stage.item))

    def count(self, status: Status) -> int:
        """Count the stages of one status.

        Args:
            status: the status to count.

        Returns:
            The number of stages.
        """
        return sum(s.status == status for s in self.stages)

    def __str__(self) -> str:
        """Write the plan as aligned lines: a summary, then one line per stage."""
        head = (
            f"{len(self.stages)} stages in {len(self.waves)} waves: {self.count(RUN)} to run, "
            f"{self.count(FOLLOWS)} may follow, {self.count(UP_TO_DATE)} up to date"
        )
        rows = [("wave", "stage", "status", "why")]
        rows += [(str(s.wave), s.name, s.status, s.why) for s in self.stages]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [
            "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]])
            for row in rows
        ]
        return "\n".join([head, *lines])


def make_plan(
    stages: Iterable[Stage],
    changes: Mapping[str, str],
    targets: Iterable[str] | None = None,
    force: bool = False,
) -> Plan:
    """Order the stages and say what each will do.

    Args:
        stages: all stages of the repository.
        changes: stage name to the reason why it must run; unchanged stages are absent.
        targets: stage names (`train@digits-lenet`), stage families (`train`) or experiments
            (`digits-lenet`); None or nothing means all stages. Ancestors are always added.
        force: run the selected stages even if nothing changed (their ancestors are not forced).

    Returns:
        The plan.

    Raises:
        FlowError: a target names nothing, or the stages form a cycle.
    """
    by_name = {stage.name: stage for stage in stages}
    chosen = select(by_name, targets)
    kept = ancestors(by_name, chosen)
    waves = wave_numbers({name: by_name[name] for name in kept})
    planned: dict[str, PlannedStage] = {}
    for name in sorted(kept, key=lambda n: (waves[n], n)):
        running = [p for p in by_name[name].parents if planned[p].status != UP_TO_DATE]
        status, why = UP_TO_DATE, "up to date"
        if name in changes:
            status, why = RUN, changes[name]
        elif force and name in chosen:
            status, why = RUN, "forced"
        elif running:
            status, why = FOLLOWS, "reads from " + ", ".join(running)
        planned[name] = PlannedStage(by_name[name], waves[name], status, why, name in chosen)
    return Plan(tuple(planned.values()))


def select(stages: Mapping[str, Stage], targets: Iterable[str] | None) -> set[str]:
    """Find the stages that targets name.

    Args:
        stages: all stages by name.
        targets: see `make_plan`.

    Returns:
        The names of the stages, ancestors not included.

    Raises:
        FlowError: a target names nothing.
    """
    wanted = list(targets or [])
    if not wanted:
        return set(stages)
    chosen: set[str] = set()
    for target in wanted:
        found = {s.name for s in stages.values() if target in (s.name, s.family, s.item)}
        if not found or not target:
            items = sorted({s.item for s in stages.values() if s.item})
            families = list(dict.fromkeys(s.family for s in stages.values()))
            raise FlowError(
                f"unknown target {target!r}: dvc.yaml has the experiments and datasets "
                f"{', '.join(items) or '(none)'}; the stages {', '.join(families) or '(none)'}; "
                "or one of both as STAGE@NAME"
            )
        chosen |= found
    return chosen


def ancestors(stages: Mapping[str, Stage], names: Iterable[str]) -> set[str]:
    """Add everything that stages depend on.

    Args:
        stages: all stages by name.
        names: the stages to start from.

    Returns:
        The names and all their ancestors.
    """
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(stages[name].parents)
    return found


def wave_numbers(stages: Mapping[str, Stage]) -> dict[str, int]:
    """Number the topological waves.

    Args:
        stages: stages by name, closed under `parents`.

    Returns:
        Stage name to wave, from 1.

    Raises:
        FlowError: the stages form a cycle.
    """
    waves: dict[str, int] = {}
    while len(waves) < len(stages):
        ready = [
            s
            for s in stages.values()
            if s.name not in waves and all(parent in waves for parent in s.parents)
        ]
        if not ready:
            raise FlowError(
                f"dvc.yaml has a cycle among {', '.join(sorted(set(stages) - {*waves}))}"
            )
        waves |= {s.name: 1 + max((waves[p] for p in s.parents), default=0) for s in ready}
    return waves
