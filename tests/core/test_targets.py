"""Nothing that a user has is destroyed: what an output may be written over."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from neumeta.core.checkpoint import read_header, write_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_bytes, file_name
from neumeta.core.targets import (
    check_targets,
    checkpoint,
    json_of,
    page,
    record,
    report_folder,
    table,
)

NETWORK = checkpoint("network")
TENSORS = {"a": torch.ones(2)}


def write(path: Path, kind: str = "inr") -> Path:
    write_checkpoint(path, TENSORS, {"kind": kind})
    return path


def symbolic(inr: Path) -> Path:
    inr.with_name("link.safetensors").symlink_to(inr.name)
    return inr.with_name("link.safetensors")


def hard(inr: Path) -> Path:
    inr.with_name("hard.safetensors").hardlink_to(inr)
    return inr.with_name("hard.safetensors")


def through_folder(inr: Path) -> Path:
    inr.with_name("folder").symlink_to(".", target_is_directory=True)
    return inr.with_name("folder") / inr.name


@pytest.mark.parametrize(
    "name",
    [
        lambda inr: inr,
        lambda inr: Path(os.path.relpath(inr)),
        lambda inr: inr.parent / "x" / ".." / inr.name,
        lambda inr: str(inr),
        lambda inr: os.fsencode(inr),
        symbolic,
        hard,
        through_folder,
    ],
)
def test_an_input_is_no_output_by_any_name(name: Callable[[Path], Any], tmp_path: Path) -> None:
    inr = write(tmp_path / "inr.safetensors", "network")
    with pytest.raises(UserError, match="is an input; choose another name"):
        check_targets([inr], [(name(inr), NETWORK)])


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    first = tmp_path / "a.safetensors"
    for other in (first, tmp_path / "." / "a.safetensors", tmp_path / "A.safetensors"):
        with pytest.raises(UserError, match="the name of two outputs; they must be different"):
            check_targets([], [(first, NETWORK), (other, NETWORK)])
    check_targets([], [(first, NETWORK), (tmp_path / "b.safetensors", NETWORK), (None, NETWORK)])
    write(first, "network")
    with pytest.raises(UserError, match="two outputs"):
        check_targets([], [(first, NETWORK), (hard(first), NETWORK)])


def test_only_an_earlier_output_of_the_same_kind_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    for content in (b"words", (tmp_path / "y").name.encode() * 99):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is there, and is not a checkpoint of kind 'network'"):
            check_targets([], [(path, NETWORK)])
    path.unlink()
    write(path, "dataset")
    with pytest.raises(UserError, match="is there, and is not a checkpoint of kind 'network'"):
        check_targets([], [(path, NETWORK)])
    path.unlink()
    write(path, "network")
    check_targets([], [(path, NETWORK)])
    path.write_bytes(b"")
    check_targets([], [(path, NETWORK)])  # as mktemp leaves it
    path.unlink()
    path.symlink_to("nowhere")
    check_targets([], [(path, NETWORK)])


@pytest.mark.parametrize(
    ("kind", "name", "own", "others"),
    [
        (table(["a", "b"]), "t.csv", "a,b\n1,2\n", ["a,c\n", "words", "b,a\n1,2\n"]),
        (record("data"), "r.json", '{"stage": "data", "seconds": 1}', ['{"stage": "fetch"}', "3"]),
        (json_of("rows"), "r.json", '{"rows": []}', ["[]", "{", '{"my": 1}', "[" * 10**5]),
        (page(), "p.html", "<!DOCTYPE html>\n<p>neumeta", ["<!DOCTYPE html>\n<p>mine", "x"]),
    ],
)
def test_tables_records_and_pages_know_their_own(
    kind: Any, name: str, own: str, others: list[str], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(own)
    check_targets([], [(path, kind)])
    for other in others:
        path.write_text(other)
        with pytest.raises(UserError, match="is there, and is not"):
            check_targets([], [(path, kind)])
    with pytest.raises(UserError, match=f"must end in {path.suffix}"):
        check_targets([], [(tmp_path / "params.yaml", kind)])


def test_folders_are_no_files_and_files_no_folders(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").mkdir()
    with pytest.raises(UserError, match="is a folder; choose another name"):
        check_targets([], [(tmp_path / "a.safetensors", NETWORK)])
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(UserError, match="is no regular file"):
        check_targets([], [(tmp_path / "pipe.safetensors", NETWORK)])
    folder = report_folder()
    check_targets([], [(tmp_path / "new", folder)])
    (tmp_path / "mine").mkdir()
    check_targets([], [(tmp_path / "mine", folder)])
    (tmp_path / "mine/thesis.txt").write_text("three years")
    with pytest.raises(UserError, match="holds other files, and is not the folder of a report"):
        check_targets([], [(tmp_path / "mine", folder)])
    with pytest.raises(UserError, match="is a file; must be the folder of a report"):
        check_targets([], [(tmp_path / "mine/thesis.txt", folder)])
    (tmp_path / "mine/index.html").write_text("<!DOCTYPE html><p>neumeta")
    check_targets([], [(tmp_path / "mine", folder)])


def test_a_name_that_no_file_can_have_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write: File name too long"):
        check_targets([], [(tmp_path / ("x" * 300 + ".safetensors"), NETWORK)])
    longest = tmp_path / ("x" * 243 + ".safetensors")
    write(longest)
    assert read_header(longest)["kind"] == "inr"


def test_writers_from_python_keep_files_of_other_kinds(tmp_path: Path) -> None:
    mine, inr = tmp_path / "photo.jpg", write(tmp_path / "inr.safetensors")
    mine.write_bytes(b"a photo")
    before = inr.read_bytes()
    for path in (mine, inr):
        with pytest.raises(UserError, match="is not a checkpoint of kind 'network'"):
            write_checkpoint(path, TENSORS, {"kind": "network"})
    assert (mine.read_bytes(), inr.read_bytes()) == (b"a photo", before)
    os.mkfifo(tmp_path / "pipe")
    for path, what in ((tmp_path, "a folder"), (tmp_path / "pipe", "no regular file")):
        with pytest.raises(UserError, match=f"cannot write: is {what}"):
            atomic_write_bytes(path, b"x")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (io.BytesIO(), "a file is named by a text or a path, not by BytesIO"),
        (None, "not by NoneType"),
        (3, "not by int"),
        ("", "'' is no name of a file"),
        ("a\0b", "is no name of a file"),
    ],
)
def test_names_of_files(path: Any, told: str) -> None:
    for use in (file_name, read_header, lambda p: atomic_write_bytes(p, b"")):
        with pytest.raises(UserError, match=told):
            use(path)
    assert [file_name(p) for p in ("a", b"a", Path("a"))] == ["a"] * 3
