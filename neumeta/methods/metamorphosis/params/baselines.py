"""Schema of what the INR is compared with: the section `baselines`."""

from typing import Literal

from pydantic import Field, model_validator

from neumeta.core.fields import (
    Batch,
    ComputingSection,
    Count,
    Criteria,
    Criterion,
    Positive,
    Section,
    Seed,
    Seeds,
    Trains,
    WidthRange,
    Widths,
)
from neumeta.training.params import Recipe, TeachingParams


class IndividualParams(Section):
    """Networks trained from fresh weights at one width each."""

    widths: Widths
    seeds: Seeds
    trains: Trains
    recipe: Recipe


class DistilledParams(IndividualParams):
    """The same, with distillation from the base network."""

    losses: TeachingParams


class SlimmableParams(Section):
    """One set of weights whose first channels are the smaller networks."""

    seeds: Seeds
    random_widths: int = Field(
        ge=0, le=2**12, description="per step, beside the smallest and the largest"
    )
    temperature: Positive = Field(description="of the distillation from the largest width")
    rescale: bool = Field(description="make up for the smaller fan-in, as interpolation does")
    recipe: Recipe


class IntegralParams(Section):
    """The base weights as trainable knots, interpolated to every width."""

    seeds: Seeds
    losses: TeachingParams
    recipe: Recipe


class ScoringParams(Section):
    """Training examples behind the gradients of the Taylor and Hessian criteria."""

    batches: Count
    batch_size: Batch
    seed: Seed


class PrunedParams(Section):
    """Pruning of the base network by several criteria, without and with fine-tuning."""

    criteria: Criteria = ("l1",)
    scoring: ScoringParams | None = Field(None, description="for criteria taylor and hessian")
    random_seeds: Seeds = Field((0,), description="of criterion random, without fine-tuning")
    widths: Widths | None = Field(None, description="fine-tuned widths; null: no fine-tuning")
    seeds: Seeds = Field((0,), description="of the fine-tuning, and of its random choice")
    trains: Trains
    recipe: Recipe | None = Field(None, description="of the fine-tuning; null: no fine-tuning")

    @model_validator(mode="after")
    def _consistent(self) -> "PrunedParams":
        if (self.widths is None) != (self.recipe is None):
            raise ValueError("widths and recipe go together; give both or neither")
        if {"taylor", "hessian"} & set(self.criteria) and self.scoring is None:
            raise ValueError("criteria taylor and hessian need the section scoring")
        return self

    def choices(self) -> tuple[tuple[Criterion, int | None], ...]:
        """List the ways of choosing channels.

        Returns:
            Criterion and seed; None for a criterion without randomness.
        """
        return tuple(
            (criterion, seed)
            for criterion in self.criteria
            for seed in (self.random_seeds if criterion == "random" else (None,))
        )


class BaselineParams(ComputingSection):
    """What the INR is compared with; a kind that is null is not run."""

    widths: WidthRange = Field(description="widths of all but the kinds with widths of their own")
    origin: Literal["edge", "centre"] = Field(
        description="of interpolated and integral: channel i of n at i/n or (i + 0.5)/n"
    )
    pruned: PrunedParams | None = None
    individual: IndividualParams | None = None
    distilled: DistilledParams | None = None
    slimmable: SlimmableParams | None = None
    integral: IntegralParams | None = None

    def all_widths(self) -> dict[str, tuple[int, ...]]:
        """List the widths of all kinds.

        Returns:
            Widths by dotted key below `baselines`.
        """
        found = {"widths": self.widths.values()}
        for kind in ("pruned", "individual", "distilled"):
            section = getattr(self, kind)
            if section is not None and section.widths is not None:
                found[f"{kind}.widths"] = section.widths
        return found

    def above(self, base_width: int) -> tuple[int, ...]:
        """Find widths that cannot be made of the base network.

        Args:
            base_width: Width of the base network, channels.

        Returns:
            Those above it, of the kinds that cut or interpolate.
        """
        made = {k: w for k, w in self.all_widths().items() if k in ("widths", "pruned.widths")}
        return tuple(width for widths in made.values() for width in widths if width > base_width)
