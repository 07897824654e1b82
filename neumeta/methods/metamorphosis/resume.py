"""Resumable state of a training run, kept outside the tracked outputs.

The folder is named after a hash of everything the run depends on, so a changed parameter, data
set, base network or line of code never meets a stale state. Finished seeds wait there until all
are done.
"""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from neumeta.core.cache_key import forget
from neumeta.core.checkpoint import read_checkpoint, write_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.files import write_json
from neumeta.methods.metamorphosis.trainer import Trainer

_log = logging.getLogger("neumeta")


class ResumeFolder:
    """Where one run keeps its state."""

    def __init__(self, root: str | Path, key: str) -> None:
        """Name the folder; the first save makes it. States of other keys are forgotten.

        Args:
            root: Folder of one experiment's training.
            key: See `neumeta.core.cache_key`.
        """
        self.root = Path(root)
        self.folder = self.root / key
        for stale in self.root.glob("*"):
            if stale != self.folder:  # another process of the group may be deleting it, too
                shutil.rmtree(stale, ignore_errors=True)

    def state_path(self, seed: int) -> Path:
        """File of a running seed.

        Args:
            seed: Seed of the run.

        Returns:
            The path.
        """
        return self.folder / f"seed-{seed}.state.safetensors"

    def done_path(self, seed: int) -> Path:
        """File of a finished seed.

        Args:
            seed: Seed of the run.

        Returns:
            The path.
        """
        return self.folder / f"seed-{seed}.done.safetensors"

    def save(self, trainer: Trainer, seconds: float) -> None:
        """Write the whole state of a trainer, atomically.

        Args:
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
        write_checkpoint(self.state_path(trainer.seed), tensors, header)

    def restore(self, trainer: Trainer) -> float:
        """Continue where an interrupted run stopped, if it left a state.

        A damaged state is dropped with a warning: the run then starts from scratch.

        Args:
            trainer: Fresh, of the same seed; changed in place.

        Returns:
            Seconds spent by earlier attempts; 0 where there were none.
        """
        path = self.state_path(trainer.seed)
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

    def finish(self, trainer: Trainer, seconds: float) -> dict[str, Any]:
        """Note that a seed is done, after its INR was written to `done_path`.

        Args:
            trainer: At the end of its run.
            seconds: Time spent, over all attempts.

        Returns:
            The diary: keys `history` and `seconds`.
        """
        diary = {"history": trainer.history, "seconds": seconds}
        write_json(self._diary_path(trainer.seed), diary)
        self.state_path(trainer.seed).unlink(missing_ok=True)
        return diary

    def read_diary(self, seed: int) -> dict[str, Any] | None:
        """Read what `finish` noted.

        Args:
            seed: Seed of the run.

        Returns:
            The diary, or None while the seed is not done.
        """
        path = self._diary_path(seed)
        if not path.exists():
            return None
        diary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return diary

    def _diary_path(self, seed: int) -> Path:
        return self.folder / f"seed-{seed}.done.json"

    def remove(self) -> None:
        """Forget everything."""
        forget(self.root)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
