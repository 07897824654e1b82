"""What `dvc repro` runs: the list `run` of params.yaml, and what follows from it.

DVC's templates loop over lists and mappings, but cannot look a name up or leave repeats out. So
what follows from `run` (which datasets, which networks) lies written out in a file that dvc.yaml
loops over. `neumeta use` writes both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neumeta.core.errors import UserError
from neumeta.core.files import write_json
from neumeta.core.reading import read_yaml
from neumeta.core.targets import check_targets, json_of

SELECTED = "data/selected.json"  # beside the parameter file


@dataclass(frozen=True)
class Selection:
    """What the loops of dvc.yaml run over.

    Attributes:
        run: The list of params.yaml that the rest follows from.
        datasets: What is read by any of these.
        loops: Entries by name of the loop; see `neumeta.core.kinds.Kind`.
    """

    run: tuple[str, ...]
    datasets: tuple[str, ...]
    loops: Mapping[str, Mapping[str, Any]]

    def content(self) -> dict[str, Any]:
        """Lay it out as dvc.yaml reads it.

        Returns:
            JSON-ready.
        """
        flat = {"run": list(self.run), "datasets": list(self.datasets)}
        return {"selected": {**flat, **{name: dict(loop) for name, loop in self.loops.items()}}}


def write_selection(params_file: str | Path, chosen: Selection) -> None:
    """Write what dvc.yaml loops over, beside the parameter file.

    Args:
        params_file: The parameter file.
        chosen: What to write.
    """
    path = Path(params_file).parent / SELECTED
    check_targets([params_file], [(path, json_of("selected"))])
    write_json(path, chosen.content(), sort_keys=False)


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
    if read_yaml(path) != expected.content():
        raise UserError(f"{path}: does not follow from {params_file} any more; {command}")
