"""The ledger of code: written and read back, and what it makes of an identity."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neumeta.core.errors import UserError
from neumeta.core.identity import closure_of, read_tree, stage_modules
from neumeta.core.ledger import (
    LEDGER,
    Entry,
    identities,
    identity_of,
    parse_ledger,
    read_ledger,
    write_ledger,
)

ROOT = Path(__file__).parents[2]
FILES = {
    "neumeta/stages/code.py": b"X = 1\n",
    "neumeta/stages/data.py": b"X = 1\n",
    "neumeta/stages/train.py": b"from neumeta.stages import data\n",
}
OLD = "0123456789abcdef"


def entry(why: str = "Rename a module", identity: str = OLD) -> Entry:
    return Entry(identity=identity, why=why, base="0" * 12, twins=3)


def test_a_ledger_comes_back_as_it_was_written(tmp_path: Path) -> None:
    # A hash of digits alone, or with one e, must not come back as a number.
    ledger = {"train": {"1234567812345678": entry(), "12e4567812345678": entry("More")}, "data": {}}
    write_ledger(tmp_path / LEDGER, ledger)
    assert read_ledger(tmp_path / LEDGER) == {"train": ledger["train"]}


@pytest.mark.parametrize(
    "why",
    ["it's", "a: b", "# no comment", "'", '"', "- x", "{a}", "%", "ü → 雪", "", "null", "0x1"],
)
def test_words_are_quoted(tmp_path: Path, why: str) -> None:
    write_ledger(tmp_path / LEDGER, {"train": {OLD: entry(why)}})
    assert read_ledger(tmp_path / LEDGER)["train"][OLD].why == why


@given(st.text())
def test_any_words_become_one_line_that_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, why: str
) -> None:
    path = tmp_path_factory.mktemp("ledger") / LEDGER
    write_ledger(path, {"train": {OLD: entry(why)}})
    (read,) = read_ledger(path)["train"].values()
    assert read.why.isprintable()
    assert [c for c in read.why if c != " "] == [c for c in why if c.isprintable() and c != " "]
    assert path.read_text(encoding="utf-8").count("\n") == 8


def test_a_missing_ledger_is_empty(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / LEDGER) == {}
    assert parse_ledger("", LEDGER) == parse_ledger("# Nothing.\n", LEDGER) == {}


GOOD = "{identity: '0', why: x, base: y, twins: 1}"


@pytest.mark.parametrize(
    "text",
    [
        "train: [",
        "- train",
        "train",
        "0",
        "train: 3",
        "train:",
        "train: {a: 3}",
        "train: {a: }",
        "train: {a: {identity: '0'}}",
        f"train: {{a: {GOOD[:-1]}, more: 1}}}}",
        f"train: {{a: {GOOD.replace(chr(39), '')}}}",
        f"train: {{a: {GOOD.replace('twins: 1', 'twins: one')}}}",
        f"train: {{a: {GOOD}, a: {GOOD}}}",
        f"<<<<<<< HEAD\ntrain: {{a: {GOOD}}}\n=======\ntrain: {{b: {GOOD}}}\n>>>>>>> other\n",
        "train: \x07",
    ],
)
def test_a_damaged_ledger_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / LEDGER).write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as raised:
        read_ledger(tmp_path / LEDGER)
    message = str(raised.value)
    assert (
        message.startswith(f"{tmp_path / LEDGER}: not a ledger of code: ") and "\n" not in message
    )


def test_a_good_ledger_is_read() -> None:
    """What the damaged ones above differ from."""
    assert parse_ledger(f"train: {{a: {GOOD}}}", LEDGER) == {
        "train": {"a": Entry("0", "x", "y", 1)}
    }


def test_a_ledger_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"train: '\xff'")
    with pytest.raises(UserError, match="not a ledger of code"):
        read_ledger(tmp_path / LEDGER)


def test_code_without_a_line_is_its_own_identity() -> None:
    code = closure_of("train", FILES).digest()
    assert identity_of("train", FILES, {}) == code
    assert identity_of("train", FILES, {"train": {"another": entry()}}) == code
    assert identity_of("train", FILES, {"data": {code: entry()}}) == code, "a line is of one stage"


def test_a_line_gives_the_identity_that_it_names() -> None:
    ledger = {"train": {closure_of("train", FILES).digest(): entry()}}
    assert identity_of("train", FILES, ledger) == OLD
    found = identities(FILES, ledger)
    assert found == {"data": closure_of("data", FILES).digest(), "train": OLD}  # none for `code`
    changed = FILES | {"neumeta/stages/data.py": b"X = 2\n"}
    assert identity_of("train", changed, ledger) == closure_of("train", changed).digest() != OLD


def test_the_ledger_of_the_project_is_as_it_would_be_written(tmp_path: Path) -> None:
    ledger = read_ledger(ROOT / LEDGER)
    assert set(ledger) <= set(stage_modules(read_tree(ROOT)))
    write_ledger(tmp_path / LEDGER, ledger)
    assert (tmp_path / LEDGER).read_text() == (ROOT / LEDGER).read_text()
