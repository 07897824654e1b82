"""How commands end: one line, whatever a name holds and wherever the output goes."""

import subprocess
import sys
from pathlib import Path

import pytest

from neumeta.core.errors import UserError, one_line
from neumeta.core.stage import flags, guarded, stage_parser
from neumeta.core.targets import record, table
from tests.toy import ROOT


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\udcff", r"\udcff"),
        ("größer – 日本", "größer – 日本"),
    ],
)
def test_messages_are_one_printable_line(
    text: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert one_line(text) == line

    def body() -> None:
        raise UserError(text)

    assert guarded("x", body) == 1
    assert capsys.readouterr().err == f"x: error: {line}\n"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you")]
)
def test_what_no_memory_holds_is_one_line(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def body() -> None:
        raise error

    assert guarded("x", body) == 1
    assert capsys.readouterr().err == "x: error: needs more memory than there is; ask for less\n"


def test_other_errors_of_torch_are_not_hidden() -> None:
    def body() -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        guarded("x", body)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full device")
@pytest.mark.parametrize("target", ["/dev/full", "closed"])
def test_an_output_that_cannot_be_written_is_one_line(target: str) -> None:
    code = (
        "import sys, time; from neumeta.core.stage import guarded; "
        "sys.exit(guarded('x', lambda: (time.sleep(0.5), print('y'))))"
    )
    end = "> /dev/full" if target == "/dev/full" else "| true; exit ${PIPESTATUS[0]}"
    command = f"'{sys.executable}' -c \"{code}\" {end}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("x: error: ") and done.stderr.count("\n") == 1, done.stderr


def test_a_stage_writes_over_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writes = {"--out": table(["a", "b"]), "--record": record("toy")}
    parser = stage_parser("toy", "--data", "--runs", *writes, writes=writes)
    mine, data = tmp_path / "mine.csv", tmp_path / "data.csv"
    mine.write_text("my,table\n")
    data.write_text("a,b\n1,2\n")
    good = {"--data": data, "--runs": "x", "--out": tmp_path / "o.csv", "--record": "r.json"}

    def parse(**changed: object) -> str:
        words = {**good, **{f"--{name}": value for name, value in changed.items()}}
        with pytest.raises(SystemExit) as caught:
            flags([str(word) for pair in words.items() for word in pair], parser)
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith("neumeta.stages.toy: error: ") and error.count("\n") == 1
        return error

    assert flags([str(word) for pair in good.items() for word in pair], parser).runs == "x"
    assert "mine.csv: is there, and is not a table of a, b" in parse(out=mine)
    assert "data.csv: is an input" in parse(out=data)
    assert "must end in .json" in parse(record=tmp_path / "params.yaml")
