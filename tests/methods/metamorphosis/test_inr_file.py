"""The files of trained INRs in a folder."""

from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.core.targets import check_targets
from neumeta.methods.metamorphosis.inr_file import inr_files, inr_folder, inr_name
from neumeta.stages.metamorphosis.train import _publish


def test_inrs_are_listed_by_seed(tmp_path: Path) -> None:
    for seed in (10, 2, 0):
        (tmp_path / inr_name(seed)).touch()
    (tmp_path / ".gitignore").touch()
    names = [path.name for path in inr_files(tmp_path)]
    assert names == ["seed-0.safetensors", "seed-2.safetensors", "seed-10.safetensors"]
    assert inr_files(tmp_path / "absent") == []


@pytest.mark.parametrize(
    "stem", ["seed-x", "seed-", "seed-01", "seed-1-2", "seed--1", "seed-99999999999"]
)
def test_another_file_of_weights_there_is_named(stem: str, tmp_path: Path) -> None:
    name = f"{stem}.safetensors"
    (tmp_path / inr_name(0)).touch()
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"{name}: is no seed-N.safetensors"):
        inr_files(tmp_path)


def test_a_folder_of_anything_else_is_no_output(tmp_path: Path) -> None:
    (tmp_path / inr_name(0)).touch()
    check_targets([], [(tmp_path, inr_folder())])
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match="holds other files, and is not a folder of seed-N"):
        check_targets([], [(tmp_path, inr_folder())])


def test_publishing_takes_away_inrs_of_other_seeds_alone(tmp_path: Path) -> None:
    """The train stage once emptied the folder that it was given."""
    out, made = tmp_path / "inr", tmp_path / "made"
    out.mkdir()
    made.write_bytes(b"trained")
    for name in (inr_name(0), inr_name(7), ".gitignore", "notes.txt"):
        (out / name).write_bytes(b"old")
    (out / "folder").mkdir()
    _publish({inr_name(0): made, inr_name(1): made}, out)
    left = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert left == {
        **{inr_name(0): b"trained", inr_name(1): b"trained"},
        **{".gitignore": b"old", "notes.txt": b"old"},
    }
    assert (out / "folder").is_dir()
