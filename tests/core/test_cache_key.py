"""The name of what is kept: it follows everything that a result depends on."""

from pathlib import Path

from neumeta.core.cache_key import cache_key, forget


def test_key_changes_with_parameters_and_files(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"one")
    key = cache_key({"lr": 1}, [file])
    assert key == cache_key({"lr": 1}, [file])
    assert key != cache_key({"lr": 2}, [file])
    file.write_bytes(b"two")
    assert key != cache_key({"lr": 1}, [file])


def test_an_experiment_of_which_nothing_is_kept_leaves_no_folder(tmp_path: Path) -> None:
    for stage in ("train", "sweep"):
        (tmp_path / "experiment" / stage).mkdir(parents=True)
    forget(tmp_path / "experiment/train")
    assert [path.name for path in (tmp_path / "experiment").iterdir()] == ["sweep"]
    forget(tmp_path / "experiment/sweep")
    assert not (tmp_path / "experiment").exists()
