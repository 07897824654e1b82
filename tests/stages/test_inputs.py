"""The stage that looks at raw files: what it finds, what it keeps, and how little it reads."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from neumeta.core.errors import UserError
from neumeta.core.file_hashes import FileHashes
from neumeta.data.inputs import input_files
from neumeta.stages.inputs import main
from tests.data.pictures import folder_params, pack, write_images
from tests.stages.commands import command_of
from tests.toy import toy_params, write_toy_params


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose data set is a folder, and whose base network is a file."""
    monkeypatch.delenv("NEUMETA_DATA_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "data/raw/pets")
    (tmp_path / "base.pt").write_bytes(b"weights")
    params = toy_params()
    params["data"]["digits"] = folder_params(Path("pets")).model_dump(exclude_none=True)
    section = {"source": "file", "path": "base.pt", "sha256": "0" * 64}
    params["digits-lenet"]["fetch"] = section
    write_toy_params(tmp_path, params)
    return tmp_path


def found() -> dict[str, Any]:
    assert main(command_of("inputs")) == 0
    content: dict[str, Any] = json.loads(Path("data/inputs.json").read_text())
    return {"data": content["data"]["digits"], "weights": content["networks"]["digits-lenet"]}


def test_names_and_contents_count_and_nothing_else(project: Path) -> None:
    first = found()
    assert first["data"].startswith("16 files, ") and first["weights"].startswith("1 file, ")
    picture = project / "data/raw/pets/train/cat/0.png"
    content = picture.read_bytes()
    for litter in (".DS_Store", "labels.csv", "train/.hidden.png"):
        (project / "data/raw/pets" / litter).write_bytes(b"x")
    os.utime(picture)
    assert found() == first

    picture.write_bytes(content[:-1] + b"x")
    assert found()["data"] != first["data"]
    picture.rename(picture.with_name("9.png"))
    assert found()["data"] != first["data"]
    picture.with_name("9.png").unlink()
    assert found()["data"].startswith("15 files, ")
    picture.write_bytes(content)
    assert found() == first

    (project / "base.pt").write_bytes(b"others")
    assert found() == {**first, "weights": found()["weights"]} != first


def test_what_is_not_on_this_machine_keeps_its_fingerprint(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = found()
    (project / "data/raw/pets").rename(project / "away")
    (project / "base.pt").rename(project / "away.pt")
    assert found() == first
    assert capsys.readouterr().out.count("not on this machine") == 2
    Path("data/inputs.json").unlink()
    assert found() == {"data": "absent", "weights": "absent"}


def test_what_is_not_selected_now_stays(project: Path) -> None:
    Path("data/inputs.json").write_text('{"data": {"old": "3 files, x"}, "networks": {}}')
    found()
    assert json.loads(Path("data/inputs.json").read_text())["data"]["old"] == "3 files, x"
    Path("data/inputs.json").write_text("[3")
    assert found()["data"].startswith("16 files")


def test_a_file_is_hashed_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found()
    read: list[Path] = []

    def note(path: Path) -> str:
        read.append(path)
        return "0"

    monkeypatch.setattr("neumeta.core.file_hashes.sha256_of", note)
    assert found() == first and not read
    picture = project / "data/raw/pets/train/cat/0.png"
    picture.write_bytes(picture.read_bytes())  # the same, but who knows
    assert found() != first and read == [Path("data/raw/pets/train/cat/0.png")]
    Path("data/.resume/hashes.json").write_text("no JSON")
    with pytest.raises(UserError, match=r"nowhere\.png: cannot read"):
        FileHashes().of(Path("nowhere.png"))


def test_files_of_every_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUMETA_DATA_ROOT", str(tmp_path))
    section = folder_params(Path())
    digits = {"source": "sklearn_digits", "test_fraction": 0.3, "root": None}
    assert input_files(section.model_copy(update=digits)) == []
    mnist = section.model_copy(update={"source": "torchvision", "name": "mnist", "root": None})
    assert input_files(mnist) is None
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz"):
        (raw / name).write_bytes(b"x")
    assert input_files(mnist) == [("train-images-idx3-ubyte", raw / "train-images-idx3-ubyte")]
    write_images(tmp_path / "tree")
    pack(tmp_path / "tree", tmp_path / "zips.zip")
    (tmp_path / "zips").mkdir()
    (tmp_path / "zips.zip").rename(tmp_path / "zips/a.zip")
    for root, names in (("zips", ["a.zip"]), ("zips/a.zip", ["a.zip"])):
        files = input_files(section.model_copy(update={"root": root}))
        assert files is not None and [name for name, _ in files] == names
    assert input_files(section.model_copy(update={"root": "none"})) is None
