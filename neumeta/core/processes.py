"""Data-parallel training under `torchrun`: every process draws alike and works on its share.

All processes draw the same widths, noise and batches from the same seed, so each has the same
INR. A process runs the network on its share of the batch; gradients are then averaged. A step is
that of one process up to the order of floating-point sums.

On CUDA every process has a card of its own and messages go by nccl; elsewhere they go by gloo,
through the memory of the CPU.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from neumeta.core.device import CPU, available, own_card
from neumeta.core.errors import UserError


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one INR together.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
        device: Where this process computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def leads(self) -> bool:
        """Whether this process writes files.

        Returns:
            True for rank 0.
        """
        return self.rank == 0

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that does not fall into equal shares.

        Args:
            batch_size: Examples per step, over all processes.

        Raises:
            UserError: Naming both numbers.
        """
        if batch_size % self.size:
            raise UserError(
                f"train.task.batch_size is {batch_size}; must be a multiple of the "
                f"{self.size} processes"
            )

    def share(self, rows: Tensor) -> Tensor:
        """Take this process's part of a batch.

        Args:
            rows: The whole batch, shape (b, ...).

        Returns:
            Shape (b / size, ...).
        """
        return rows if self.size == 1 else rows[self.rank :: self.size]

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by its mean over the processes, in one message.

        Args:
            parameters: In the same order in every process.
        """
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        joined = self._sum(joined) / self.size
        parts = joined.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Average numbers over the processes.

        Args:
            values: The same keys in every process.

        Returns:
            The means.
        """
        if self.size == 1:
            return values
        joined = torch.tensor([values[key] for key in sorted(values)], dtype=torch.float64)
        means = self._sum(joined) / self.size
        return dict(zip(sorted(values), means.tolist(), strict=True))

    def agree(self, state: str) -> None:
        """Go on only when all processes have come here, in the same state.

        Processes that resume from different folders would average gradients of different steps.

        Args:
            state: Where this process stands.

        Raises:
            UserError: In every process, if not all stand at the same place.
        """
        if self.size == 1:
            return
        states: list[Any] = [None] * self.size
        dist.all_gather_object(states, state)
        if len(set(states)) > 1:
            found = "; ".join(f"process {rank}: {text}" for rank, text in enumerate(states))
            raise UserError(
                f"the processes resume different states ({found}); let them share one folder "
                "data/.resume, or delete it on every machine"
            )

    def _sum(self, values: Tensor) -> Tensor:
        """Sum over the processes; the result lies where the values do."""
        sent = values.to(self.device if backend_of(self.device) == "nccl" else CPU)
        dist.all_reduce(sent)
        return sent.to(values.device)


ALONE = ProcessGroup()


def backend_of(device: torch.device) -> Literal["nccl", "gloo"]:
    """Choose how processes talk.

    Args:
        device: Where they compute.

    Returns:
        nccl on CUDA; gloo elsewhere, which takes tensors of the CPU.
    """
    return "nccl" if device.type == "cuda" else "gloo"


@contextmanager
def assembled(device: torch.device = CPU) -> Iterator[ProcessGroup]:
    """Join the processes that `torchrun` started; one process alone where it started none.

    Args:
        device: Where they compute; of `cuda` each takes the card of its number on its machine.

    Yields:
        The group, with the device of this process.

    Raises:
        UserError: If there is no card for this process.
    """
    size = int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1
    if size == 1:
        yield ProcessGroup(device=device)
        return
    own = own_card(device, int(os.environ["LOCAL_RANK"]), available())
    if own.type == "cuda":
        torch.cuda.set_device(own)  # objects, too, are sent through the card
    dist.init_process_group(backend_of(own), device_id=own if own.type == "cuda" else None)
    try:
        yield ProcessGroup(dist.get_rank(), size, own)
    finally:
        dist.destroy_process_group()
