"""Schema of a study of orders: which networks, and the INRs trained from each order."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from neumeta.core.fields import (
    Changes,
    ComputingSection,
    Percent,
    ScoredSplit,
    Section,
    Seeds,
    Widths,
    as_tuple,
    distinct,
)
from neumeta.methods.metamorphosis.params.ablate import changed_params
from neumeta.methods.metamorphosis.params.train import TrainParams

OrderStrategy = Literal["original", "random", "layer-greedy", "layer-2-opt", "ours"]


class OrdersParams(ComputingSection):
    """Section `orders`: the search for orders by every strategy."""

    seeds: Seeds = Field(description="one run of every strategy per seed")


class StudyInrParams(ComputingSection):
    """INRs that are trained from each order of one network, at equal budget."""

    experiment: str = Field(description="whose base network, section train and section sweep count")
    split: ScoredSplit = Field(description="what the networks are scored on")
    widths: Widths = Field(description="widths sampled and scored, channels")
    seeds: Seeds = Field(description="of the INR, and of the order it is trained from")
    change: Changes


class PublishedOrder(Section):
    """What the paper reports of one strategy."""

    variation: float = Field(
        gt=0, allow_inf_nan=False, description="total variation of all weights, undivided"
    )
    accuracy: Percent


class StudyReportParams(Section):
    """Text of the report, and published numbers to stand beside the measured ones."""

    title: str
    summary: str
    published_as: str | None = Field(None, description="whose numbers they are, for the report")
    published: dict[OrderStrategy, PublishedOrder] | None = Field(
        None, description="of the network of `study`, by strategy"
    )


class StudyParams(Section):
    """One study: its networks, its INRs, its report."""

    networks: Annotated[
        tuple[str, ...],
        BeforeValidator(as_tuple),
        AfterValidator(distinct),
        Field(min_length=1, description="sections with dataset, family and fetch"),
    ]
    study: StudyInrParams
    report: StudyReportParams


def study_params(train: TrainParams, study: StudyInrParams) -> TrainParams:
    """Apply the changes of a study to the section `train` of its experiment.

    Args:
        train: The section.
        study: The section `study`.

    Returns:
        The parameters of its INRs.

    Raises:
        UserError: Naming the key and what is allowed.
    """
    return changed_params(train, study.change, "change", "study.seeds")
