"""Schema of the section `permute`."""

from pydantic import Field

from neumeta.core.fields import Section, Seed


class PermuteParams(Section):
    """The search for the smoothing order of each clique group."""

    seed: Seed
    perturbations: int = Field(ge=0, description="random restarts from the best path per group")
    tolerance: float = Field(gt=0, description="largest allowed change of any output")
