"""Schema of the section `permute`."""

from pydantic import Field

from neumeta.core.fields import MOST_COUNT, ComputingSection, Positive, Seed


class PermuteParams(ComputingSection):
    """The search for the smoothing order of each clique group."""

    seed: Seed
    perturbations: int = Field(
        ge=0, le=MOST_COUNT, description="random restarts from the best path per group"
    )
    tolerance: Positive = Field(description="largest allowed change of any output")
