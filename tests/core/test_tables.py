"""Curves and other small tables: what is written is read again, and nothing else is."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.core.tables import Column, read_table, write_table

COLUMNS = {
    "phase": Column("text"),
    "step": Column("whole"),
    "loss": Column("number"),
    "score": Column("finite", empty=True),
    "done": Column("flag", empty=True),
}
ROWS = [
    {"phase": "warm, one", "step": 1, "loss": math.inf, "score": None, "done": None},
    {"phase": "task", "step": 20, "loss": 0.125, "score": 0.5, "done": "true"},
]


def test_curves_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    write_table(path, list(COLUMNS), ROWS)
    first, second = read_table(path, COLUMNS)
    assert math.isnan(first.pop("score"))
    assert first == {"phase": "warm, one", "step": 1, "loss": math.inf, "done": None}
    assert second == {"phase": "task", "step": 20, "loss": 0.125, "score": 0.5, "done": True}


def test_columns_may_follow_from_the_head(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("step,width\n1,2\n")

    def columns(head: Sequence[str]) -> dict[str, Column]:
        return dict.fromkeys(head, Column("whole"))

    assert read_table(path, columns) == [{"step": 1, "width": 2}]


HEAD = "phase,step,loss,score,done\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such curve"),
        (b"\xff", "not a curve"),
        (b"", "columns are ; must be phase,step,loss,score,done"),
        (b"phase,step,loss,score\n", "columns are phase,step,loss,score; must be"),
        (b"phase,phase,loss,score,done\n", "columns are"),
        (HEAD.encode() + b"task,1\n", "line 2: has 2 fields; must have 5"),
        (HEAD.encode() + b"task,1,1,,true\n\n", "line 3: has 0 fields"),
        (HEAD.encode() + b'"task,1,1,,true\n', "not a curve"),
        (HEAD.encode() + b",1,1,,true\n", "line 2: column phase is empty; every row needs one"),
        (HEAD.encode() + b"task,-1,1,,true\n", "column step is '-1'; must be a whole number"),
        (HEAD.encode() + b"task,1.0,1,,true\n", "column step is '1.0'; must be a whole number"),
        (HEAD.encode() + b"task,1,low,,true\n", "column loss is 'low'; must be a number"),
        (HEAD.encode() + b"task,1,1_0,,true\n", "column loss is '1_0'; must be a number"),
        (HEAD.encode() + b"task,1, 1,,true\n", "column loss is ' 1'; must be a number"),
        (HEAD.encode() + b"task,1,1,nan,true\n", "column score is 'nan'; must be a finite number"),
        (HEAD.encode() + b"task,1,1,,True\n", "column done is 'True'; must be true or false"),
    ],
)
def test_whatever_does_not_fit_is_one_line(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "curve.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_table(path, COLUMNS, "curve")
    text = str(raised.value)
    assert text.startswith(f"{path}: ") and message in text and "\n" not in text
