"""Schema of what the base network is and how it comes: `family`, `fetch`, `permute`."""

from typing import Any, Literal

from pydantic import Field, model_validator

from neumeta.params.fields import Count, Fraction, Rate, Section, Seed, Width


class FamilyParams(Section):
    """The network family that morphs."""

    name: Literal["lenet", "cifar_resnet", "resnet18"]
    head: Literal["pooled", "corner"] | None = Field(
        None,
        description="lenet: the classifier reads the mean of the last map, or only cell (0, 0)",
    )
    depth: Literal[20, 32, 44, 56] | None = Field(None, description="cifar_resnet: layers")
    scope: Literal["last_block", "last_stage", "all_blocks"] | None = Field(
        None,
        description="resnets: whose hidden channels follow the width; the streams between the "
        "blocks never do. Hidden width of a stage is its full width times h / base_width",
    )
    base_width: Width = Field(
        description="width of the base network, channels; resnets: of the last stage, 64 or 512"
    )
    min_width: Width = Field(description="smallest width that may be built, channels")
    max_width: Width = Field(description="largest width that may be built, channels")

    @model_validator(mode="after")
    def _consistent(self) -> "FamilyParams":
        if not self.min_width <= self.base_width <= self.max_width:
            raise ValueError("must hold: min_width <= base_width <= max_width")
        needs = {"lenet": {"head"}, "cifar_resnet": {"depth", "scope"}, "resnet18": {"scope"}}
        wanted = needs[self.name]
        for field in ("head", "depth", "scope"):
            if (getattr(self, field) is not None) != (field in wanted):
                takes = " and ".join(sorted(wanted))
                raise ValueError(f"family {self.name} takes exactly {takes}; see {field}")
        full = {"cifar_resnet": 64, "resnet18": 512}.get(self.name, self.base_width)
        if self.base_width != full:
            raise ValueError(f"base_width of {self.name} must be {full}")
        return self

    def settings(self) -> dict[str, Any]:
        """Describe the family for `make_family` and for headers of files.

        Returns:
            The keys that this family takes.
        """
        return self.model_dump(exclude_none=True)


class OptimiserParams(Section):
    """The optimiser."""

    name: Literal["adamw", "sgd"]
    beta1: Fraction = Field(description="decay per step of the mean gradient; momentum of SGD")
    beta2: Fraction = Field(description="decay per step of the mean square; AdamW only")
    weight_decay: float = Field(ge=0, description="per step, times lr for AdamW")


class ScheduleParams(Section):
    """The learning rate over the steps."""

    shape: Literal["one_cycle", "cosine", "constant"]
    start_divisor: float = Field(ge=1, description="step 0 has peak divided by it; one_cycle only")
    rise: float = Field(gt=0, lt=1, description="share of steps before the peak; one_cycle only")


class Recipe(Section):
    """How an ordinary network is trained."""

    epochs: Count | None = Field(None, description="passes over the training set; or give steps")
    steps: Count | None = Field(None, description="optimiser steps; or give epochs")
    batch_size: Count = Field(description="examples per step")
    lr: Rate
    optimiser: OptimiserParams
    schedule: ScheduleParams

    @model_validator(mode="after")
    def _one_length(self) -> "Recipe":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps")
        return self


class FetchParams(Section):
    """Where the base network comes from."""

    source: Literal["train", "file", "url"]
    path: str | None = Field(None, description="checkpoint file; only for source file")
    url: str | None = Field(None, description="http(s) or file address; only for source url")
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="of the file; compulsory for file and url"
    )
    recipe: Recipe | None = Field(None, description="only for source train")
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> "FetchParams":
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


class PermuteParams(Section):
    """The search for the smoothing order of each clique group."""

    seed: Seed
    perturbations: int = Field(ge=0, description="random restarts from the best path per group")
    tolerance: float = Field(gt=0, description="largest allowed change of any output")
