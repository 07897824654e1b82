"""What a network is shown at once."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Some examples of one set.

    Attributes:
        inputs: Shape (b, ...).
        targets: What the dataset gives for them, shape (b, ...).
        rows: Where they stand in their set, shape (b,); in a training set, among all of its views.
    """

    inputs: Tensor
    targets: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)
