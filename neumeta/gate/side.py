"""One side of a comparison: a tree of code, and the folder in which its stages run."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from ruamel.yaml import YAML

from neumeta.core.errors import UserError
from neumeta.core.files import write_json
from neumeta.core.identity import closure_of, read_tree, stage_modules
from neumeta.gate.memory import Memory, digest_of_files, run_key
from neumeta.gate.results import Result
from neumeta.gate.worker import HEAVY, TIMES

WORKER = Path(__file__).with_name("worker.py")


class Side:
    """Runs the stages of one tree."""

    def __init__(
        self,
        root: Path,
        folder: Path,
        inputs: Path,
        memory: Memory,
        packages: Sequence[str] = HEAVY,
    ) -> None:
        """Name the places; nothing is started yet.

        Args:
            root: The tree of code.
            folder: Where its stages run; holds params.yaml.
            inputs: Holds `data` and `checkpoints` of the twins.
            memory: What was run before.
            packages: What is imported once for all runs.
        """
        self.root, self.folder, self.inputs, self.memory = root, folder, inputs, memory
        self._packages = packages
        self._given = digest_of_files(inputs, (p for p in inputs.rglob("*") if p.is_file()))
        files = read_tree(root)
        self._codes = {stage: closure_of(stage, files).digest() for stage in stage_modules(files)}
        self.coverage = folder / ".coverage"
        self._worker: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Side":
        self.coverage.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "MPLBACKEND": "Agg",
            "NEUMETA_DEVICE": "cpu",
            "NEUMETA_WORKERS": "1",  # what runs elsewhere would not be seen
            "NEUMETA_DATA_ROOT": str(self.inputs / "data"),
            "NEUMETA_CHECKPOINT_ROOT": str(self.inputs / "checkpoints"),
        }
        self._worker = subprocess.Popen(
            [sys.executable, str(WORKER), str(self.root), *self._packages],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            start_new_session=True,
        )
        try:
            self._answer()
        except UserError:
            self._end(at_once=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(at_once=error is not None)

    def _end(self, at_once: bool) -> None:
        assert self._worker is not None
        if at_once:
            with suppress(ProcessLookupError):
                os.killpg(self._worker.pid, signal.SIGTERM)  # with the stage that it runs
        # Closes its input, which ends it, and waits; what it could not read any more is lost.
        with suppress(BrokenPipeError), self._worker:
            pass

    def run(self, result: Result, watch: bool) -> str | None:
        """Run a stage again in this side's folder.

        Args:
            result: What is run; its inputs are there.
            watch: Whether to note which statements ran.

        Returns:
            None if it ended well, else its last line.
        """
        notes = self.coverage / result.name if watch else None
        key = run_key(result, self._codes[result.stage], self.folder, self._given)
        if self.memory.restore(key, self.folder, notes):
            return None
        module, arguments = module_of(result)
        shutil.rmtree(self.folder / "data/.resume", ignore_errors=True)
        log = self.folder / f".{result.name}.log"
        task = {
            "module": module,
            "arguments": arguments,
            "folder": str(self.folder),
            "coverage": str(notes) if notes else None,
            "trail": str(self.folder / trail_of(result)),
            "log": str(log),
        }
        assert self._worker is not None and self._worker.stdin is not None
        print(json.dumps(task), file=self._worker.stdin, flush=True)
        if self._answer():
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return lines[-1] if lines else "it ended without a word"
        self._drop_times(result.outs)
        self.memory.keep(key, self.folder, (*result.outs, trail_of(result)), notes)
        return None

    def _answer(self) -> int:
        assert self._worker is not None and self._worker.stdout is not None
        line = self._worker.stdout.readline()
        if not line:
            raise UserError("a process that runs twins ended; is the memory enough?")
        status = json.loads(line)["status"]
        return 0 if status == "ready" else int(status)

    def _drop_times(self, outs: Iterable[str]) -> None:
        """Make records of runs equal where nothing but time and revision differs."""
        for out in outs:
            path = self.folder / out
            if path.name.endswith(".run.json") and path.is_file():
                record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                write_json(
                    path, {**record, **{k: 0 for k in TIMES if k in record}, "revision": "-"}
                )


def trail_of(result: Result) -> str:
    """Name the file of what a run computed on the way: weights by steps, and files of tensors.

    Args:
        result: A committed run.

    Returns:
        A path below a side's folder.
    """
    return f"trails/{result.name}"


def module_of(result: Result) -> tuple[str, list[str]]:
    """Read the command of a stage.

    Args:
        result: A committed run.

    Returns:
        Its module and its arguments.

    Raises:
        UserError: If it is not run as `python -m MODULE`.
    """
    if result.command[:2] != ("python", "-m"):
        raise UserError(f"{result.name}: its command is not `python -m MODULE …`")
    return result.command[2], list(result.command[3:])


def write_params(folder: Path, params: dict[str, Any]) -> None:
    """Write the parameters of the twins.

    Args:
        folder: Of one side.
        params: The whole file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(params, stream)
