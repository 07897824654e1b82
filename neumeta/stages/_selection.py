"""What `dvc repro` runs: the list `run` of params.yaml, and what follows from it.

DVC's templates loop over lists and mappings, but cannot look a name up or leave repeats out. So
what follows from `run` (which datasets, which networks) lies written out in a file that dvc.yaml
loops over. `neumeta use` writes both.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from neumeta.core.errors import UserError
from neumeta.core.fields import Section
from neumeta.core.files import atomic_write_text
from neumeta.core.reading import read_yaml
from neumeta.methods.metamorphosis.params.study import StudyParams
from neumeta.training.params import NetworkSection

SELECTED = "data/selected.json"  # beside the parameter file


class StudyInputs(Section):
    """What the INRs of a study read."""

    dataset: str
    experiment: str


class Selection(Section):
    """What the loops of dvc.yaml run over."""

    run: tuple[str, ...] = Field(description="the list of params.yaml that the rest follows from")
    datasets: tuple[str, ...] = Field(description="what is read by any of these")
    networks: dict[str, str] = Field(description="networks that `fetch` makes: name -> dataset")
    experiments: dict[str, str] = Field(description="name -> dataset")
    orders: dict[str, str] = Field(description="networks that studies compare: name -> dataset")
    studies: dict[str, StudyInputs] = Field(description="studies, with what their INRs read")


def selection(
    names: Sequence[str],
    networks: Mapping[str, NetworkSection],
    studies: Mapping[str, StudyParams],
) -> Selection:
    """Find what follows from a list of experiments and studies.

    Args:
        names: Of either, in the order to list them.
        networks: Every experiment and every other network of the file.
        studies: Every study of the file.

    Returns:
        What dvc.yaml loops over.
    """
    experiments = {name: networks[name].dataset for name in names if name not in studies}
    orders: dict[str, str] = {}
    inputs: dict[str, StudyInputs] = {}
    for name in names:
        if name in studies:
            orders |= {network: networks[network].dataset for network in studies[name].networks}
            experiment = studies[name].study.experiment
            inputs[name] = StudyInputs(dataset=networks[experiment].dataset, experiment=experiment)
    needed = {study.experiment: study.dataset for study in inputs.values()}
    made = {**experiments, **orders, **needed}
    return Selection(
        run=tuple(names),
        datasets=tuple(sorted(set(made.values()))),
        networks=made,
        experiments=experiments,
        orders=orders,
        studies=inputs,
    )


def write_selection(params_file: str | Path, chosen: Selection) -> None:
    """Write what dvc.yaml loops over, beside the parameter file.

    Args:
        params_file: The parameter file.
        chosen: What to write.
    """
    text = json.dumps({"selected": chosen.model_dump(mode="json")}, indent=2)
    atomic_write_text(Path(params_file).parent / SELECTED, text + "\n")


def check_selection(params_file: str | Path, expected: Selection) -> None:
    """Refuse a file of loops that does not follow from the parameter file.

    Args:
        params_file: The parameter file.
        expected: What follows from it.

    Raises:
        UserError: Naming the command that mends it.
    """
    path = Path(params_file).parent / SELECTED
    command = f"run `neumeta use {' '.join(expected.run)}`"
    if not path.is_file():
        raise UserError(f"{path}: is missing; {command}")
    if read_yaml(path).get("selected") != expected.model_dump(mode="json"):
        raise UserError(f"{path}: does not follow from {params_file} any more; {command}")
