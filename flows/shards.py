"""A stage beyond one process: shards of its jobs side by side on Dask workers.

The truth stays `dvc repro`. A shard is the stage's own command with `--shard I/N`: it leaves what
it finished where the stage looks for it, and writes none of the stage's outs. So the flow runs the
shards first and then the stage as always, which finds every job done and only joins them.
"""

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed, State

from flows import children
from flows.errors import FlowError, one_line
from flows.plan import Stage
from flows.sharding import (
    CONNECT_SECONDS,
    Sharding,
    Worker,
    shard_commands,
    threads_of,
    with_threads,
)
from flows.stage_task import (
    RETRIES,
    RETRY_DELAYS,
    StageError,
    StageResult,
    run_child_task,
    worth_retrying,
)

if TYPE_CHECKING:  # 0.8 s to import, so a flow without shards does not
    from distributed import Client
    from prefect_dask import DaskTaskRunner


def task_runner(sharding: Sharding) -> "DaskTaskRunner":
    """Make Prefect's task runner.

    Workers of our own are threads of this process: each only waits for its child, they start at
    once, open no port to other machines, and a cancelled flow ends their children like all others.

    Args:
        sharding: how many workers, and where.

    Returns:
        The task runner.
    """
    from prefect_dask import DaskTaskRunner

    logging.getLogger("distributed").setLevel(logging.WARNING)
    if sharding.scheduler:
        connecting = {"timeout": CONNECT_SECONDS}
        return DaskTaskRunner(address=sharding.scheduler, client_kwargs=connecting)
    local = {
        "n_workers": sharding.workers,
        "threads_per_worker": 1,
        "processes": False,
        "memory_limit": 0,  # no limit: the memory is that of the children
        "dashboard_address": "127.0.0.1:0",
        "worker_dashboard_address": "127.0.0.1:0",
    }
    return DaskTaskRunner(cluster_kwargs=local)


def workers_of(client: "Client") -> dict[str, Worker]:
    """Ask a cluster for its workers; waits for the first one.

    Args:
        client: connected to the scheduler.

    Returns:
        Workers by address.

    Raises:
        FlowError: there is none.
    """
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        address = client.scheduler_info()["address"]
        raise FlowError(f"scheduler {address}: it has no workers; start some") from error
    found = client.scheduler_info(n_workers=-1)["workers"]
    cores = client.run(os.cpu_count)
    return {
        address: Worker(found[address]["host"], found[address]["nthreads"], count or 1)
        for address, count in cores.items()
        if address in found
    }


@task(
    task_run_name="{name}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=worth_retrying,  # a job that failed is not repeated
)
def run_shard_task(
    name: str, command: list[str], root: str, threads: dict[str, int]
) -> StageResult:
    """Run one shard on a Dask worker, its output live in this task's log.

    Args:
        name: the shard.
        command: program and arguments.
        root: the repository, at the same place on every machine.
        threads: threads of the shard by address of the worker; 1 for workers that came later.

    Returns:
        The result; its outcome is `ran`.
    """
    from distributed import get_worker

    own = threads.get(get_worker().address, 1)
    return run_child_task.fn(name, with_threads(command, own), root)


@flow(name="shards", flow_run_name="{stage}", validate_parameters=False)
def shards_of_stage(stage: str, commands: dict[str, list[str]], root: str) -> State[Any]:
    """Run the shards of one stage; part of the flow `width-report`.

    Args:
        stage: the stage.
        commands: program and arguments of each shard by its name.
        root: the repository.

    Returns:
        Prefect's final state: Failed, with the first error, if any shard failed.
    """
    futures: list[Any] = []
    client = _client()
    try:
        threads = threads_of(workers_of(client), len(commands))
        for name, command in commands.items():
            futures.append(run_shard_task.submit(name, command, root, threads))
        errors = [error for future in futures if (error := _error(future))]
    except FlowError as error:
        return Failed(message=one_line(error))
    except BaseException:
        # Cancelled: end our own workers' children, and those on workers of another process.
        children.CHILDREN.stop()
        _stop_remote(client, [future.wrapped_future for future in futures])
        raise
    if errors:
        return Failed(message=errors[0])
    return Completed(message=f"{len(commands)} shards done")


def _error(future: PrefectFuture[StageResult]) -> str:
    """Wait for a shard; its error as one line, empty if there is none."""
    try:
        future.result()
    except Exception as error:  # of the shard, or its worker is gone
        return one_line(error)
    return ""


def _client() -> "Client":
    """The Dask client of the running flow."""
    context = FlowRunContext.get()
    assert context is not None
    client: Client = context.task_runner.client  # type: ignore[attr-defined]
    return client


def _stop_remote(client: "Client", futures: Sequence[Any]) -> None:
    """End the children of our shards on workers that live in other processes."""
    keys = {future.key for future in futures}
    with contextlib.suppress(Exception):
        busy = [address for address, found in client.processing().items() if keys & {*found}]
        client.cancel(list(futures), force=True)
        if busy := [address for address in busy if not address.startswith("inproc://")]:
            client.run(_end_children, workers=busy)


def _end_children() -> None:
    """On a worker: end the running children; the worker may start others afterwards."""
    children.CHILDREN.stop()
    children.CHILDREN.open()


def run_shards(stage: Stage, root: Path, sharding: Sharding) -> None:
    """Run all shards of a stage to their end.

    Args:
        stage: the stage.
        root: the repository.
        sharding: how many, and where.

    Raises:
        StageError: a shard failed; what the others finished is kept.
    """
    commands = shard_commands(stage, sharding.workers)
    runner: Any = task_runner(sharding)
    sharded = shards_of_stage.with_options(task_runner=runner)
    state = sharded(stage.name, commands, str(root), return_state=True)
    if not state.is_completed():
        raise StageError(stage.name, "failed", one_line(state.message or "the shards failed"))
