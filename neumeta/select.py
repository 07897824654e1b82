"""Choose the experiments that `dvc repro` runs, by editing two lists of params.yaml."""

import re
from collections.abc import Sequence
from pathlib import Path

from neumeta.errors import UserError
from neumeta.files import atomic_write_text
from neumeta.params import PARAMS_FILE, load_params, read_yaml


def select_experiments(names: Sequence[str], path: str | Path = PARAMS_FILE) -> None:
    """Set `experiments:` and `datasets:`; all other text of the file stays as it is.

    Args:
        names: Defined experiments, in the order to list them.
        path: The parameter file; it is replaced only if the new text is valid.

    Raises:
        UserError: If a name is not defined.
    """
    params = load_params(path)
    for name in names:
        if name not in params.defined:
            allowed = ", ".join(params.defined)
            raise UserError(f"{path}: experiment {name!r} is not defined; allowed are {allowed}")
    pairs = {name: params.defined[name].dataset for name in names}
    datasets = sorted(set(pairs.values()))
    lines = "".join(f"  {name}: {dataset}\n" for name, dataset in pairs.items())
    text = Path(path).read_text(encoding="utf-8")
    text = _replace(text, "experiments", f"experiments:\n{lines}")
    text = _replace(text, "datasets", f"datasets: [{', '.join(datasets)}]\n")
    before = read_yaml(path)
    expected = {**before, "experiments": pairs, "datasets": datasets}
    draft = Path(path).with_name(f".{Path(path).name}.draft")
    try:
        atomic_write_text(draft, text)
        if read_yaml(draft) != expected:
            raise UserError(f"{path}: cannot edit experiments and datasets; write them by hand")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _replace(text: str, key: str, block: str) -> str:
    """Replace a top-level key with its indented lines or its list."""
    pattern = rf"^{key}:[^\n]*\n(?:(?:[ \t]+|- )[^\n]*\n)*"
    return re.sub(pattern, lambda _: block, text, count=1, flags=re.MULTILINE)
