"""A small folder as a user has one: parameters, data, networks, pictures; made in a second."""

import shutil
import zipfile
from pathlib import Path

import torch

from neumeta.data.dataset import write_dataset
from neumeta.methods.metamorphosis.generator import WeightGenerator
from neumeta.methods.metamorphosis.inr_file import write_inr
from neumeta.methods.metamorphosis.morph import load
from neumeta.models.export import export_network
from neumeta.models.parameters import parameters_of
from neumeta.tracing.arrangement import Arrangement
from tests.bad_inputs.damage import pictures, saved
from tests.data.pictures import write_images
from tests.toy import at, toy_dataset, toy_family, toy_params, write_toy_params

INR = "inr/seed-0.safetensors"
DATASET = "data.safetensors"
NETWORK = "net.safetensors"
ORDERS = "orders.safetensors"
PICKLE = "net.pt"
TREE, ZIP = "pictures", "pictures.zip"


def furnish(folder: Path) -> None:
    """Fill an empty folder.

    Args:
        folder: Where.
    """
    write_toy_params(folder)
    dataset, family = toy_dataset((24, 8, 8)), toy_family()
    write_dataset(folder / DATASET, dataset)
    base = parameters_of(family.initialised(at(4), seed=0))
    train = toy_params()["digits-lenet"]["train"]
    shape = {key: train[key] for key in ("coordinates", "encoding", "network")}
    inr = WeightGenerator(family, shape, torch.Generator().manual_seed(0))
    inr.calibrate(base)
    facts = {
        "noise": 0.5,
        "seed": 0,
        "train_widths": [3, 4],
        "data_sha256": dataset.content_sha256(),
        "base_sha256": "0" * 64,
    }
    write_inr(folder / INR, inr, base, facts)
    network = load(folder / INR).sample(3)
    export_network(folder / NETWORK, network, family, at(3), {"inr_sha256": "0" * 64})
    (folder / PICKLE).write_bytes(saved(network.state_dict()))
    Arrangement({("conv1.weight", 0): torch.tensor([2, 0, 1])}).save(folder / ORDERS)
    write_images(folder / TREE)
    with zipfile.ZipFile(folder / ZIP, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / TREE).rglob("*.png")):
            archive.write(path, path.relative_to(folder / TREE))
    for suffix, content in pictures().items():
        (folder / f"a.{suffix}").write_bytes(content)
    (folder / "mine.json").write_text('{"mine": 1}\n')
    (folder / "mine.csv").write_text("my,table\n1,2\n")
    (folder / "mine.onnx").write_text("not yours")
    (folder / "mine.html").write_text("<!doctype html><p>my page")
    (folder / "other").mkdir()
    (folder / "other/thesis.txt").write_text("three years\n")
    (folder / "link.safetensors").symlink_to(INR)
    (folder / "hard.safetensors").hardlink_to(folder / INR)
    (folder / "hollow").mkdir()


def contents(folder: Path) -> dict[str, bytes | str]:
    """All that lies in a folder: bytes of files, targets of links, and folders.

    Args:
        folder: Where.

    Returns:
        By path.
    """
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        else:
            found[name] = path.read_bytes() if path.is_file() else "folder"
    return found


def restore(folder: Path, good: dict[str, bytes | str]) -> None:
    """Bring a folder back, after a try that changed it.

    Args:
        folder: Where.
        good: What lay there.
    """
    shutil.rmtree(folder)
    folder.mkdir()
    for name, content in sorted(good.items()):
        path = folder / name
        if content == "folder":
            path.mkdir(parents=True, exist_ok=True)
        elif isinstance(content, bytes):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        else:
            path.symlink_to(content.removeprefix("link to "))
