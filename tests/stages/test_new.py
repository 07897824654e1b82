"""`neumeta new`: an experiment on images of one's own, and nothing else in the file changed."""

import shutil
from pathlib import Path

import pytest

from neumeta import __version__
from neumeta.__main__ import main
from neumeta.core.reading import load_section, read_yaml
from neumeta.data.dataset import read_dataset
from neumeta.data.params import DataParams
from neumeta.stages import data
from neumeta.stages._params_file import load_params
from tests.data.pictures import gray, pack, write_images
from tests.toy import ROOT, write_toy_params


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project: the real parameter file, with its comments and anchors."""
    (tmp_path / "data").mkdir()
    for name in ("params.yaml", "data/selected.json"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEUMETA_DATA_ROOT", raising=False)
    return tmp_path


def classes(folder: Path, *sizes: tuple[int, int], count: int = 10) -> Path:
    """Two classes without splits."""
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            image = gray(20 * number, sizes[number % len(sizes)])
            image.save(folder / label / f"{number}.png")
    return folder


def test_two_sections_are_added_and_all_other_text_stays(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "params.yaml").read_text()
    classes(folder / "pets", (8, 8))
    assert main(["new", "my-pets", "--images", "pets"]) == 0
    told = capsys.readouterr().out
    assert "my-pets: 2 classes, train 13, val 3, test 4; 8 x 8, gray" in told
    assert "`neumeta use my-pets`, then `dvc repro`" in told
    after = (folder / "params.yaml").read_text()
    rest = iter(after.splitlines())
    assert all(line in rest for line in before.splitlines()), "lines are kept, in their order"
    raw, old = read_yaml("params.yaml"), read_yaml(ROOT / "params.yaml")
    assert raw["data"].pop("my-pets") == {
        **{"source": "folder", "root": str(folder / "pets"), "test_fraction": 0.2},
        **{"val_fraction": 0.15, "split_seed": 0},
    }
    section = raw.pop("my-pets")
    assert raw == old
    assert section["report"]["title"] == "LeNet on my-pets"
    assert "my-pets" in load_params().of("experiment")
    assert main(["check"]) == 0
    assert main(["use", "my-pets"]) == 0 and main(["check"]) == 0
    assert len(after.splitlines()) - len(before.splitlines()) < 80, "a short section"


def test_the_data_stage_takes_the_section_and_finds_what_was_told(folder: Path) -> None:
    classes(folder / "pets", (20, 24), (30, 16))
    assert main(["new", "pets", "--images", str(folder / "pets")]) == 0
    outputs = ["--out", "x.safetensors", "--card", "x.json", "--record", "r.json"]
    assert data.main(["--dataset", "pets", *outputs]) == 0
    dataset = read_dataset("x.safetensors")
    assert dataset.image_shape == (1, 32, 32)
    assert [dataset.size(split) for split in ("train", "val", "test")] == [13, 3, 4]
    assert 0 < dataset.mean[0] < 1 and dataset.std[0] > 0, "computed from the training split"


@pytest.mark.parametrize(
    ("sizes", "image_size"),
    [
        ([(8, 8)], None),
        ([(28, 20)], None),
        ([(32, 32)], None),
        ([(40, 40)], 32),
        ([(300, 200)], 32),
        ([(6, 7)], 8),
        ([(8, 8), (9, 8)], 16),
        ([(7, 500)], 32),
    ],
)
def test_sizes_are_made_what_a_lenet_takes(
    sizes: list[tuple[int, int]], image_size: int | None, folder: Path
) -> None:
    classes(folder / "pets", *sizes, count=8)
    assert main(["new", "pets", "--images", "pets"]) == 0
    assert load_section(DataParams, "data.pets").image_size == image_size


def test_splits_zips_colours_and_the_data_root(folder: Path) -> None:
    write_images(folder / "data/raw/own", "RGB")
    assert main(["new", "tree", "--images", "data/raw/own"]) == 0
    section = load_section(DataParams, "data.tree")
    assert (section.root, section.test_fraction) == ("own", 0.0), "below $NEUMETA_DATA_ROOT"
    pack(folder / "data/raw/own", folder / "own.zip")
    assert main(["new", "zip", "--images", "own.zip"]) == 0
    assert load_section(DataParams, "data.zip").root == str(folder / "own.zip")
    assert {"tree", "zip"} <= set(load_params().of("experiment"))


@pytest.mark.parametrize(
    ("name", "images", "told"),
    [
        ("digits-lenet", "pets", "there is a section 'digits-lenet' already"),
        ("mnist", "pets", "there is a data set 'mnist' already"),
        ("index", "pets", "'index' is reserved"),
        ("My_Pets", "pets", "'My_Pets' is no name; use lower-case letters"),
        ("pets", "absent", "'absent': no such folder or zip of images"),
        ("pets", "params.yaml", "not a readable zip"),
        ("pets", "data", "needs images as train/CLASS/FILE"),
        ("pets", "one", "class 'dog' has but one example; to be split, each class needs 2 or more"),
        ("pets", "broken", "broken/cat/0.png: not a readable image"),
    ],
)
def test_what_cannot_be_added_is_one_line_and_changes_nothing(
    name: str, images: str, told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes(folder / "pets", (8, 8))
    one = classes(folder / "one", (8, 8))
    for number in range(1, 10):
        (one / f"dog/{number}.png").unlink()
    classes(folder / "broken", (8, 8))
    (folder / "broken/cat/0.png").write_bytes(b"no picture")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["new", name, "--images", images]) == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("layout", ["    ", "  "])
def test_other_layouts_of_the_file(layout: str, tmp_path: Path) -> None:
    path = write_toy_params(tmp_path)
    lines = path.read_text().splitlines()
    (start,) = (number for number, line in enumerate(lines) if line == "data:")
    path.write_text("\n".join(line.replace("  ", layout) for line in lines).rstrip("\n"))
    classes(tmp_path / "pets", (8, 8))
    assert main(["new", "pets", "--images", str(tmp_path / "pets"), "--params", str(path)]) == 0
    assert "pets" in load_params(path).data and start >= 0


def test_data_in_flow_style_is_left_to_its_owner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_toy_params(tmp_path)
    raw = path.read_text().replace("data:\n", "data: &all\n", 1)
    path.write_text(raw)
    classes(tmp_path / "pets", (8, 8))
    assert main(["new", "pets", "--images", str(tmp_path / "pets"), "--params", str(path)]) == 1
    assert "put `data:` on a line of its own" in capsys.readouterr().err
    assert path.read_text() == raw


def test_a_parameter_file_that_is_a_link_stays_one(folder: Path) -> None:
    (folder / "kept").mkdir()
    (folder / "params.yaml").rename(folder / "kept/params.yaml")
    (folder / "params.yaml").symlink_to("kept/params.yaml")
    classes(folder / "pets", (8, 8))
    assert main(["new", "pets", "--images", "pets"]) == 0
    assert main(["use", "pets"]) == 0
    assert (folder / "params.yaml").is_symlink()
    assert read_yaml(folder / "kept/params.yaml")["run"] == ["pets"]
    assert sorted(path.name for path in (folder / "kept").iterdir()) == ["params.yaml"]


def test_a_copied_title_is_refused_by_check(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "params.yaml"
    text = path.read_text()
    title = "title: LeNet on handwritten digits"
    assert title in text
    path.write_text(text.replace("title: LeNet on MNIST", title))
    assert main(["check"]) == 1
    error = capsys.readouterr().err
    assert "params.yaml: mnist-lenet.report.title: 'LeNet on handwritten digits' is that" in error
    assert "digits-lenet" in error and error.count("\n") == 1


def test_use_writes_over_no_file_of_another_kind(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "data/selected.json").write_text('{"mine": 1}')
    before = (folder / "params.yaml").read_text()
    assert main(["use", "mnist-lenet"]) == 1
    assert "selected.json: is there, and is not a JSON object with selected" in (
        capsys.readouterr().err
    )
    assert (folder / "data/selected.json").read_text() == '{"mine": 1}'
    assert (folder / "params.yaml").read_text() == before


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"neumeta {__version__}\n"
