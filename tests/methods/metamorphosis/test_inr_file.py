"""The files of trained INRs in a folder."""

from pathlib import Path

import pytest

from neumeta.core.errors import UserError
from neumeta.core.targets import check_targets
from neumeta.methods.metamorphosis.inr_file import inr_files, inr_folder, inr_name


def test_inrs_are_listed_by_seed(tmp_path: Path) -> None:
    for seed in (10, 2, 0):
        (tmp_path / inr_name(seed)).touch()
    (tmp_path / ".gitignore").touch()
    names = [path.name for path in inr_files(tmp_path)]
    assert names == ["seed-0.safetensors", "seed-2.safetensors", "seed-10.safetensors"]
    assert inr_files(tmp_path / "absent") == []


@pytest.mark.parametrize(
    "stem", ["seed-x", "seed-", "seed-01", "seed-1-2", "seed--1", "my", "seed-99999999999"]
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
