import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from neumeta.core.checkpoint import (
    read_checkpoint,
    read_header,
    require_tensors,
    to_bytes,
    trusting,
    write_checkpoint,
)
from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_bytes

HEADER = {"kind": "network", "b": [1, 2], "a": {"z": 1, "y": None}}


def tensors() -> dict[str, torch.Tensor]:
    return {"w": torch.arange(6.0).view(2, 3), "n": torch.tensor([1, 2])}


def test_round_trip_and_equal_bytes(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, tensors(), HEADER)
    loaded, header = read_checkpoint(path, "network")
    assert header == HEADER
    assert all(torch.equal(loaded[name], value) for name, value in tensors().items())
    reordered = dict(reversed(HEADER.items()))
    assert to_bytes(dict(reversed(tensors().items())), reordered) == path.read_bytes()


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, tensors(), HEADER)
    whole = path.read_bytes()
    cases = {
        "another kind": (whole, "inr", "must be 'inr'"),
        "truncated header": (whole[:20], None, "damaged"),
        "truncated data": (whole[:-5], None, "damaged"),
        "empty": (b"", None, "damaged"),
        "garbage": (b"hello world, this is no checkpoint", None, "damaged"),
    }
    for case, (content, kind, expected) in cases.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=expected) as caught:
            read_checkpoint(path, kind)
        assert str(path) in str(caught.value), case
        assert "\n" not in str(caught.value), case
    with pytest.raises(UserError, match="no such checkpoint"):
        read_header(tmp_path / "absent")
    with pytest.raises(UserError, match=r"no such checkpoint|damaged"):
        read_header(tmp_path)


def test_a_foreign_safetensors_file_is_told_apart(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "foreign.safetensors")
    with pytest.raises(UserError, match="no neumeta header"):
        read_header(tmp_path / "foreign.safetensors")


def test_names_shapes_and_types_are_strict() -> None:
    have = tensors()
    require_tensors("f", have, tensors())
    wrong = {
        "is missing": {"w": have["w"]},
        "unexpected tensor 'x'": {**have, "x": have["w"]},
        r"is \(3, 2\)": {**have, "w": have["w"].T},
        "torch.float64": {**have, "w": have["w"].double()},
    }
    for expected, given in wrong.items():
        with pytest.raises(UserError, match=expected):
            require_tensors("f", given, tensors())


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(UserError, match="No space left"):
        atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="cannot write"):
        atomic_write_bytes(tmp_path / "file" / "below", b"new")


def test_numbers_that_no_network_holds_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    for value in (float("nan"), float("inf"), -float("inf"), 1e30):
        spoilt = {**tensors(), "w": torch.tensor([1.0, value])}
        write_checkpoint(path, spoilt, HEADER)
        with pytest.raises(UserError, match="damaged: tensor 'w' holds NaN, infinity or above"):
            read_checkpoint(path)
    write_checkpoint(path, {"w": torch.empty(0), "n": torch.tensor([2**60])}, HEADER)
    assert len(read_checkpoint(path)[0]) == 2


def test_a_thousand_altered_bytes_are_damage(tmp_path: Path) -> None:
    """Without a hash: some of them make a weight larger than any is."""
    path = tmp_path / "c.safetensors"
    generator = torch.Generator().manual_seed(0)
    write_checkpoint(path, {"w": torch.randn(100_000, generator=generator)}, HEADER)
    whole = path.read_bytes()
    for _ in range(20):
        spoilt = bytearray(whole)
        for at in torch.randint(len(whole) - 400_000, len(whole), (1000,), generator=generator):
            spoilt[int(at)] = int(torch.randint(256, (), generator=generator))
        path.write_bytes(spoilt)
        with pytest.raises(UserError, match="damaged: tensor 'w'"):
            read_checkpoint(path)


def test_a_file_notices_a_single_bit(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, tensors(), HEADER)
    loaded, header = read_checkpoint(path)
    assert header == HEADER and torch.equal(loaded["w"], tensors()["w"])
    whole = path.read_bytes()
    for position in (len(whole) - 1, len(whole) - 12, len(whole) - 40):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(UserError, match="damaged: its tensors are not those that were written"):
            read_checkpoint(path)


def test_a_file_of_an_earlier_version_without_its_hash_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_file(tensors(), path, {"neumeta": json.dumps(HEADER)})
    loaded, header = read_checkpoint(path)
    assert header == HEADER and torch.equal(loaded["w"], tensors()["w"])


@pytest.mark.parametrize("text", ["[]", "3", "null", "{}", '{"kind": 3}', "NaN", "[" * 100_000])
def test_a_header_that_says_nothing_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_file(tensors(), path, {"neumeta": text})
    with pytest.raises(UserError, match=r"has no neumeta header|does not say what it holds"):
        read_header(path)


def test_what_follows_from_an_edited_header_is_one_line() -> None:
    for error in (KeyError("noise"), TypeError("a\nb"), ValueError("x"), OverflowError("y"),
                  RuntimeError("z"), MemoryError(), UserError("width 9")):  # fmt: skip
        with pytest.raises(UserError) as caught, trusting("file"):
            raise error
        assert str(caught.value).startswith("file: ") and "\n" not in str(caught.value)
    with pytest.raises(KeyboardInterrupt), trusting("file"):
        raise KeyboardInterrupt
