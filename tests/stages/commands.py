"""The commands of dvc.yaml, for running stages in a test's own folder."""

import importlib
import shlex

from ruamel.yaml import YAML

from tests.toy import ROOT

STAGES = ("data", "fetch", "permute", "train", "sweep", "baselines", "ablate", "report")


def command_of(stage: str) -> list[str]:
    """The flags of a stage as dvc.yaml gives them, for the digits experiment."""
    entries = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    entry = entries["stages"][stage]
    text = entry.get("do", entry)["cmd"]
    text = text.replace("${item}", "digits").replace("${key}", "digits-lenet")
    words = shlex.split(text)
    assert words[:3] == ["python", "-m", f"neumeta.stages.{stage}"]
    return words[3:]


def run_stage(stage: str, extra: list[str] | None = None) -> int:
    """Run a stage in the current folder."""
    main = importlib.import_module(f"neumeta.stages.{stage}").main
    status: int = main([*command_of(stage), *(extra or [])])
    return status
