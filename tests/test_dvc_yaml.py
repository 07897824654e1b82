"""dvc.yaml names exactly what each stage reads and writes."""

import builtins
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from neumeta.core.identity import read_tree, stage_modules
from tests.committed import committed
from tests.stages.commands import OF_EXPERIMENTS, STAGES, command_of, filled, run_stage
from tests.toy import ROOT, toy_params, write_toy_params

ALL = (*STAGES, "index")


CODE = "code"  # the stage that makes the identities of all others
IDENTITIES = "code.json"
INPUTS = "inputs"  # the stage that looks at what lies outside of the pipeline
FINGERPRINTS = "data/inputs.json"
RUNS = "data/runs/"  # records of runs


def entries() -> dict[str, dict[str, Any]]:
    graph = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    return {stage: entry.get("do", entry) for stage, entry in graph["stages"].items()}


def entry_of(stage: str) -> dict[str, Any]:
    return entries()[stage]


def named(stage: str, key: str) -> list[str]:
    """Paths of one list of an entry; an item is a path or a mapping of a path to options."""
    items = entry_of(stage).get(key, [])
    return [filled(stage, item if isinstance(item, str) else next(iter(item))) for item in items]


def outs_of(stage: str) -> list[str]:
    return [path for key in ("outs", "metrics", "plots") for path in named(stage, key)]


def test_code_is_named_by_the_stage_code_alone() -> None:
    """An edit reaches all others by their identities, and so only those that import it."""
    named_code = {
        stage: [dep for dep in entry.get("deps", []) if not dep.startswith(("data/", "reports/"))]
        for stage, entry in entries().items()
    }
    assert {stage: deps for stage, deps in named_code.items() if deps} == {
        CODE: ["code.yaml", "neumeta", "requirements.lock"]
    }


@pytest.mark.parametrize("stage", ALL)
def test_a_stage_takes_its_own_identity_and_no_other(stage: str) -> None:
    files = [param for param in entry_of(stage)["params"] if isinstance(param, dict)]
    outside = {"data": ["data.${item}"], "fetch": ["networks.${key}"]}
    raw = [{FINGERPRINTS: outside[stage]}] if stage in outside else []
    assert files == [{IDENTITIES: [stage]}, *raw]


def test_raw_files_are_looked_at_every_time_and_what_was_found_stays() -> None:
    """Its out is not removed before it runs: a machine without the files keeps what it says."""
    assert entry_of(INPUTS)["always_changed"] is True
    assert entry_of(INPUTS)["outs"] == [{FINGERPRINTS: {"cache": False, "persist": True}}]


def test_what_only_git_keeps_is_not_removed_before_it_is_made_again() -> None:
    """DVC removes outs before it runs a command: a wrong interpreter would cost a report.

    Not so the records of runs: DVC would keep no run of their stages for later, and git has them.
    """
    kept_by_git = [
        (path, options)
        for entry in entries().values()
        for key in ("outs", "metrics", "plots")
        for item in entry.get(key, [])
        if isinstance(item, dict)
        for path, options in item.items()
        if options.get("cache") is False and not path.startswith(RUNS)
    ]
    assert len(kept_by_git) > 20
    assert [path for path, options in kept_by_git if options.get("persist") is not True] == []


def test_identities_are_kept_in_git_and_made_for_every_stage(tmp_path: Path) -> None:
    assert entry_of(CODE)["outs"] == [{IDENTITIES: {"cache": False, "persist": True}}]
    kept = committed(tmp_path, IDENTITIES) / IDENTITIES  # a failed run leaves none
    assert set(json.loads(kept.read_text())) == set(ALL)


def test_every_stage_module_has_an_entry_and_a_section() -> None:
    modules = set(stage_modules(read_tree(ROOT)))
    assert set(entries()) == modules == {CODE, INPUTS, *ALL}
    params = toy_params()
    experiment, study = set(params["digits-lenet"]), set(params["permutation-study"])
    # costs measures the widths of the sweep.
    assert experiment - {"dataset", "family"} == set(OF_EXPERIMENTS) - {"data", "costs"}
    # study_report reads the whole section of its study, whose part `report` is its own.
    assert study == {"networks", "study", "report"}
    assert {"data", "orders"} <= set(params)


class FileSpy:
    """Notes which files below a folder are opened for reading and which are put in place."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.read: set[str] = set()
        self.written: set[str] = set()
        self.sections: set[str] = set()
        opened, replace = io.open, os.replace

        def spy_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if isinstance(file, str | os.PathLike) and "r" in mode:
                self._note(self.read, file)
            return opened(file, mode, *args, **kwargs)

        def spy_replace(source: Any, target: Any) -> None:
            self._note(self.written, target)
            replace(source, target)

        patch.setattr(builtins, "open", spy_open)
        patch.setattr(io, "open", spy_open)
        patch.setattr(os, "replace", spy_replace)
        import neumeta.core.checkpoint
        import neumeta.core.reading

        safe_open = neumeta.core.checkpoint.safe_open

        def spy_safe_open(path: str, *args: Any, **kwargs: Any) -> Any:
            self._note(self.read, path)
            return safe_open(path, *args, **kwargs)

        patch.setattr(neumeta.core.checkpoint, "safe_open", spy_safe_open)
        load_value = neumeta.core.reading.load_value

        def spy_load_value(key: str, *args: Any) -> Any:
            if not args or Path(args[0]).name == "params.yaml":
                self.sections.add(key)
            return load_value(key, *args)

        for module in list(sys.modules.values()):
            if getattr(module, "load_value", None) is load_value:
                patch.setattr(module, "load_value", spy_load_value)

    def _note(self, where: set[str], file: str | os.PathLike[str]) -> None:
        path = Path(file).absolute()
        if path.is_relative_to(self.folder):
            where.add(path.relative_to(self.folder).as_posix())


def covers(declared: list[str], path: str) -> bool:
    return any(path == entry or path.startswith(f"{entry}/") for entry in declared)


@pytest.mark.parametrize("stage", (CODE, INPUTS, *ALL))
def test_main_reads_and_writes_exactly_what_is_declared(
    stage: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "spied"
    shutil.copytree(finished, folder)
    deps = [dep for dep in named(stage, "deps") if not dep.startswith("neumeta")]
    outs = outs_of(stage)
    if stage == CODE:  # it alone reads code, that of the folder it runs in
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "neumeta", folder / "neumeta", ignore=skip)
        for path in ("code.yaml", "requirements.lock"):
            shutil.copy(ROOT / path, folder)
        deps.append("neumeta")
    for path in outs:
        if (folder / path).is_dir():
            shutil.rmtree(folder / path)
        else:
            (folder / path).unlink(missing_ok=stage in (CODE, INPUTS))
    if stage == "ablate":  # without a table it needs nothing
        params = toy_params()
        rows = [{"name": "without", "change": {"network.residual": False}}]
        table = {"name": "residual", "title": "Without residual connections", "rows": rows}
        params["digits-lenet"]["ablate"] |= {"seeds": [0], "tables": [table]}
        write_toy_params(folder, params)
    monkeypatch.chdir(folder)
    with pytest.MonkeyPatch.context() as patch:
        spy = FileSpy(folder, patch)
        assert run_stage(stage) == 0
    resume = "data/.resume/"
    read = {p for p in spy.read if not p.startswith(resume)} - {"params.yaml"} - spy.written
    written = {p for p in spy.written if not p.startswith(resume)}
    assert {path for path in read if not covers(deps, path)} == set(), "read but not declared"
    assert {dep for dep in deps if not any(covers([dep], p) for p in read)} == set(), "not read"
    assert {path for path in written if not covers(outs, path)} == set(), "not declared"
    assert {out for out in outs if not (folder / out).exists()} == set(), "not written"
    # The identity is for DVC to compare; only the guard looks at it, and only under DVC.
    declared = set(named(stage, "params")) - {IDENTITIES, FINGERPRINTS}
    assert stage == INPUTS or spy.sections == declared, "params"


@pytest.mark.parametrize("stage", ALL)
def test_command_line_and_lists_name_the_same_paths(stage: str) -> None:
    words = {word for word in command_of(stage) if "/" in word}
    deps = {dep for dep in named(stage, "deps") if not dep.startswith("neumeta")}
    outs = set(outs_of(stage))
    folder_outs = {w for w in words if any(out.startswith(f"{w}/") for out in outs)}
    assert words - folder_outs == deps | {out for out in outs if not covers([*folder_outs], out)}


@pytest.mark.parametrize("stage", ALL)
def test_an_entry_says_that_its_command_takes_shards(
    stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_stage(stage, ["--help"])
    assert ("--shard" in capsys.readouterr().out) == entry_of(stage).get("meta", {}).get(
        "shards", False
    )
