"""The flow: plan from dvc.yaml, one task per stage, the report as artifacts.

`python -m flows.width_report` runs it once. It leaves the same dvc.lock as `dvc repro` by hand,
because its tasks run that very command.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.artifacts import (
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Completed, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows import artifacts, children
from flows.after_run import commit_results, post_reports
from flows.checks import check_machine, check_writable
from flows.command_line import parser
from flows.dvc_graph import must_run, read_graph, read_plan
from flows.environment import project_root, stages_at_once
from flows.errors import FlowError, one_line
from flows.plan import Plan, PlannedStage, Stage
from flows.server import server_of_a_run
from flows.sharding import Sharding
from flows.shards import run_shards
from flows.stage_task import (
    StageError,
    StageResult,
    dvc_command,
    execute,
    run_child_task,
    run_logger,
    stage_command,
)

# What they write is taken by other stages, so until they have run no plan can be right: what the
# code of each is, and what the raw data are, which `inputs` looks at every time.
CODE = "code"
INPUTS = "inputs"
BEFORE_A_PLAN = (CODE, INPUTS)

INTERRUPTED = 130


@flow(
    name="width-report",
    task_runner=ThreadPoolTaskRunner(max_workers=stages_at_once()),  # type: ignore[arg-type]
    validate_parameters=True,
)
def width_report(
    targets: list[str] | None = None,
    force: bool = False,
    pull: bool = False,
    push: bool = False,
    commit: bool = False,
    dry: bool = False,
    experiments: list[str] | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> State[Any]:
    """Run the pipeline and post the width report.

    Args:
        targets: what to run: experiments (digits-lenet), stages (train@digits-lenet) or kinds of
            stages (train), with all they depend on; empty for everything.
        force: run the targets even if nothing changed.
        pull: fetch cached results from the DVC remote first.
        push: send new results to the DVC remote at the end.
        commit: commit dvc.lock and the reports with git at the end.
        dry: only post the plan, after the stages `code` and `inputs`, without which there is none.
        experiments: switch params.yaml to these experiments first; empty to leave it alone.
        workers: do the jobs of a stage in so many shards at once, on Dask workers; 1 for none.
        scheduler: address of a Dask scheduler to use for that, such as tcp://10.0.0.5:8786,
            whose workers see this repository at the same path; empty for workers of the flow's own.

    Returns:
        Prefect's final state: Failed, naming the stages, if any stage failed.
    """
    root = project_root()
    # By way of the module: a served flow is pickled, and a copy of CHILDREN would know no child.
    children.CHILDREN.open()
    try:
        sharding = Sharding(workers, scheduler)
        return _run(root, targets, force, pull, push, commit, dry, experiments, sharding)
    except (FlowError, StageError) as error:
        return Failed(message=one_line(error))
    except BaseException:
        # Cancelled or crashed: a task's thread does not hear of it, so its child ends here.
        children.CHILDREN.stop()
        raise


def _run(
    root: Path,
    targets: list[str] | None,
    force: bool,
    pull: bool,
    push: bool,
    commit: bool,
    dry: bool,
    experiments: list[str] | None,
    sharding: Sharding,
) -> State[Any]:
    sharding.check_scheduler()
    if dry and experiments:
        raise FlowError("a dry run leaves params.yaml alone: give --dry or experiments, not both")
    if not dry:
        check_machine(root, pull, push, commit)
    if experiments:
        use = [sys.executable, "-m", "neumeta", "use", *experiments]
        run_child_task.submit("use", use, str(root)).result()
    if (root / "neumeta").is_dir():
        # Before any stage: DVC deletes the outs of a stage before it runs, wrong params or not.
        run_child_task.submit(
            "check", [sys.executable, "-m", "neumeta", "check"], str(root)
        ).result()
    if pull:
        command = dvc_command("--wait-for-lock", "pull", "--run-cache", "--allow-missing")
        run_child_task.submit("pull", command, str(root)).result()
    for name in (name for name in BEFORE_A_PLAN if must_run(root, name)):
        run_child_task.submit(name, stage_command(name), str(root)).result()
    plan = read_plan(root, targets, force, done={INPUTS})
    run_logger().info("%s", plan)
    create_table_artifact(artifacts.plan_rows(plan), key="plan", description="Plan")
    if dry:
        return Completed(message="dry run: " + str(plan).partition("\n")[0])
    results = run_plan(plan, root, force, sharding)
    text = artifacts.summary(results)
    create_table_artifact(artifacts.result_rows(results), key="stages", description=text)
    post_reports(plan, results, root)
    if any(result.outcome == "failed" for result in results):
        return Failed(message=text)
    if push:
        command = dvc_command("--wait-for-lock", "push", "--run-cache")
        run_child_task.submit("push", command, str(root)).result()
    if commit:
        commit_results(plan, root, with_params=bool(experiments))
    return Completed(message=text)


def run_plan(plan: Plan, root: Path, force: bool, sharding: Sharding) -> list[StageResult]:
    """Run the stages of a plan, wave by wave; a failed stage stops its descendants only.

    Args:
        plan: the plan.
        root: the repository.
        force: run the selected stages even if nothing changed.
        sharding: how stages are divided.

    Returns:
        One result per stage, in the plan's order.
    """
    results: dict[str, StageResult] = {}
    progress = create_progress_artifact(0.0, key="progress", description="starting")
    assert isinstance(progress, UUID)  # not a coroutine: this is the synchronous flow

    def done(result: StageResult) -> None:
        results[result.name] = result
        share = 100 * len(results) / len(plan.stages)
        text = f"{result.name}: {result.outcome} ({len(results)} of {len(plan.stages)})"
        update_progress_artifact(progress, share, text)

    for wave in plan.waves:
        futures = {}
        for planned in sorted(wave, key=lambda p: sharding.concerns(p.stage)):  # shards block
            if blocked := blockers(planned, results):
                done(StageResult(planned.name, "skipped", "after " + ", ".join(blocked)))
                continue
            forced = force and planned.selected
            if error := shards_before(planned.stage, root, forced, sharding):
                done(StageResult(planned.name, "failed", error))
                continue
            command = stage_command(planned.name, forced)
            futures[run_child_task.submit(planned.name, command, str(root))] = planned.name
        for future in as_completed(list(futures)):
            done(_result(futures[future], future))
    return [results[planned.name] for planned in plan.stages]


def shards_before(stage: Stage, root: Path, force: bool, sharding: Sharding) -> str:
    """Run a stage's jobs in shards, if it takes them, that is wanted, and it is going to run.

    Args:
        stage: any stage whose parents are done.
        root: the repository.
        force: whether the stage runs even if nothing changed.
        sharding: how stages are divided.

    Returns:
        The error, empty if there is none; the stage itself then follows.
    """
    if not sharding.concerns(stage):
        return ""
    try:
        if force or stage.name in read_graph(root)[1]:
            run_shards(stage, root, sharding)
    except (FlowError, StageError) as error:
        return one_line(error)
    return ""


def blockers(planned: PlannedStage, results: dict[str, StageResult]) -> list[str]:
    """Find the parents that keep a stage from starting.

    Args:
        planned: the stage.
        results: what became of the stages of earlier waves.

    Returns:
        Names of the parents that failed or were skipped.
    """
    return [p for p in planned.stage.parents if results[p].outcome in ("failed", "skipped")]


def _result(name: str, future: PrefectFuture[StageResult]) -> StageResult:
    try:
        return future.result()
    except Exception as error:
        return StageResult(name, "failed", one_line(error))


def run_before_a_plan(root: Path) -> None:
    """Run the stages without which there is no plan; a checkout that is read-only stays as it is.

    Args:
        root: the repository.
    """
    try:
        check_writable(root)
    except FlowError:
        print("note: the checkout is read-only; the plan is that of the last look", file=sys.stderr)
        return
    for name in (name for name in BEFORE_A_PLAN if must_run(root, name)):
        execute(name, stage_command(name), root, lambda line: None)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the flow from the command line.

    Args:
        argv: arguments; None for those of the process.

    Returns:
        0 on success, 1 if a stage failed, 2 for a mistake of the user, 130 if interrupted.
    """
    args = parser().parse_args(argv)
    try:
        if args.dry and args.experiments:
            raise FlowError("--dry leaves params.yaml alone, so it excludes --experiments")
        Sharding(args.workers, args.scheduler).check_scheduler()
        root = project_root()
        if not args.dry:
            check_machine(root, args.pull, args.push, args.commit)
        if not args.experiments:
            if args.dry:
                run_before_a_plan(root)
            plan = read_plan(root, args.targets, args.force, done={INPUTS})
            if args.dry:
                print(plan)
                return 0
    except (FlowError, StageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, StageError) else 2
    try:
        # Workers of a scheduler elsewhere could not reach a server of ours: each starts its own.
        with server_of_a_run(own=not args.scheduler):
            state = width_report(**vars(args), return_state=True)
    except FlowError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted; the running stages were stopped", file=sys.stderr)
        return INTERRUPTED
    if state.is_completed():
        print(state.message)
        return 0
    print(f"error: {one_line(state.message or state.name or 'failed')}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    status = main()
    # What Prefect has not sent by now, it would try for a minute to send to a server that is gone.
    with suppress(OSError):  # nobody reads our output any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
