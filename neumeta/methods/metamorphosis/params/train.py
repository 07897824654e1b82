"""Schema of the INR: the sections `train` and `sweep`."""

from typing import Literal

from pydantic import Field, model_validator

from neumeta.core.fields import (
    MOST_COUNT,
    MOST_VALUE,
    Batch,
    ComputingSection,
    Count,
    Draws,
    Fraction,
    Positive,
    Precision,
    Rate,
    Section,
    Seed,
    Seeds,
    Weight,
    WidthRange,
    Widths,
)
from neumeta.data.params import AugmentationParams
from neumeta.training.params import InrOptimiserParams, ScheduleParams

MOST_WEIGHTS = 2**27  # half a GB of one MLP


class EncodingParams(Section):
    """Fourier features of the coordinates."""

    identity_octaves: int = Field(
        ge=0, le=16, description="frequencies of tensor index and count; 0 for block, 4 for single"
    )
    index_octaves: int = Field(
        ge=0, le=32, description="frequencies per channel index; about log2(channels)"
    )
    size_octaves: int = Field(ge=0, le=16, description="frequencies per layer size")
    blur: float = Field(
        ge=0,
        le=16,
        description="features of an index are means over this many cells of its grid; 0 for the "
        "features of the point, as published",
    )


class CoordinateParams(Section):
    """How a weight's place becomes a coordinate, and what moves in training and sampling."""

    jitter: Literal["weight", "channel"] = Field(
        description="weight: every weight is moved on its own, as published; channel: all weights "
        "of a channel are moved together, as if the channel lay elsewhere"
    )
    origin: Literal["edge", "centre"] = Field(
        description="channel i of n lies at i/n (edge, as published) or (i + 0.5)/n (centre)"
    )
    size: Literal["raw", "none"] = Field(
        description="whether the INR is told the layer's size as a number (raw, as published) or "
        "not; a blurred encoding shows it all the same"
    )


class NetworkParams(Section):
    """The INR itself."""

    layers: int = Field(ge=1, le=64, description="hidden layers, the first one included")
    hidden: int = Field(ge=1, le=2**12, description="units per hidden layer")
    residual: bool
    residual_scale: float = Field(
        ge=0, le=MOST_VALUE, description="initial factor of each residual branch"
    )
    arrangement: Literal["block", "single"] = Field(
        description="block: one MLP per generated tensor; single: one MLP for all"
    )

    @model_validator(mode="after")
    def _fits_a_memory(self) -> "NetworkParams":
        if self.layers * self.hidden**2 > MOST_WEIGHTS:
            raise ValueError(f"layers * hidden^2 must be at most {MOST_WEIGHTS:,} weights an MLP")
        return self


class PhaseParams(Section):
    """One phase of the training: steps and peak learning rate."""

    steps: int = Field(ge=0, le=MOST_COUNT)
    lr: Rate
    schedule: ScheduleParams


class WarmStartParams(PhaseParams):
    """The warm start fits resampled base weights, without data."""

    noise: float = Field(ge=0, le=4, description="as train.noise, which holds in the task phase")


class TaskPhaseParams(PhaseParams):
    """The task phase also draws batches."""

    batch_size: Batch = Field(description="examples per width and step")
    widths_per_step: int = Field(ge=1, le=2**12, description="configurations drawn per step")


class CoarseParams(Section):
    """Task steps in which a network of a trained width is told of a coarser grid than its own.

    Its channels stand anywhere within a cell of that grid. So the INR learns what to say of widths
    that are never built in training.
    """

    share: Fraction = Field(description="of the task steps")
    widths: WidthRange = Field(description="of the networks in those steps, channels")
    grids: WidthRange = Field(description="of the grids that are told, channels; none above widths")
    noise: float = Field(
        ge=0, le=4, description="half range a, in cells of the grid that is told; 0.5 is one cell"
    )


class LossParams(Section):
    """Weights of the loss terms."""

    task: Weight
    distillation: Weight
    temperature: Positive = Field(description="of the distillation softmax")
    reconstruction: Weight
    fade: float = Field(
        gt=0, description="the reconstruction weight reaches 0 after this share of the steps"
    )
    regularisation: Weight

    @model_validator(mode="after")
    def _something_to_learn(self) -> "LossParams":
        if not self.task + self.distillation + self.regularisation > 0:
            raise ValueError("task, distillation and regularisation are all 0; set one above 0")
        return self


class TrainParams(ComputingSection):
    """Training of the INR (Algorithm 2, with warm start and distillation)."""

    widths: WidthRange
    draw: Literal["width", "cell"] = Field(
        description="what the steps draw uniformly: the width h, or the size of its cells, 1/h, "
        "which takes small widths more often"
    )
    seeds: Seeds = Field(description="one INR is trained per seed")
    precision: Precision
    augmentation: AugmentationParams | None = Field(description="null: the images as they are")
    coordinates: CoordinateParams
    noise: float = Field(
        ge=0, le=4, description="half range a of U(-a, a) on channel indices and sizes, channels"
    )
    sample_noise: float = Field(
        ge=0,
        le=4,
        description="half range of the noise of draws 1.. when networks are sampled, channels; "
        "the default of the file, which the sweep measures",
    )
    encoding: EncodingParams
    network: NetworkParams
    coarse: CoarseParams | None = Field(description="null: every step sees its own grid")
    warm_start: WarmStartParams
    task: TaskPhaseParams
    losses: LossParams
    optimiser: InrOptimiserParams
    clip_norm: Positive = Field(description="largest allowed gradient norm")
    ema: Fraction = Field(description="decay per step of the averaged weights")
    probe_widths: Widths = Field(description="widths validated during training, channels")
    validate_every: Count = Field(description="task steps between validations")
    log_every: Count = Field(description="steps between rows of the loss curve")
    save_every: Count = Field(description="steps between resumable states")

    @model_validator(mode="after")
    def _coarse_is_seen(self) -> "TrainParams":
        if self.coarse is None:
            return self
        if not self.encoding.blur > 0:
            raise ValueError("coarse needs encoding.blur above 0: without it no cell is seen")
        if (self.coordinates.jitter, self.coordinates.size) != ("channel", "none"):
            raise ValueError(
                "coarse needs coordinates.jitter channel, so that whole channels move in the cells "
                "that are told, and size none, so that no size contradicts them"
            )
        if untrained := set(self.coarse.widths.values()) - set(self.widths.values()):
            raise ValueError(f"coarse.widths holds {min(untrained)}, which train.widths does not")
        if self.coarse.grids.values()[-1] > self.coarse.widths.start:
            raise ValueError("coarse.grids must not lie above coarse.widths")
        return self


class SweepParams(ComputingSection):
    """Sampling and evaluation at every width (Algorithm 3)."""

    widths: WidthRange
    precision: Precision
    draws: Draws = Field(description="K draws averaged per network; draw 0 is noise-free")
    seed: Seed
