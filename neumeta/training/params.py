"""Schema of ordinary trainings: recipes, what a network learns from, and the base network."""

from typing import Literal

from pydantic import Field, model_validator

from neumeta.core.fields import (
    MOST_VALUE,
    Batch,
    ComputingSection,
    Count,
    Epochs,
    Fraction,
    Positive,
    Precision,
    Rate,
    Section,
    Seed,
    Weight,
)
from neumeta.data.params import AugmentationParams
from neumeta.models.params import FamilyParams


class OptimiserParams(Section):
    """The optimiser."""

    name: Literal["adamw", "sgd"]
    beta1: Fraction = Field(description="decay per step of the mean gradient; momentum of SGD")
    beta2: Fraction = Field(description="decay per step of the mean square; AdamW only")
    weight_decay: float = Field(ge=0, le=MOST_VALUE, description="per step, times lr for AdamW")


class ScheduleParams(Section):
    """The learning rate over the steps."""

    shape: Literal["one_cycle", "cosine", "constant"]
    start_divisor: float = Field(
        ge=1, le=MOST_VALUE, description="step 0 has peak divided by it; one_cycle only"
    )
    rise: float = Field(gt=0, lt=1, description="share of steps before the peak; one_cycle only")


class Recipe(Section):
    """How an ordinary network is trained."""

    epochs: Epochs | None = Field(None, description="passes over the training set; or give steps")
    steps: Count | None = Field(None, description="optimiser steps; or give epochs")
    batch_size: Batch
    lr: Rate
    optimiser: OptimiserParams
    schedule: ScheduleParams

    @model_validator(mode="after")
    def _one_length(self) -> "Recipe":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps")
        return self


class FetchParams(ComputingSection):
    """Where the base network comes from."""

    source: Literal["train", "file", "url"]
    path: str | None = Field(
        None,
        description="checkpoint file, as it is named or in $NEUMETA_CHECKPOINT_ROOT; only for "
        "source file",
    )
    url: str | None = Field(None, description="http(s) or file address; only for source url")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="of the file; compulsory for file and url"
    )
    by_order: bool | None = Field(
        None,
        description="take the tensors of the file one by one in their order, whatever their names; "
        "only for source file and url",
    )
    recipe: Recipe | None = Field(None, description="only for source train")
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> "FetchParams":
        if self.by_order and self.source == "train":
            raise ValueError("by_order goes with source file or url")
        needs = {"train": ("recipe",), "file": ("path", "sha256"), "url": ("url", "sha256")}
        for field in ("path", "url", "sha256", "recipe"):
            if (getattr(self, field) is not None) != (field in needs[self.source]):
                wanted = " and ".join(needs[self.source])
                raise ValueError(f"source {self.source} takes exactly {wanted}; see {field}")
        return self


class NetworkSection(Section):
    """A network without INRs: a dataset, a family, and where its weights come from."""

    dataset: str
    family: FamilyParams
    fetch: FetchParams


class ExamplesParams(Section):
    """What all trained networks see: two keys of the section train."""

    precision: Precision
    augmentation: AugmentationParams | None


class TeachingParams(Section):
    """Loss of a network that also learns from the base network."""

    task: Weight
    distillation: Weight
    temperature: Positive = Field(description="of the distillation softmax")

    @model_validator(mode="after")
    def _something_to_learn(self) -> "TeachingParams":
        if not self.task + self.distillation > 0:
            raise ValueError("task and distillation are both 0; set one above 0")
        return self


class InrOptimiserParams(OptimiserParams):
    """The optimiser of the INR."""

    muon_momentum: Fraction | None = Field(
        description="Muon with this momentum steps the matrices of the hidden layers, at the same "
        "rate and decay; it finds the direction in bfloat16. null: one optimiser for all"
    )
