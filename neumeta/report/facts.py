"""Everything one report is made of, as values: the pure functions take this and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class VariationGroup:
    """Total variation of one clique of channels, along its shared axis.

    Attributes:
        name: The group, such as `conv1`.
        channels: Number of channels that share the order.
        before: Total variation in the original order.
        after: Total variation in the smoothing order.
        bound: Proven: in no order is it less.
    """

    name: str
    channels: int
    before: float
    after: float
    bound: float

    @property
    def gap(self) -> float | None:
        """How far the smoothing order can be from the best one.

        Returns:
            A share of the bound; None where the bound says nothing.
        """
        return max(self.after / self.bound - 1, 0.0) if self.bound > 0 else None


@dataclass(frozen=True)
class Variation:
    """What the permutation did.

    Attributes:
        groups: One entry per clique.
        sum_before: Total variation of all tensors, along every axis, before.
        sum_after: The same, after.
        per_tensor_before: `sum_before` divided by the number of tensors.
        per_tensor_after: `sum_after` divided by the number of tensors.
        function_error: Largest change of an output on real inputs.
        tolerance: The largest change allowed.
        inputs: Number of real inputs compared.
    """

    groups: tuple[VariationGroup, ...]
    sum_before: float
    sum_after: float
    per_tensor_before: float
    per_tensor_after: float
    function_error: float
    tolerance: float
    inputs: int


@dataclass(frozen=True)
class StageRun:
    """How one stage ran.

    Attributes:
        stage: Its name.
        seconds: Wall time.
        threads: CPU threads, or None where not recorded.
        device: Such as `cpu`.
        python: Version.
        torch: Version.
        revision: Git revision of the code, or empty where not recorded.
    """

    stage: str
    seconds: float
    threads: int | None
    device: str
    python: str
    torch: str
    revision: str = ""


@dataclass(frozen=True)
class Dataset:
    """Where the accuracies were measured.

    Attributes:
        name: The data set.
        content_sha256: Hash of its tensors.
        sizes: Number of examples per split.
    """

    name: str
    content_sha256: str
    sizes: Mapping[str, int]

    @property
    def test_size(self) -> int | None:
        """Number of test examples, or None where the data set does not say."""
        return self.sizes.get("test")


@dataclass(frozen=True)
class Inr:
    """The stored INR.

    Attributes:
        path: Where the first one lies, as text to show.
        values: Number of values in that file.
        bytes: Size of that file.
        params: Parameters of the INR itself, among those values.
        frozen: Values of the base network that the INR does not make, among them too.
    """

    path: str
    values: int
    bytes: int
    params: int
    frozen: int


@dataclass(frozen=True)
class Facts:
    """All inputs of one report.

    Attributes:
        experiment: Name of the experiment.
        results: The result table, sweep and baselines together.
        base_history: Columns epoch, loss, val_accuracy.
        train_history: Columns seed, phase, step, loss, its parts, lr, val_accuracy.
        variation: What the permutation did.
        dataset: The data set.
        runs: One entry per stage, in pipeline order.
        params: The experiment's whole section of params.yaml.
        revision: Git revision, or None where there is no repository.
        inr: The stored INR, or None where it was not given.
        ablations: Accuracy by table, row, seed and width; empty where nothing was ablated.
    """

    experiment: str
    results: pd.DataFrame
    base_history: pd.DataFrame
    train_history: pd.DataFrame
    variation: Variation
    dataset: Dataset
    runs: Sequence[StageRun] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    revision: str | None = None
    inr: Inr | None = None
    ablations: pd.DataFrame = field(default_factory=pd.DataFrame)
