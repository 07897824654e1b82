"""The state of an unfinished training, in a file beside the job: between two steps, and back."""

import logging
from pathlib import Path

from torch import Tensor

from neumeta.core.checkpoint import read_checkpoint, write_checkpoint
from neumeta.core.errors import UserError
from neumeta.methods.metamorphosis.trainer import Trainer

_log = logging.getLogger("neumeta")


def save_state(path: str | Path, trainer: Trainer, seconds: float) -> None:
    """Write the whole state of a trainer, atomically.

    Args:
        path: The file.
        trainer: Between two steps.
        seconds: Time spent so far, over all attempts.
    """
    tensors: dict[str, Tensor] = {"random": trainer.random.get_state()}
    tensors |= {f"inr.{k}": v for k, v in trainer.inr.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in trainer.average.state_dict().items()}
    for number, optimiser in enumerate(trainer.optimisers):
        for index, values in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{index}.{k}": v for k, v in values.items()}
    header = {
        "kind": "train-state",
        "seed": trainer.seed,
        "phase": trainer.phase,
        "step": trainer.step,
        "sums": trainer.sums,
        "history": trainer.history,
        "seconds": seconds,
    }
    write_checkpoint(path, tensors, header)


def restore_state(path: Path, trainer: Trainer) -> float:
    """Continue where an interrupted run stopped, if it left a state.

    A damaged state is dropped with a warning: the run then starts from scratch.

    Args:
        path: The file; it need not be there.
        trainer: Fresh, of the same seed; changed in place.

    Returns:
        Seconds spent by earlier attempts; 0 where there were none.
    """
    if not path.exists():
        return 0.0
    try:
        tensors, header = read_checkpoint(path, "train-state")
    except UserError as error:
        _log.warning("%s; starting from scratch", error)
        path.unlink(missing_ok=True)
        return 0.0
    trainer.phase, trainer.step = header["phase"], header["step"]
    trainer.sums, trainer.history = header["sums"], header["history"]
    trainer.inr.load_state_dict(_part(tensors, "inr."))
    trainer.average.load_state_dict(_part(tensors, "average."))
    trainer.optimisers = trainer.new_optimisers()
    for number, optimiser in enumerate(trainer.optimisers):
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, f"optimiser.{number}.").items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    trainer.random.set_state(tensors["random"])
    seconds: float = header["seconds"]
    return seconds


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
