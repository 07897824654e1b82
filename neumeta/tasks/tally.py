"""Sums over examples, from which a task tells its metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

Sum: TypeAlias = float | Tensor


@dataclass(frozen=True)
class Tally:
    """Sums over examples, so that batches of any size add up exactly.

    Example: a classification sums what is right and the loss; a segmentation could hold a
    confusion matrix. `Tally()` is the sum over nothing, whatever the task.

    Attributes:
        sums: By name: numbers, or tensors of any shape.
        examples: Number of examples.
    """

    sums: Mapping[str, Sum] = field(default_factory=dict)
    examples: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        if not self.examples or not other.examples:
            return self if self.examples else other
        if self.sums.keys() != other.sums.keys():
            raise ValueError(f"sums are {sorted(self.sums)} and {sorted(other.sums)}")
        added = {name: value + other.sums[name] for name, value in self.sums.items()}
        return Tally(added, self.examples + other.examples)

    def number(self, name: str) -> float:
        """Read a sum that is a number.

        Args:
            name: Of the sum.

        Returns:
            Its value.
        """
        return float(self.sums[name])

    def facts(self) -> dict[str, Any]:
        """Write the sums as JSON can hold them.

        Returns:
            Keys `examples` and `sums`; tensors as nested lists.
        """
        sums = {n: v.tolist() if isinstance(v, Tensor) else v for n, v in self.sums.items()}
        return {"examples": self.examples, "sums": sums}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> "Tally":
        """Read what `facts` wrote.

        Args:
            facts: Keys `examples` and `sums`.

        Returns:
            The sums, to the last bit.
        """
        return cls({name: _read(value) for name, value in facts["sums"].items()}, facts["examples"])


def _read(value: float | list[Any]) -> Sum:
    return torch.from_numpy(np.asarray(value)) if isinstance(value, list) else value
