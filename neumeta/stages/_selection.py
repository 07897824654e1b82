"""What `dvc repro` runs: the lists at the top of params.yaml, from which dvc.yaml makes stages."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from neumeta.core.errors import UserError
from neumeta.core.fields import Section
from neumeta.methods.metamorphosis.params.study import StudyParams
from neumeta.training.params import NetworkSection


class StudyInputs(Section):
    """What the INRs of a study read."""

    dataset: str
    experiment: str


class Selection(Section):
    """The lists; `neumeta use` writes all of them."""

    experiments: dict[str, str] = Field(description="what `dvc repro` runs: name -> dataset")
    datasets: tuple[str, ...] = Field(description="the datasets that all of these read")
    bases: dict[str, str] = Field(description="networks that `fetch` makes: name -> dataset")
    ordered: dict[str, str] = Field(description="networks of studies: name -> dataset")
    studies: dict[str, StudyInputs] = Field(description="studies that `dvc repro` runs")


LISTS = tuple(Selection.model_fields)


def selection(
    names: Sequence[str],
    networks: Mapping[str, NetworkSection],
    studies: Mapping[str, StudyParams],
) -> Selection:
    """Write the lists for experiments and studies.

    Args:
        names: Of either, in the order to list them.
        networks: Every experiment and every other network of the file.
        studies: Every study of the file.

    Returns:
        The lists.
    """
    experiments = {name: networks[name].dataset for name in names if name not in studies}
    ordered: dict[str, str] = {}
    inputs: dict[str, StudyInputs] = {}
    for name in names:
        if name in studies:
            ordered |= {network: networks[network].dataset for network in studies[name].networks}
            experiment = studies[name].study.experiment
            inputs[name] = StudyInputs(dataset=networks[experiment].dataset, experiment=experiment)
    needed = {study.experiment: study.dataset for study in inputs.values()}
    bases = {**experiments, **ordered, **needed}
    return Selection(
        experiments=experiments,
        datasets=tuple(sorted(set(bases.values()))),
        bases=bases,
        ordered=ordered,
        studies=inputs,
    )


def check_selection(chosen: Selection, expected: Selection, path: object) -> None:
    """Refuse lists that do not go together.

    Args:
        chosen: What the file holds.
        expected: What `selection` makes of its experiments and studies.
        path: The file, for errors.

    Raises:
        UserError: Naming the list and what it lacks.
    """
    for name, dataset in chosen.experiments.items():
        if dataset != expected.experiments[name]:
            right = expected.experiments[name]
            raise UserError(f"{path}: experiments.{name}: must be its dataset, {right!r}")
    for name, inputs in chosen.studies.items():
        if inputs != expected.studies[name]:
            wanted = expected.studies[name].model_dump()
            raise UserError(f"{path}: studies.{name}: must be {wanted}")
    for dataset in expected.datasets:
        if dataset not in chosen.datasets:
            reader = next(name for name, read in expected.bases.items() if read == dataset)
            raise UserError(f"{path}: datasets: add {dataset!r}, which {reader} reads")
    for key in ("bases", "ordered"):
        own, needed = getattr(chosen, key), getattr(expected, key)
        for name, dataset in needed.items():
            if own.get(name) != dataset:
                raise UserError(
                    f"{path}: {key}: add '{name}: {dataset}', which `neumeta use` does by itself"
                )
        if more := [name for name in own if name not in needed]:
            raise UserError(f"{path}: {key}: nothing that is run needs {more[0]!r}; take it out")
