"""JSON records: what is right arrives, what is wrong is one line."""

from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.core.records import Frozen, read_json


class Inner(Frozen):
    """A part of a record."""

    size: int


class Outer(Frozen):
    """A record."""

    parts: tuple[Inner, ...]
    share: float


def test_a_record_arrives_and_other_keys_may_be_there(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text('{"parts": [{"size": 3, "more": "x"}], "share": 1, "more": null}')
    assert read_json(path, Outer) == Outer(parts=(Inner(size=3),), share=1.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "content: Invalid JSON"),
        ("3", "content: Input should be an object"),
        ("{}", "parts: Field required"),
        ('{"parts": [{"size": 3}, {"size": "3"}], "share": 1}', "parts.1.size: Input should be"),
        ('{"parts": [{"size": 3.5}], "share": 1}', "parts.0.size: Input should be a valid integer"),
        ('{"parts": [], "share": NaN}', "share: Input should be a finite number"),
        ('{"parts": [], "share": true}', "share: Input should be a valid number"),
        (None, "cannot read: No such file"),
    ],
)
def test_a_wrong_record_is_one_line_with_file_and_place(
    text: str | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "record.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_json(path, Outer)
    message = str(caught.value)
    assert message.startswith(f"{path}: {words}") and "\n" not in message
