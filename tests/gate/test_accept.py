"""Results survive the changes of code that twins prove harmless, and no other."""

import os
from pathlib import Path

import pytest

import neumeta.gate.accept
from neumeta.__main__ import main
from neumeta.core.errors import UserError
from neumeta.core.identity import closure_of, read_tree
from neumeta.core.ledger import LEDGER, read_ledger
from neumeta.gate.accept import Outcome, Verdict
from neumeta.gate.coverage import Unrun
from neumeta.gate.side import Side
from neumeta.gate.why import why
from neumeta.gate.wording import told
from tests.gate.project import NAMES, Project

TRAIN, RULES, TOOLS = "neumeta/stages/train.py", "neumeta/rules.py", "neumeta/tools.py"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path / "project")
    monkeypatch.setenv("TOY_LOG", str(made.log))
    return made


def rename(project: Project, new: str = "load", old: str = "read") -> None:
    """Call a function otherwise that train and report use."""
    for path in (TOOLS, TRAIN, "neumeta/stages/report.py"):
        project.edit(path, f"{old}(", f"{new}(")


def test_without_a_change_there_is_nothing_to_accept(project: Project) -> None:
    assert project.accept() is None
    project.edit(RULES, '"""What training computes."""', "# Nothing but a comment.")
    assert project.accept() is None
    assert project.written() == [] and not (project.root / LEDGER).exists()


def test_a_rename_is_accepted_for_all_stages_that_import_it(project: Project) -> None:
    before = project.identities()
    rename(project)
    assert all(project.identities()[stage] != before[stage] for stage in before)
    codes = {s: closure_of(s, read_tree(project.root)).digest() for s in before}
    base = project.root
    verdicts = project.verdicts()
    assert verdicts == {
        "data": Verdict("data", 2),
        "report": Verdict("report", 1),
        "train": Verdict("train", 2),
    }
    ledger = read_ledger(base / LEDGER)
    assert {stage: [*entries] for stage, entries in ledger.items()} == {
        stage: [code] for stage, code in codes.items()
    }
    entry = ledger["train"][codes["train"]]
    assert (entry.identity, entry.why, entry.twins) == (before["train"], "Tidy up", 2)
    assert project.identities() == before, "the ledger gives the new code the old identity"
    assert project.accept() is None


def test_stages_that_do_not_import_a_change_are_not_asked(project: Project) -> None:
    project.edit(RULES, "value + 1", "1 + value")
    assert project.verdicts() == {"train": Verdict("train", 2)}
    assert set(read_ledger(project.root / LEDGER)) == {"train"}


def test_a_change_is_refused_for_the_stage_that_shows_it_alone(project: Project) -> None:
    before = project.identities()
    rename(project)
    project.edit(RULES, "value + 2", "value + 4")
    verdicts = project.verdicts()
    fault = "train@b: inr/b.json differs in line 1: '3' -> '5'"
    assert verdicts == {
        "data": Verdict("data", 2),  # its parent
        "report": Verdict("report", 1),  # its child, which is given the same inputs
        "train": Verdict("train", 1, (fault,)),
    }
    assert set(read_ledger(project.root / LEDGER)) == {"data", "report"}
    now = project.identities()
    assert {s for s in now if now[s] != before[s]} == {"train"}


def test_a_refusal_leaves_the_ledger_as_it_is(project: Project) -> None:
    project.edit(RULES, "value + 1", "1 + value")
    project.accept()
    project.commit()
    ledger = (project.root / LEDGER).read_bytes()
    project.edit(RULES, "value + 2", "value + 4")
    assert project.verdicts()["train"].faults
    assert (project.root / LEDGER).read_bytes() == ledger


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("return 0", "return 3", "train@a: it ended without a word"),
        ("return 0", "raise SystemExit('no')", "train@a: SystemExit: no"),
        ("return 0", "raise ValueError('no')", "train@a: ValueError: no"),
        ("import rules", "import nothing", "train@a: ImportError: cannot import name 'nothing'"),
        ("    tools.write(out, rules", "    (out, rules", "train@a: inr/a.json is gone"),
    ],
)
def test_a_stage_that_fails_is_refused(project: Project, old: str, new: str, fault: str) -> None:
    project.edit(TRAIN, old, new)
    first, _ = project.verdicts()["train"].faults
    assert first.startswith(fault) and "\n" not in first
    assert read_ledger(project.root / LEDGER) == {}


def test_another_version_of_a_package_is_refused(project: Project) -> None:
    """Twins could not tell: both sides run the version that is installed."""
    project.write("requirements.lock", "torch==2.14.0\n")
    fault = "another version of torch 2.13.0 -> 2.14.0: both sides would run the installed one"
    assert project.verdicts() == {"train": Verdict("train", 0, (fault,))}
    assert project.written() == [] and read_ledger(project.root / LEDGER) == {}


def test_a_package_that_is_used_no_more_is_no_other_version(project: Project) -> None:
    project.edit(TRAIN, "if TYPE_CHECKING:\n    import torch\n", "")
    assert project.verdicts() == {"train": Verdict("train", 2)}


def test_changed_statements_that_no_twin_ran_are_counted(project: Project) -> None:
    project.edit(RULES, "value + 1", "1 + value")  # run by train@a
    project.edit(RULES, "value + 3", "3 + value")  # there is no train@c
    outcome = project.accept()
    assert outcome is not None
    assert outcome.unrun == Unrun(2, {RULES: (8,)})
    assert f"              {RULES}:8" in told(outcome)


def test_a_moved_module_is_accepted_and_its_lines_are_not_new(project: Project) -> None:
    (project.root / "neumeta/tools.py").rename(project.root / "neumeta/files.py")
    for stage in ("data", "train", "report"):
        project.edit(f"neumeta/stages/{stage}.py", "tools", "files")
    outcome = project.accept()
    assert outcome is not None and not any(verdict.faults for verdict in outcome.verdicts)
    assert outcome.unrun.changed == 7 and outcome.unrun.count == 0
    assert why("train", project.root)[0].endswith("2 results, 0 of them by other code")


def test_the_second_comparison_uses_the_runs_of_the_first(project: Project) -> None:
    outs = ["data/a.json", "data/a.run.json", "data/b.json", "data/b.run.json"]
    outs += ["inr/a.json", "inr/b.json", "report.json"]
    before = project.identities()
    rename(project)
    project.accept()
    assert sorted(project.written()) == sorted(outs * 2), "both sides"
    project.commit()
    rename(project, new="fetch", old="load")
    assert all(not verdict.faults for verdict in project.verdicts().values())
    assert sorted(project.written()) == outs, "the new side alone"
    assert {len(entries) for entries in read_ledger(project.root / LEDGER).values()} == {2}
    assert project.identities() == before, "the identity is that of the results, not of the base"


def test_a_repeated_comparison_runs_nothing_and_says_the_same(project: Project) -> None:
    project.edit(RULES, "value + 2", "value + 4")
    project.edit(RULES, "value + 3", "3 + value")
    first = project.accept()
    assert first is not None and project.written()
    second = project.accept()
    assert second is not None and project.written() == []
    assert (second.verdicts, second.unrun) == (first.verdicts, first.unrun)
    assert first.unrun == Unrun(2, {RULES: (8,)})


def test_a_damaged_kept_run_is_made_again(project: Project) -> None:
    """A note that is gone would hide which statements ran."""
    project.edit(RULES, "value + 2", "value + 4")
    first = project.accept()
    for notes in (project.root / "data/.resume/twins").rglob("notes"):
        notes.unlink()
    project.written()
    second = project.accept()
    assert first is not None and second is not None and second.unrun == first.unrun
    assert sorted(project.written()) == ["inr/a.json", "inr/b.json"]


def test_the_base_is_the_newest_revision_with_the_code_of_the_results(project: Project) -> None:
    base = project.commit()
    project.edit(RULES, "value + 1", "1 + value")
    project.commit()
    project.edit(RULES, "value + 2", "2 + value")
    project.commit()
    outcome = project.accept()
    assert outcome is not None and outcome.base == base[:12]
    assert outcome.verdicts == (Verdict("train", 2),)
    again = project.commit()  # the ledger makes this one the base
    project.edit(RULES, "value + 3", "3 + value")
    outcome = project.accept()
    assert outcome is not None and outcome.base == again[:12]


def test_results_of_several_codes_do_not_hinder(project: Project) -> None:
    """As after a change of behaviour whose results were renewed in part."""
    old = project.identities()
    project.edit(RULES, "value + 1", "value + 5")
    now = project.identities()
    stages = project.lock()
    stages["train@a"]["params"]["code.json"]["train"] = now["train"]
    project.save_lock(stages)
    project.commit()
    rename(project)
    verdicts = project.verdicts()
    assert not verdicts["data"].faults and not verdicts["report"].faults
    # Compared with the code of train@a alone, as which it goes on; train@b stays stale.
    assert verdicts["train"] == Verdict("train", 2, (), 1)
    assert project.identities() == old | {"train": now["train"]}


def test_a_base_that_made_no_results_is_refused(project: Project) -> None:
    project.edit(RULES, "value + 1", "value + 5")
    wrong = project.commit()
    project.edit(RULES, "value + 2", "2 + value")
    fault = "the base holds other code than made its results"
    assert project.verdicts(wrong) == {"train": Verdict("train", 0, (fault,), 2)}
    assert read_ledger(project.root / LEDGER) == {}


def test_code_that_no_revision_holds_is_one_line(project: Project) -> None:
    project.write_lock(dict.fromkeys(project.identities(), "0" * 16))
    with pytest.raises(UserError, match="holds the code that made the results of data, report, tr"):
        project.accept()
    project.write_lock(dict.fromkeys(project.identities()))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"^dvc\.lock does not say which code made the results of"):
        project.accept()


def test_results_and_stages_that_the_base_lacks_are_refused(project: Project) -> None:
    project.write_lock(project.identities(), (*NAMES, "c"))
    rename(project)
    verdicts = project.verdicts()
    assert verdicts["train"] == Verdict("train", 2, ("train@c: the base has no such result",))
    (project.root / "neumeta/stages/report.py").unlink()
    assert project.verdicts()["report"].faults == ("it is not on both sides",)


def test_code_that_fails_on_both_sides_is_refused(project: Project) -> None:
    project.edit(RULES, "value + 2", "value / 0")
    project.write_lock(project.identities())
    project.commit()
    rename(project)
    fault = "train@b: its base fails: ZeroDivisionError: division by zero"
    verdicts = project.verdicts()
    assert verdicts["train"] == Verdict("train", 1, (fault,))
    # Half of what it reads is missing: that it agrees on the other half proves nothing.
    assert verdicts["report"].faults == ("report: its base fails: no train@b",)


KILL = "__import__('os').kill(__import__('os').getppid(), 9)"


def test_a_worker_that_dies_ends_the_comparison(project: Project) -> None:
    project.edit(RULES, "return value + 2", KILL)
    with pytest.raises(UserError, match="a process that runs twins ended"):
        project.accept()
    assert not (project.root / LEDGER).exists()


def test_an_old_worker_that_dies_lets_nobody_wait(project: Project) -> None:
    project.edit(RULES, "return value + 2", KILL)
    project.write_lock(project.identities())
    project.commit()
    rename(project)
    verdicts = project.verdicts()
    assert "its base fails" in verdicts["train"].faults[0]
    assert "its base fails" in verdicts["report"].faults[0] and verdicts["data"].runs == 2


def test_any_error_of_the_old_side_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Side.run

    def broken(self: Side, result: object, watch: bool) -> str | None:
        if not watch:
            raise RuntimeError("disk full")
        return run(self, result, watch)  # type: ignore[arg-type]

    monkeypatch.setattr(Side, "run", broken)
    rename(project)
    assert project.verdicts()["report"].faults == ("report: its base fails: disk full",)


def test_edits_meanwhile_are_no_part_of_the_comparison(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Side.run

    def edit(self: Side, result: object, watch: bool) -> str | None:
        project.write(RULES, "def step(name, value):\n    return 0\n")
        return run(self, result, watch)  # type: ignore[arg-type]

    monkeypatch.setattr(Side, "run", edit)
    before = project.identities()
    project.edit(RULES, "value + 1", "1 + value")
    assert project.verdicts() == {"train": Verdict("train", 2)}
    assert project.identities()["train"] != before["train"], "what was compared is not there now"


def test_the_worker_imports_what_it_is_told(project: Project) -> None:
    """Before the first stage, so that no stage waits for it."""
    project.write(
        "first.py", "import os\nos.makedirs(os.environ['TOY_LOG'] + '.first', exist_ok=True)\n"
    )
    project.edit(RULES, "value + 1", "1 + value")
    folder = os.environ.get("PYTHONPATH", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{project.root}{os.pathsep}{folder}")
        neumeta.gate.accept.accept("Tidy up", project.root, packages=("first", "no_such_module"))
    assert (project.root / "toy.log.first").is_dir()


def test_why_names_what_changed(project: Project) -> None:
    base = project.commit()
    identity = project.identities()["train"]
    head = f"train: identity {identity}; 2 results, 0 of them by other code"
    assert why("train", project.root) == [head]
    project.edit(RULES, "value + 1", "1 + value")
    project.write("requirements.lock", "torch==2.14.0\n")
    now = project.identities()["train"]
    assert why("train", project.root) == [
        f"train: identity {now}; 2 results, 2 of them by other code",
        f"compared with {base[:12]}:",
        "  package torch: 2.13.0 -> 2.14.0",
        "  neumeta/rules.py: step changed",
    ]
    assert why("data", project.root)[0].endswith("2 results, 0 of them by other code")
    with pytest.raises(UserError, match=r"^no stage 'nope'; stages are data, report, train$"):
        why("nope", project.root)
    project.write("neumeta/stages/other.py", "X = 1\n")
    with pytest.raises(UserError, match=r"^no stage 'other'; stages are"):
        why("other", project.root, base)


def test_why_says_where_there_is_no_difference(project: Project) -> None:
    base = project.commit()
    project.edit(RULES, '"""What training computes."""', "")
    assert why("train", project.root, base)[2].startswith("  nothing but comments and docstrings")


REFUSED = Verdict("train", 1, tuple(f"train@{name}: differs" for name in "abcde"))
OUTCOME = Outcome(
    base="0" * 12,
    verdicts=(Verdict("data", 3, (), 2), REFUSED, Verdict("index", 0)),
    unrun=Unrun(30, {"a.py": tuple(range(1, 15)), "b.py": (2,)}),
    seconds=61.4,
)


def test_all_is_told() -> None:
    assert list(told(None)) == ["nothing to accept: all committed results are by the code as it is"]
    lines = list(told(OUTCOME))
    assert lines[:9] == [
        "compared with 000000000000 by twins, in 61 s",
        "  accepted  data: 3 runs agree",
        "              but 2 results are by yet other code, and stale",
        "  refused   train: 1 runs agree, but",
        "              train@a: differs",
        "              train@b: differs",
        "              train@c: differs",
        "              and 2 more",
        "  untested  index: no twin ran it",
    ]
    assert lines[9] == "  15 of 30 changed statements were run by no twin"
    assert lines[10] == "              a.py:1" and lines[-1] == "              and 3 more"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(None, 0), (Outcome("0", (Verdict("data", 3),), Unrun(0, {}), 1.0), 0), (OUTCOME, 1)],
)
def test_the_command_ends_with_an_error_where_a_stage_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outcome: Outcome | None,
    status: int,
) -> None:
    asked: list[tuple[str, str | None]] = []

    def fake(why: str, base: str | None = None) -> Outcome | None:
        asked.append((why, base))
        return outcome

    monkeypatch.setattr(neumeta.gate.accept, "accept", fake)
    assert main(["code", "accept", "Tidy up", "--base", "HEAD~1"]) == status
    assert asked == [("Tidy up", "HEAD~1")]
    out, error = capsys.readouterr()
    assert out.splitlines() == list(told(outcome))
    assert error.count("\n") == status and ("stale" in error) == bool(status)
