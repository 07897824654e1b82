import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neumeta.core.checkpoint import read_checkpoint, read_header, write_checkpoint
from neumeta.core.errors import UserError
from neumeta.core.reading import parse
from neumeta.data.dataset import Dataset, channel_statistics, read_dataset, write_dataset
from neumeta.data.params import DataParams
from neumeta.data.sources import _split, load_dataset
from tests.data.pictures import folder_params, write_images
from tests.toy import ROOT, toy_dataset

SHARED_DATA = Path(os.environ.get("NEUMETA_DATA_ROOT", ROOT / "data/raw"))
DIGITS = {"source": "sklearn_digits", "test_fraction": 0.3, "val_fraction": 0.15, "split_seed": 0}


def params(**settings: Any) -> DataParams:
    return DataParams.model_validate(settings)


def rows(dataset: Dataset) -> set[tuple[str, int, bytes]]:
    return {
        (split, int(label), image.numpy().tobytes())
        for split in ("train", "val", "test")
        for image, label in zip(dataset.images[split], dataset.labels[split], strict=True)
    }


def test_split_is_stratified_fixed_by_its_seed_and_complete() -> None:
    first = load_dataset("digits", params(**DIGITS))
    again = load_dataset("digits", params(**DIGITS))
    other = load_dataset("digits", params(**{**DIGITS, "split_seed": 1}))
    assert first.content_sha256() == again.content_sha256() != other.content_sha256()
    sizes = {split: len(first.labels[split]) for split in first.labels}
    assert sizes == {"train": 1068, "val": 189, "test": 540}
    for split, labels in first.labels.items():
        shares = torch.bincount(labels, minlength=10) / len(labels)
        assert (shares - 0.1).abs().max() < 0.02, split
    assert len(rows(first)) > 1790  # no example twice, but for the few equal images


def test_normalised_training_inputs_have_mean_0_and_deviation_1() -> None:
    inputs = load_dataset("digits", params(**DIGITS)).split("train").inputs
    assert abs(inputs.mean().item()) < 1e-5
    assert abs(inputs.std().item() - 1) < 1e-4


def test_statistics_are_exact_whatever_the_number_of_threads() -> None:
    images = torch.tensor([[[[0, 1], [2, 9]]], [[[4, 4], [4, 0]]]], dtype=torch.uint8)
    (mean,), (std,) = channel_statistics(images, 10)
    assert mean == 24 / 8 / 10
    assert std == pytest.approx(images.double().std().item() / 10, rel=1e-14)
    assert channel_statistics(images[1:, :, :1], 10) == ((0.4,), (1.0,))
    many = torch.randint(0, 256, (500, 1, 20, 20), dtype=torch.uint8)
    found = set()
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        found.add(channel_statistics(many, 255))
        torch.set_num_threads(before)
    assert len(found) == 1


def test_dataset_file_round_trip_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    dataset = toy_dataset()
    write_dataset(path, dataset)
    loaded = read_dataset(path)
    assert loaded.content_sha256() == dataset.content_sha256()
    assert loaded.input_spec() == dataset.input_spec()
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="damaged: its tensors are not those"):
        read_dataset(path)


def test_limit_keeps_a_mixed_subset(tmp_path: Path) -> None:
    whole = load_dataset("digits", params(**DIGITS))
    small = load_dataset("digits", params(**DIGITS, limit=20))
    assert rows(small) < rows(whole)
    assert len(small.labels["test"]) == 20
    write_images(tmp_path)  # sorted by class: the first four test images are all cats
    limited = load_dataset("x", folder_params(tmp_path, limit=5))
    assert set(limited.labels["test"].tolist()) == {0, 1}


def torchvision_params(root: Path) -> DataParams:
    return params(
        source="torchvision", name="mnist", root=str(root), val_fraction=0.1, split_seed=0
    )


def test_missing_torchvision_data_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="NEUMETA_DATA_ROOT") as caught:
        load_dataset("mnist", torchvision_params(tmp_path))
    assert "\n" not in str(caught.value)


def test_real_mnist() -> None:
    if not (SHARED_DATA / "MNIST/raw").is_dir():
        pytest.skip("MNIST is absent; set NEUMETA_DATA_ROOT to a folder with MNIST/raw")
    dataset = load_dataset("mnist", torchvision_params(SHARED_DATA))
    assert [len(dataset.labels[s]) for s in ("train", "val", "test")] == [54000, 6000, 10000]
    assert dataset.image_shape == (1, 28, 28)
    assert dataset.mean[0] == pytest.approx(0.1307, abs=5e-4)
    assert dataset.std[0] == pytest.approx(0.3081, abs=5e-4)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_torchvision_layouts_written_by_ourselves(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small files in the published formats: all four readers run without a download."""
    random = np.random.default_rng(0)
    if name in ("mnist", "fashion_mnist"):
        raw = tmp_path / ("MNIST" if name == "mnist" else "FashionMNIST") / "raw"
        raw.mkdir(parents=True)
        for stem in ("train", "t10k"):
            pixels = random.integers(0, 256, (20, 28, 28), dtype=np.uint8)
            head = bytes([0, 0, 8, 3, *(20).to_bytes(4, "big"), *(28).to_bytes(4, "big") * 2])
            (raw / f"{stem}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
            labels = np.arange(20, dtype=np.uint8) % 2
            head = bytes([0, 0, 8, 1, *(20).to_bytes(4, "big")])
            (raw / f"{stem}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
        shape = (1, 28, 28)
    else:
        # Own files cannot have the published md5, so that check alone is switched off.
        monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
        shape = (3, 32, 32)
        hundred = name == "cifar100"
        folder = tmp_path / ("cifar-100-python" if hundred else "cifar-10-batches-py")
        folder.mkdir()
        parts = ["train", "test"] if hundred else [f"data_batch_{i}" for i in range(1, 6)]
        for part in [*parts] if hundred else [*parts, "test_batch"]:
            key = "fine_labels" if hundred else "labels"
            pixels = random.integers(0, 256, (20, 3072), dtype=np.uint8)
            (folder / part).write_bytes(
                pickle.dumps({"data": pixels, key: [index % 2 for index in range(20)]})
            )
        meta, key = ("meta", "fine_label_names") if hundred else ("batches.meta", "label_names")
        (folder / meta).write_bytes(pickle.dumps({key: ["a", "b"]}))
    loaded = load_dataset(
        name,
        params(source="torchvision", name=name, root=str(tmp_path), val_fraction=0.5, split_seed=0),
    )
    assert loaded.image_shape == shape
    assert len(loaded.labels["test"]) == 20


def test_targets_of_any_shape_are_kept_and_strict(tmp_path: Path) -> None:
    """One value per pixel, say; a file of class indices says nothing of their shape."""
    flat = toy_dataset()
    maps = {split: pixels[:, 0].long() for split, pixels in flat.images.items()}
    dataset = replace(flat, labels=maps)
    assert dataset.target_shape == (8, 8) and flat.target_shape == ()
    path = tmp_path / "maps.safetensors"
    write_dataset(path, dataset)
    read = read_dataset(path)
    assert torch.equal(read.split("val").targets, maps["val"]) and read.size("val") == 32
    assert read_header(path)["target_shape"] == [8, 8]
    tensors, header = read_checkpoint(path)
    write_checkpoint(path, tensors, {**header, "target_shape": [8]})
    with pytest.raises(UserError, match=r"labels' is \(96, 8, 8\) torch.int64; must be \(96, 8\)"):
        read_dataset(path)
    write_dataset(path, flat)
    assert "target_shape" not in read_header(path)


def test_only_classes_are_balanced_over_the_splits() -> None:
    images, classes = torch.zeros(20, 1, 2, 2, dtype=torch.uint8), torch.arange(20) % 2
    for targets in (classes, classes[:, None, None].expand(20, 2, 2)):
        kept, held = _split("toy", (images, targets), 0.5, seed=3)
        assert len(kept[1]) == len(held[1]) == 10
        assert held[1].shape[1:] == targets.shape[1:]
    assert _split("toy", (images, classes), 0.5, seed=3)[1][1].sum() == 5


def test_an_unknown_task_is_refused() -> None:
    section = {"source": "sklearn_digits", "test_fraction": 0.3, "val_fraction": 0.1}
    with pytest.raises(UserError, match=r"task: .*'classification'"):
        parse(DataParams, {**section, "split_seed": 0, "task": "x"}, "toy.yaml", "data.digits")


def test_datasets_compare_without_asking_tensors_for_one_truth() -> None:
    first, second = toy_dataset(), toy_dataset()
    assert first == first and first != second
    assert first.split("val") != second.split("val")
