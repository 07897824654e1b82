"""Runs stages of one tree, each in a process of its own that starts in no time.

A script, started by its path: it must not import this project before it knows which tree's. Heavy
packages, which are named on its command line, are imported once; every stage then runs in a fork.
Tasks come as lines of JSON with the keys `module`, `arguments`, `folder`, `coverage` (a file, or
null), `trail` and `log` (files); each is answered by a line with `status`.

A table of accuracies hides much: dead networks score alike. So each run leaves a trail: the weights
after each step of an optimiser, and every file of tensors that it wrote below data/, be it an out,
or what a job kept for another one and nobody sees afterwards.
"""

import hashlib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HEAVY = (
    "torch",
    "torch.fx",
    "torch.fx.experimental.proxy_tensor",
    "torch.optim",
    "numpy",
    "scipy.sparse.csgraph",
    "scipy.stats",
    "sklearn.datasets",
    "sklearn.model_selection",
    "pandas",
    "matplotlib.figure",
    "jinja2",
    "pydantic",
    "PIL.Image",
    "pyvrp",
    "ruamel.yaml",
)
# A twin trains for three steps: its generator is dead by design, and nobody judges it.
SILENCED = ("check_alive",)
# What differs between two runs of the same code, in records and in headers of tensors.
SEAL = "payload_sha256"  # in a header; follows from the tensors, which are compared
TIMES = ("seconds", "seconds_each", "seconds_shared")
TENSORS = ".safetensors"
STATE = ".state.safetensors"  # what an unfinished job goes on from: no twin is interrupted


def main(root: str, *packages: str) -> None:
    """Answer tasks until the input ends.

    Args:
        root: The tree whose code runs.
        *packages: What is imported before the first task.
    """
    sys.path[:] = [root, *(path for path in sys.path if path and path != os.path.dirname(__file__))]
    for name in packages:
        try:
            importlib.import_module(name)
        except ImportError:  # the stage that needs it will say so
            continue
    answers = os.fdopen(os.dup(1), "w")
    print(json.dumps({"status": "ready"}), file=answers, flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if child == 0:
            answers.close()  # else nobody would see that this process ended
            os._exit(_run(task, root))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"status": code}), file=answers, flush=True)


def _run(task: dict[str, Any], root: str) -> int:
    """In the fork: run one stage, its output in a file."""
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(task["folder"])
    watch = None
    if task["coverage"]:
        import coverage

        source = [os.path.join(root, "neumeta")]
        watch = coverage.Coverage(data_file=task["coverage"], source=source, config_file=False)
        watch.start()
    try:
        main_of = importlib.import_module(task["module"]).main
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith("neumeta"):
                for name in SILENCED:
                    if hasattr(module, name):
                        setattr(module, name, lambda *_, **__: None)
        with _trail(task["trail"]):
            return int(main_of(task["arguments"]))
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if watch is not None:
            watch.stop()
            watch.save()


@contextmanager
def _trail(file: str) -> Iterator[None]:
    """Write down what every step of every training left behind, and every file of tensors.

    In no order, and without the names of files: another order of the work, or another place for
    what is kept on the way, is no other result.
    """
    steps: list[str] = []
    with _files_written(Path.cwd() / "data") as files, weights_stepped(steps):
        yield
    lines = [*(f"step {step}" for step in sorted(steps)), *(f"file {one}" for one in sorted(files))]
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w", encoding="utf-8") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


@contextmanager
def weights_stepped(steps: list[str]) -> Iterator[None]:
    """Take down the weights after each step of an optimiser.

    Args:
        steps: Gets their digests.

    Yields:
        Nothing.
    """
    if "torch" not in sys.modules:
        yield
        return
    optimisers = importlib.import_module("torch.optim.optimizer")

    def note(optimiser: Any, *_: Any) -> None:
        digest = hashlib.sha256()
        for group in optimiser.param_groups:
            for value in group["params"]:
                digest.update(value.detach().float().numpy().tobytes())
        steps.append(digest.hexdigest())

    hook = optimisers.register_optimizer_step_post_hook(note)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _files_written(root: Path) -> Iterator[set[str]]:
    """Collect digests of the files of tensors below a folder that are written meanwhile.

    A file is read when it gets its name, when it is deleted, and at the end. There is no way to
    take an audit hook away: this process ends with its stage.
    """
    digests: set[str] = set()
    listening = True

    def note(path: Path, name: Path) -> None:
        if not name.name.endswith(TENSORS) or name.name.endswith(STATE):
            return
        inside = name.absolute().is_relative_to(root) and path.is_file()
        if inside and _mark(path) not in before:
            digests.add(digest_of_tensors(path.read_bytes()))

    def listen(event: str, values: tuple[Any, ...]) -> None:
        if not listening or event not in ("os.rename", "os.remove", "shutil.rmtree"):
            return
        if any(isinstance(place, int) and place >= 0 for place in values[1:]):
            return  # relative to an open folder, within a tree whose removal was told before
        path = Path(os.fsdecode(values[0]))
        if event == "shutil.rmtree":
            for inner in path.rglob(f"*{TENSORS}"):
                note(inner, inner)
        else:
            note(path, Path(os.fsdecode(values[1])) if event == "os.rename" else path)

    before = {_mark(path) for path in root.rglob(f"*{TENSORS}")}  # inputs, and outs of others
    sys.addaudithook(listen)
    try:
        yield digests
    finally:
        listening = False
    for path in root.rglob(f"*{TENSORS}"):
        note(path, path)


def _mark(path: Path) -> tuple[int, int, int]:
    """What changes with every writing of a file."""
    facts = path.stat()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def digest_of_tensors(content: bytes) -> str:
    """Hash a file of tensors without the times in its header, nor the hash of its tensors.

    Args:
        content: Of a safetensors file; anything else is hashed as it is.

    Returns:
        64 hexadecimal digits.
    """
    size = 8 + int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8:size])
        described = header.pop("__metadata__", {})
        facts = {name: json.loads(text) for name, text in described.items()}
    except (ValueError, AttributeError):
        return hashlib.sha256(content).hexdigest()
    for value in facts.values():
        if isinstance(value, dict):
            for name in (*TIMES, SEAL):
                value.pop(name, None)
    text = json.dumps([header, facts], sort_keys=True)
    return hashlib.sha256(text.encode() + content[size:]).hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
