"""The commands of dvc.yaml, for running stages in a test's own folder."""

import importlib
import shlex

from ruamel.yaml import YAML

from tests.toy import ROOT

OF_EXPERIMENTS = (
    *("data", "fetch", "permute", "train", "sweep", "costs", "merge", "baselines", "ablate"),
    "report",
)
OF_STUDIES = ("study", "study_report")
STAGES = (*OF_EXPERIMENTS, "orders", *OF_STUDIES)


def filled(stage: str, text: str) -> str:
    """Text of dvc.yaml for the digits experiment, or for the toy study."""
    key = "permutation-study" if stage in OF_STUDIES else "digits-lenet"
    values = {"key": key, "item": "digits", "item.dataset": "digits"}
    for name, value in {**values, "item.experiment": "digits-lenet"}.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def words_of(stage: str) -> list[str]:
    """The command of a stage as dvc.yaml gives it, filled."""
    entries = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    entry = entries["stages"][stage]
    words = shlex.split(filled(stage, entry.get("do", entry)["cmd"]))
    assert words[:2] == ["python", "-m"]
    package, _, name = words[2].rpartition(".")
    assert f"{package}.".startswith("neumeta.stages.") and name == stage
    return words


def module_of(stage: str) -> str:
    """The module of a stage, by its dotted name."""
    return words_of(stage)[2]


def command_of(stage: str) -> list[str]:
    """The flags of a stage as dvc.yaml gives them, filled."""
    return words_of(stage)[3:]


def run_stage(stage: str, extra: list[str] | None = None) -> int:
    """Run a stage in the current folder."""
    main = importlib.import_module(module_of(stage)).main
    status: int = main([*command_of(stage), *(extra or [])])
    return status
