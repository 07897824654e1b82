"""Runs stages of one tree, each in a process of its own that starts in no time.

A script, started by its path: it must not import this project before it knows which tree's. Heavy
packages, which are named on its command line, are imported once; every stage then runs in a fork.
Tasks come as lines of JSON with the keys `module`, `arguments`, `folder`, `coverage` (a file, or
null), `trail` and `log` (files); each is answered by a line with `status`.
"""

import hashlib
import importlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
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
    """Write down what every step of every training left behind, in no order.

    A table of accuracies hides much: dead networks score alike. The weights after each step of an
    optimiser do not.
    """
    steps: list[str] = []
    if "torch" not in sys.modules:
        yield
    else:
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
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w", encoding="utf-8") as stream:
        stream.write("".join(f"{step}\n" for step in sorted(steps)))


if __name__ == "__main__":
    main(*sys.argv[1:])
