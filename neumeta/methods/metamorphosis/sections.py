"""What Neural Metamorphosis brings to params.yaml: experiments, and studies of orders."""

from typing import cast

from neumeta.core.errors import UserError
from neumeta.core.kinds import Kind, Loops, MethodSections, Sections
from neumeta.methods.metamorphosis.params.experiment import Experiment
from neumeta.methods.metamorphosis.params.study import OrdersParams, StudyParams, study_params
from neumeta.training.params import NetworkSection


def _experiment_loops(name: str, section: Experiment, sections: Sections) -> Loops:
    own = {name: section.dataset}
    return {"networks": own, "experiments": own}


def _study_loops(name: str, section: StudyParams, sections: Sections) -> Loops:
    networks = cast(dict[str, NetworkSection], sections)
    compared = {network: networks[network].dataset for network in section.networks}
    inr = section.study.experiment
    inputs = {"dataset": networks[inr].dataset, "experiment": inr}
    return {"networks": compared, "orders": compared, "studies": {name: inputs}}


def _check_study(name: str, section: StudyParams, sections: Sections) -> None:
    """Refuse names that are not there, and widths outside the family."""
    known = [key for key, other in sections.items() if isinstance(other, NetworkSection)]
    for network in section.networks:
        if network not in known:
            raise UserError(
                f"{name}.networks: {network!r} is not defined; allowed: {', '.join(known)}"
            )
    inr = section.study
    experiment = sections.get(inr.experiment)
    if not isinstance(experiment, Experiment):
        allowed = ", ".join(key for key, s in sections.items() if isinstance(s, Experiment))
        raise UserError(
            f"{name}.study.experiment: {inr.experiment!r} is not defined; allowed: {allowed}"
        )
    if inr.experiment not in section.networks:
        raise UserError(f"{name}.networks: add {inr.experiment!r}, as in its study")
    try:
        changed = study_params(experiment.train, inr)
    except UserError as error:
        raise UserError(f"{name}.study: {error}") from error
    low, high = experiment.family.min_width, experiment.family.max_width
    for width in (*inr.widths, *changed.widths.values(), *changed.probe_widths):
        if not low <= width <= high:
            raise UserError(f"{name}.study: width {width} is outside the family's {low}..{high}")


STUDY = Kind(
    name="study",
    model=StudyParams,
    marks=frozenset({"networks", "study"}),
    loops=_study_loops,
    check=_check_study,
    looped=("networks", "orders", "studies"),
)
EXPERIMENT = Kind(
    name="experiment",
    model=Experiment,
    marks=frozenset(Experiment.model_fields) - {*NetworkSection.model_fields, "report"},
    loops=_experiment_loops,
    looped=("networks", "experiments"),
)
SECTIONS = MethodSections(kinds=(EXPERIMENT, STUDY), shared={"orders": OrdersParams})
