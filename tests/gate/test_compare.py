"""Where two runs differ first."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from neumeta.gate.compare import first_difference

Pair = tuple[Path, Path]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Two folders with equal files."""
    folders = tmp_path / "old", tmp_path / "new"
    for folder in folders:
        (folder / "inr").mkdir(parents=True)
        (folder / "a.csv").write_text("width,accuracy\n8,0.5\n16,0.7\n")
        tensors = {"a": torch.zeros(3), "b": torch.ones(2, dtype=torch.bfloat16)}
        save_file(tensors, folder / "inr/seed-0.safetensors", {"kind": "inr"})
        (folder / "image.png").write_bytes(b"\x89PNG\xff\x00")
    return folders


OUTS = ["a.csv", "inr", "image.png"]


def test_equal_files_have_no_difference(pair: Pair) -> None:
    assert first_difference(*pair, OUTS) is None
    assert first_difference(*pair, []) is None


def weights(**changes: torch.Tensor) -> Callable[[Path], None]:
    def write(new: Path) -> None:
        tensors = {"a": torch.zeros(3), "b": torch.ones(2, dtype=torch.bfloat16)} | changes
        save_file(tensors, new / "inr/seed-0.safetensors", {"kind": "inr"})

    return write


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda new: (new / "a.csv").unlink(), "a.csv is gone"),
        (lambda new: (new / "inr/seed-1.safetensors").touch(), "inr/seed-1.safetensors is new"),
        (
            lambda new: (new / "a.csv").write_text("width,accuracy\n8,0.5\n16,0.75\n"),
            "a.csv differs in line 3: '16,0.7' -> '16,0.75'",
        ),
        (
            lambda new: (new / "a.csv").write_text("width,accuracy\n8,0.5\n16,0.7\n24,0.8\n"),
            "a.csv differs in length",
        ),
        (
            lambda new: (new / "a.csv").write_text("width,accuracy\r\n8,0.5\n16,0.7\n"),
            "a.csv differs in length",
        ),
        (lambda new: (new / "image.png").write_bytes(b"\x89PNG\xff\x01"), "image.png differs"),
        (
            lambda new: save_file(
                {"a": torch.zeros(3)}, new / "inr/seed-0.safetensors", {"kind": "base"}
            ),
            "inr/seed-0.safetensors differs in its header",
        ),
        (weights(c=torch.zeros(1)), "inr/seed-0.safetensors differs in its tensors"),
        (
            lambda new: (new / "inr/seed-0.safetensors").write_bytes(b"no such file"),
            "inr/seed-0.safetensors differs",
        ),
    ],
)
def test_a_difference_is_named(pair: Pair, edit: Callable[[Path], object], text: str) -> None:
    edit(pair[1])
    assert first_difference(*pair, OUTS) == text


def test_unequal_tensors_are_named(tmp_path: Path) -> None:
    for name, value in (("old", 0.0), ("new", -0.0)):  # equal as numbers, but not as bytes
        (tmp_path / name).mkdir()
        tensors = {"a": torch.zeros(3), "b": torch.full((2,), value), "c": torch.ones(1) + value}
        save_file(tensors, tmp_path / name / "x.safetensors")
    found = first_difference(tmp_path / "old", tmp_path / "new", ["x.safetensors"])
    assert found == "x.safetensors differs in 1 tensors, first b"


def test_the_place_in_a_long_line_is_shown(tmp_path: Path) -> None:
    for name, digit in (("old", "1"), ("new", "2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.json").write_text("a" * 300 + digit + "b" * 300)
    found = first_difference(tmp_path / "old", tmp_path / "new", ["x.json"]) or ""
    assert "aaa1bbb" in found and "aaa2bbb" in found and len(found) < 200


def test_an_out_that_neither_wrote_is_a_difference(pair: Pair) -> None:
    """Two stages that write nothing would agree, and prove nothing."""
    assert first_difference(*pair, ["b.csv"]) == "b.csv was not written"


def test_what_is_no_out_may_differ(pair: Pair) -> None:
    (pair[1] / "notes.txt").write_text("x")
    assert first_difference(*pair, OUTS) is None


@pytest.mark.parametrize(
    ("after", "equal"),
    [
        ('{"stage": "a", "threads": [2], "params": {"steps": 3}}', True),
        ('{"stage": "a"}', False),
        ('{"stage": "a", "threads": [1], "params": {}}', False),
        ('{"stage": "a", "threads": [2]', False),
    ],
    ids=["gains-a-note", "loses-one", "changes-one", "broken"],
)
def test_a_record_of_a_run_may_gain_a_note_alone(pair: Pair, after: str, equal: bool) -> None:
    for name in ("a.run.json", "a.json"):
        (pair[0] / name).write_text('{"stage": "a", "threads": [2]}')
        (pair[1] / name).write_text(after)
    assert (first_difference(*pair, ["a.run.json"]) is None) == equal
    assert first_difference(*pair, ["a.json"])  # a result may not
