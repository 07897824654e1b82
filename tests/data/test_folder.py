"""A data set is what its folder says: each file is read, skipped on purpose, or told of."""

import logging
import os
import shutil
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image

from neumeta.core.errors import UserError
from neumeta.data import entries
from neumeta.data.dataset import Dataset
from neumeta.data.entries import listed
from neumeta.data.images import MOST_PIXELS, decode
from neumeta.data.sources import load_dataset
from tests.data.pictures import encoded, folder_params, gray, pack, write_images
from tests.toy import ROOT

FORMS: tuple[Literal["NFC"], Literal["NFD"]] = ("NFC", "NFD")
SHARED_DATA = Path(os.environ.get("NEUMETA_DATA_ROOT", ROOT / "data/raw"))


def total(dataset: Dataset) -> int:
    return sum(dataset.size(split) for split in ("train", "val", "test"))


def pixels_of(dataset: Dataset) -> set[tuple[int, bytes]]:
    return {
        (int(label), image.numpy().tobytes())
        for split in ("train", "val", "test")
        for image, label in zip(dataset.images[split], dataset.labels[split], strict=True)
    }


def refused(root: Path, expected: str, **settings: object) -> str:
    with pytest.raises(UserError, match=expected) as caught:
        load_dataset("x", folder_params(root, **settings))
    assert "\n" not in str(caught.value) and root.name in str(caught.value)
    return str(caught.value)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_images(tmp_path / "tree")
    return tmp_path / "tree"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_folder_zip_and_folder_of_zips_give_the_same_tensors(tmp_path: Path, mode: str) -> None:
    written = write_images(tmp_path / "tree", mode)
    pack(tmp_path / "tree", tmp_path / "all.zip", prefix="nested/")
    pack(tmp_path / "tree", tmp_path / "windows.zip", separator="\\")
    (tmp_path / "zips").mkdir()
    for split in ("train", "test"):
        pack(tmp_path / "tree" / split, tmp_path / "zips" / f"{split}.ZIP", prefix=f"{split}/")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/train").symlink_to(tmp_path / "tree/train", target_is_directory=True)
    (tmp_path / "links/test").mkdir()
    for label in ("cat", "dog"):
        (tmp_path / "links/test" / label).mkdir()
        for file in (tmp_path / "tree/test" / label).iterdir():
            (tmp_path / "links/test" / label / file.name).symlink_to(file)
    found = [
        load_dataset("x", folder_params(tmp_path / name))
        for name in ("tree", "all.zip", "windows.zip", "zips", "links")
    ]
    assert len({dataset.content_sha256() for dataset in found}) == 1
    dataset = found[0]
    assert dataset.classes == ("cat", "dog")
    assert dataset.image_shape == ((1, 8, 8) if mode == "L" else (3, 8, 8))
    assert [dataset.size(split) for split in ("train", "val", "test")] == [6, 2, 8]
    assert pixels_of(dataset) == {
        (
            ("cat", "dog").index(label),
            np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1)).tobytes(),
        )
        for (_, label, _), pixels in written.items()
    }


def test_a_validation_split_of_the_user_is_kept(tmp_path: Path) -> None:
    written = write_images(tmp_path)
    (tmp_path / "test").rename(tmp_path / "val")
    dataset = load_dataset("x", folder_params(tmp_path, test_fraction=0.25))
    val = {image.numpy().tobytes() for image in dataset.images["val"]}
    assert val == {pixels.tobytes() for place, pixels in written.items() if place[0] == "test"}
    assert [dataset.size(s) for s in ("train", "test")] == [6, 2]
    with pytest.raises(UserError, match="no test split found; set test_fraction"):
        load_dataset("x", folder_params(tmp_path))
    (tmp_path / "val").rename(tmp_path / "extra")
    refused(tmp_path, "found extra, train", test_fraction=0.25)


@pytest.mark.parametrize("form", ["tree", "zip", "nested zip"])
def test_classes_without_splits_are_split_by_the_parameters(form: str, tmp_path: Path) -> None:
    write_images(tmp_path / "all")
    root = tmp_path / "all/train"
    if form != "tree":
        pack(tmp_path / "all/train", tmp_path / "x.zip", "pets/" if form != "zip" else "")
        root = tmp_path / "x.zip"
    dataset = load_dataset("x", folder_params(root, test_fraction=0.25))
    assert dataset.classes == ("cat", "dog")
    assert [dataset.size(split) for split in ("train", "val", "test")] == [4, 2, 2]
    with pytest.raises(UserError, match="no test split found; set test_fraction above 0"):
        load_dataset("x", folder_params(root))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["a/1.png", "b/deep/2.png"], "found a, b/deep"),
        (["Training/cat/1.png", "Testing/cat/1.png"], "found Testing/cat, Training/cat"),
        (["one/1.png", "one/2.png"], "two or more folders CLASS/FILE without splits; found one"),
        (["1.png"], r"found \."),
        (["train/1.png", "test/2.png"], "found test, train"),
        (["train/cat/more/1.png", "train/cat/2.png"], "found train, train/cat/more"),
        (["test/cat/1.png"], "found test"),
        ([], "found no image at all"),
    ],
)
def test_places_that_mean_no_data_set(places: list[str], expected: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        gray(1).save(root / place)
    refused(root, expected)


LITTER = [
    "__MACOSX/train/cat/._0.png",
    "train/cat/.DS_Store",
    "train/.ipynb_checkpoints/0-checkpoint.png",
    "train/cat/.ipynb_checkpoints/0-checkpoint.png",
    ".thumbs/train/cat/0.png",
    "train/cat/Thumbs.db",
    "train/desktop.ini",
    "train/cat/@eaDir/0.png",
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", LITTER)
def test_what_programs_leave_behind_is_no_data(
    place: str, packed: bool, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clean = load_dataset("x", folder_params(tree))
    root = tree
    if packed:
        root = tree.parent / "x.zip"
        pack(tree, root)
        with zipfile.ZipFile(root, "a") as archive:
            archive.writestr(place, b"\0\5\x16\7")
    else:
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        (tree / place).write_bytes(encoded(gray(9)))
    caplog.clear()
    with caplog.at_level(logging.INFO, "neumeta"):
        assert load_dataset("x", folder_params(root)).content_sha256() == clean.content_sha256()
    assert "x: read 16, ignored 0, skipped 1 hidden or of other programs (first " in caplog.text


def test_what_is_ignored_is_told_with_its_count_and_first_name(
    tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for place in ("labels.csv", "train/more.csv", "train/cat/note", "test/loose.png"):
        (tree / place).write_bytes(b"x")
    (tree / "train/cat/gone.png").symlink_to(tree / "nowhere.png")
    (tree / "train/cat/round").symlink_to(tree / "train", target_is_directory=True)
    os.mkfifo(tree / "train/cat/pipe.png")
    with zipfile.ZipFile(tree / "labels.zip", "w") as archive:
        archive.writestr("labels.txt", "x")
    with caplog.at_level(logging.INFO, "neumeta"):
        assert total(load_dataset("x", folder_params(tree))) == 16
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("x: read 16, ignored 9 (")
    for reason in (
        "2 of suffix .csv, first labels.csv",
        "1 without a suffix, first train/cat/note",
        "1 dangling link, first train/cat/gone.png",
        "1 link to a folder around it, first train/cat/round",
        "1 no regular file, first train/cat/pipe.png",
        "1 of suffix .txt, first ",
        "1 zip without images, first labels.zip",
        "1 in no folder of a class, first ",
    ):
        assert reason in line


def test_a_zip_beside_the_tree_is_refused(tree: Path) -> None:
    pack(tree, tree / "pets.zip")
    refused(tree, "holds 16 images in pets.zip and 16 beside it, as test/cat/0.png; keep either")


def test_an_image_in_two_zips_is_refused(tree: Path) -> None:
    root = tree.parent / "zips"
    root.mkdir()
    for name in ("a.zip", "b.zip"):
        pack(tree, root / name)
    refused(root, "test/cat/0.png is there twice, as .*a.zip: test/cat/0.png and as .*b.zip")


@pytest.mark.parametrize(
    "suffix", [".tif", ".TIFF", ".gif", ".jfif", ".jpe", ".JPG", ".tga", ".jp2"]
)
def test_images_of_many_suffixes_are_read(suffix: str, tree: Path) -> None:
    kinds = {".tif": "TIFF", ".tiff": "TIFF", ".gif": "GIF", ".tga": "TGA", ".jp2": "JPEG2000"}
    for split in ("train", "test"):
        (tree / split / "owl").mkdir()
        for index in range(4):
            content = encoded(gray(9), kinds.get(suffix.lower(), "JPEG"))
            (tree / split / f"owl/{index}{suffix}").write_bytes(content)
    dataset = load_dataset("x", folder_params(tree))
    assert dataset.classes == ("cat", "dog", "owl") and total(dataset) == 24
    owls = dataset.images["test"][dataset.labels["test"] == 2]
    assert owls.shape[0] == 4 and bool((owls == 9).all())


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("splits", [("train",), ("test",), ("train", "test")])
def test_a_class_without_images_is_refused(
    splits: tuple[str, ...], packed: bool, tree: Path
) -> None:
    root = tree.parent / "x.zip" if packed else tree
    pack(tree, tree.parent / "x.zip")
    for split in splits:
        (tree / split / "ant").mkdir()
        (tree / split / "ant/1.heic").write_bytes(b"x")
        with zipfile.ZipFile(tree.parent / "x.zip", "a") as archive:
            archive.writestr(f"{split}/ant/", "")
    first = min(splits)
    refused(root, f"{first}/ant is the folder of a class without images")
    if not packed:
        refused(root, rf"{len(splits)} of suffix .heic, first {first}/ant/1.heic")


def test_an_empty_split_is_refused(tree: Path) -> None:
    (tree / "val").mkdir()
    refused(tree, "val is a split without images")


def test_unreadable_images_can_be_skipped(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tree / "train/cat/0.png").write_bytes(b"no image")
    refused(
        tree, r"train/cat/0.png: not a readable image \(.*\); remove it, or set unreadable: skip"
    )
    with caplog.at_level(logging.INFO, "neumeta"):
        assert total(load_dataset("x", folder_params(tree, unreadable="skip"))) == 15
    assert "read 15, ignored 1 (1 not a readable image, first " in caplog.text
    for index in range(4):
        (tree / f"train/cat/{index}.png").write_bytes(b"")
    refused(tree, "no image of class 'cat' in train can be read", unreadable="skip")


def png_of(width: int, height: int) -> bytes:
    """A PNG that says to be so large, with hardly a pixel in it."""
    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    chunks = [b"IHDR" + head, b"IDAT" + zlib.compress(b"\0" * 9), b"IEND"]
    packed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


SPOILT: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a readable image"),
    "text": (lambda: b"hello", "its content is none of PNG, JPEG"),
    "truncated": (lambda: encoded(gray(1, (64, 64)), "JPEG")[:-200], "not a readable image"),
    "flipped": (lambda: encoded(gray(1))[:40] + b"xx" + encoded(gray(1))[42:], "not a readable"),
    "pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid x", "git lfs pull"),
    "16 bits": (lambda: encoded(Image.new("I;16", (4, 4), 9)), "pixel mode I;16 would be clipped"),
    "256 megapixels": (lambda: png_of(16384, 16384), "268435456 pixels"),
    "81 megapixels": (lambda: png_of(9000, 9000), "9000 x 9000 pixels; at most 67,108,864"),
    "pages": (
        lambda: encoded(gray(1), "TIFF", save_all=True, append_images=[gray(2)]),
        "2 pictures in one file",
    ),
    "film": (
        lambda: encoded(gray(1), "GIF", save_all=True, append_images=[gray(200)]),
        "2 pictures in one file",
    ),
    "program": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "not a readable"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_whatever_a_decoder_raises_is_one_line(name: str, tree: Path) -> None:
    make, expected = SPOILT[name]
    (tree / "train/cat/0.png").write_bytes(make())
    line = refused(tree, expected)
    assert "train/cat/0.png: not a readable image" in line
    pack(tree, tree.parent / "x.zip")
    assert "x.zip: train/cat/0.png: not a" in refused(tree.parent / "x.zip", expected)


def test_damage_in_a_zip_is_one_line(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree.parent / "x.zip"
    pack(tree, root)
    content = bytearray(root.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 1
    root.write_bytes(content)
    refused(root, r"x.zip: test/cat/0.png: not a readable image \(Bad CRC-32")
    root.write_bytes(content[:-40])
    refused(root, "x.zip: not a readable zip")
    pack(tree, root)
    monkeypatch.setattr(entries, "MOST_BYTES", 50)
    refused(root, "bytes; at most 50 are unpacked")
    refused(tree, "bytes; at most 50 are unpacked")


def test_names_are_compared_in_one_form_of_unicode(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "café") for form in FORMS)
    for split, name in (("train", composed), ("test", apart)):
        folder = tmp_path / "tree" / split / name
        folder.mkdir(parents=True)
        (tmp_path / "tree" / split / "tea").mkdir()
        for index in range(4):
            gray(index).save(folder / f"{index}.png")
            gray(index).save(tmp_path / "tree" / split / f"tea/{index}.png")
    dataset = load_dataset("x", folder_params(tmp_path / "tree"))
    assert dataset.classes == (composed, "tea")
    other = tmp_path / "tree/train" / apart
    other.mkdir()
    gray(1).save(other / "0.png")
    refused(tmp_path / "tree", "is there twice")


def test_a_zip_that_does_not_say_its_names_are_utf_8(tree: Path) -> None:
    """As the Finder writes them: the flag is cleared in both places where a zip keeps it."""
    for split in ("train", "test"):
        (tree / split / "cat").rename(tree / split / "çat")
    root = tree.parent / "x.zip"
    pack(tree, root)
    content = bytearray(root.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset + 1] &= ~0x08 & 0xFF
            at = content.find(mark, at + 4)
    root.write_bytes(content)
    with zipfile.ZipFile(root) as archive:
        assert any("├º" in name for name in archive.namelist()), "the flag is gone"
    assert load_dataset("x", folder_params(root)).classes == ("dog", "çat")


def test_a_class_only_another_split_has_is_refused_with_advice(tree: Path) -> None:
    (tree / "test/cat").rename(tree / "test/Cat")
    refused(tree, "class 'Cat' of test is not among the training classes; did you mean 'cat'")


def test_images_of_unlike_size_or_colour(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    for path in (tree / "test").rglob("*.png"):
        Image.open(path).convert("RGB").save(path)
    with caplog.at_level(logging.INFO, "neumeta"):
        dataset = load_dataset("x", folder_params(tree))
    assert (
        dataset.image_shape == (3, 8, 8) and "8 gray images among others in colour" in caplog.text
    )
    train = dataset.images["train"]
    assert torch.equal(train[:, 0], train[:, 1]) and torch.equal(train[:, 0], train[:, 2])
    gray(1, (6, 4)).save(tree / "test/cat/0.png")
    refused(
        tree,
        r"2 sizes, such as 8 x 8 \(train/cat/0.png\), 6 x 4 \(test/cat/0.png\); set image_size|"
        r"2 sizes, such as 6 x 4 \(test/cat/0.png\), 8 x 8 \(train/cat/0.png\); set image_size",
    )
    assert load_dataset("x", folder_params(tree, image_size=5)).image_shape == (3, 5, 5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_of_phones_stand_upright(orientation: int) -> None:
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :, 0], upright[:, :8, 1] = 255, 255
    stored = Image.fromarray(upright)
    if orientation in back:
        stored = stored.transpose(back[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode(encoded(stored, exif=exif)), upright)


def test_transparency_is_laid_on_the_stated_background() -> None:
    clear = Image.new("RGBA", (2, 1), (10, 20, 30, 0))
    clear.putpixel((1, 0), (10, 20, 30, 255))
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([1, 2, 3, 10, 20, 30])
    palette.putpixel((1, 0), 1)
    for background in (0, 255):
        expected = [[[background] * 3, [10, 20, 30]]]
        assert decode(encoded(clear), None, background).tolist() == expected
        content = encoded(palette, transparency=0)
        assert decode(content, None, background).tolist() == expected
    faint = Image.new("LA", (1, 1), (100, 51))
    assert decode(encoded(faint), None, 200).tolist() == [[180]]
    whole = np.random.default_rng(0).integers(0, 256, (9, 9, 4), dtype=np.uint8)
    whole[:, :, 3] = 255
    assert np.array_equal(decode(encoded(Image.fromarray(whole))), whole[:, :, :3])
    assert MOST_PIXELS == 8192**2


def test_faults_are_one_line(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    refused(tmp_path / "absent", "no such folder")
    refused(tmp_path / "bad.zip", "not a readable zip")
    with pytest.raises(UserError, match="cannot hold out"):
        load_dataset("x", folder_params(tree, val_fraction=0.01))
    odd = os.fsencode(tree / "train/cat") + b"/\xff\n.png"
    Path(os.fsdecode(odd)).write_bytes(encoded(gray(1)))
    line = refused(tree, "its name is no plain text; rename it")
    assert line.isprintable() and line.encode()


def test_real_cifar10_from_zips_of_webp() -> None:
    archive = SHARED_DATA / "cifar10/test.zip"
    if not archive.is_file():
        pytest.skip("CIFAR-10 zips are absent; set NEUMETA_DATA_ROOT to a folder with cifar10/")
    with listed(archive) as found:
        first = found.images[0]
        assert first.place.parts[-3] == "test" and len(found.images) == 10_000
        assert decode(first.read()).shape == (32, 32, 3)


def test_two_folders_of_one_split_are_two_data_sets(tree: Path) -> None:
    shutil.copytree(tree / "train", tree / "backup/train")
    refused(tree, "two folders of the split train, backup/train and train; keep one")


def test_a_class_is_not_called_like_a_split(tree: Path) -> None:
    for label in ("cat", "dog"):
        shutil.move(tree / "train" / label, tree / label)
    shutil.rmtree(tree / "train")
    for place in (tree / "test").rglob("*.png"):
        place.rename(tree / "test" / f"{place.parent.name}-{place.name}")
    for label in ("cat", "dog"):
        (tree / "test" / label).rmdir()
    refused(tree, "needs images as train/CLASS/FILE")
