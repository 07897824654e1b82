import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from neumeta.core.errors import UserError
from neumeta.core.files import sha256_of
from neumeta.core.reading import load_section
from neumeta.data.dataset import Split
from neumeta.data.entries import listed
from neumeta.data.images import decode
from neumeta.data.params import DataParams
from neumeta.measure.evaluator import evaluate, validation_on
from neumeta.methods.metamorphosis.params.experiment import Experiment
from neumeta.models.parameters import parameters_of
from neumeta.models.parts import apply_part
from neumeta.models.registry import make_family
from neumeta.tasks.classification import Classification
from neumeta.training.base_network import fetch_base, train_base
from neumeta.training.params import FetchParams
from tests.toy import RECIPE, ROOT, at, toy_dataset, toy_family


def params(**settings: Any) -> FetchParams:
    return FetchParams.model_validate(settings)


def weights() -> dict[str, torch.Tensor]:
    return parameters_of(toy_family().initialised(at(4), seed=9))


@pytest.mark.parametrize("form", ["safetensors", "state dict", "nested, with module. prefix"])
@pytest.mark.parametrize("source", ["file", "url"])
def test_reads_files_and_addresses_in_all_forms(form: str, source: str, tmp_path: Path) -> None:
    path = tmp_path / "base"
    if form == "safetensors":
        path.write_bytes(save(weights()))
    elif form == "state dict":
        torch.save(weights(), path)
    else:
        nested = {f"module.{name}": value for name, value in weights().items()}
        torch.save({"state_dict": nested, "epoch": 3}, path)
    place = {"path": str(path)} if source == "file" else {"url": path.as_uri()}
    loaded = fetch_base(toy_family(), params(source=source, sha256=sha256_of(path), **place))
    assert all(torch.equal(loaded[name], value) for name, value in weights().items())


def test_faults_are_one_line(tmp_path: Path) -> None:
    good, other, code = tmp_path / "good", tmp_path / "other", tmp_path / "code"
    good.write_bytes(save(weights()))
    other.write_bytes(save({**weights(), "extra": torch.zeros(1)}))
    torch.save({"x": Path("/")}, code)  # a class that is not loaded
    (tmp_path / "text").write_text("no checkpoint")
    zeros = "0" * 64
    cases = [
        (params(source="file", path=str(good), sha256=zeros), "sha256 is .*; must be 0000"),
        (params(source="file", path=str(tmp_path / "no"), sha256=zeros), "cannot read"),
        (params(source="url", url="ftp://x/y", sha256=zeros), "use http"),
        (params(source="url", url=(tmp_path / "no").as_uri(), sha256=zeros), "cannot download"),
        (params(source="file", path=str(other), sha256=sha256_of(other)), "unexpected tensor"),
        (params(source="file", path=str(code), sha256=sha256_of(code)), "no state dict, but 'x'"),
        (
            params(source="file", path=str(tmp_path / "text"), sha256=sha256_of(tmp_path / "text")),
            "neither safetensors",
        ),
    ]
    for section, expected in cases:
        with pytest.raises(UserError, match=expected) as caught:
            fetch_base(toy_family(), section)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="must be"):
        section = params(source="file", path=str(good), sha256=sha256_of(good))
        fetch_base(toy_family(base_width=3), section)


def test_training_learns_and_repeats_exactly() -> None:
    section = params(source="train", seed=1, recipe={**RECIPE, "epochs": 15})
    dataset, family = toy_dataset(), toy_family()
    validate = validation_on(dataset.split("val"), Classification())
    first, curve = train_base(family, dataset, section, validate)
    second, _ = train_base(family, dataset, section, validate)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert curve[-1].loss < 0.5 * curve[0].loss
    assert curve[-1].val_accuracy is not None
    assert curve[-1].val_accuracy > 0.9


def test_training_leaves_the_global_random_state_alone() -> None:
    before, dataset = torch.get_rng_state(), toy_dataset()
    section = params(source="train", seed=1, recipe={**RECIPE, "epochs": 1})
    validate = validation_on(dataset.split("val"), Classification())
    train_base(toy_family(), dataset, section, validate)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_old_file_with_batch_norms_loads_unchanged(tmp_path: Path) -> None:
    """Public checkpoints lack BatchNorm's counter and carry the prefix of DataParallel."""
    spec = {**toy_dataset().input_spec(), "image_shape": [3, 16, 16]}
    settings = {"name": "cifar_resnet", "depth": 20, "scope": "last_block"}
    family = make_family({**settings, "base_width": 64, "min_width": 1, "max_width": 64}, spec)
    network = family.initialised(at(64), seed=3)
    for name, value in network.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            value.uniform_(-1, 1, generator=torch.Generator().manual_seed(len(name)))
    kept = {n: v for n, v in network.state_dict().items() if "num_batches" not in n}
    path = tmp_path / "resnet.th"
    torch.save({"state_dict": {f"module.{n}": v for n, v in kept.items()}, "best_prec1": 1.0}, path)
    loaded = fetch_base(family, params(source="file", path=str(path), sha256=sha256_of(path)))
    inputs = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        have, wanted = apply_part(family.skeleton(at(64)), loaded, inputs), network(inputs)
    assert (have - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    del kept["layer1.0.bn1.running_mean"]
    torch.save(kept, path)
    with pytest.raises(UserError, match=r"layer1\.0\.bn1\.running_mean"):
        fetch_base(family, params(source="file", path=str(path), sha256=sha256_of(path)))


def test_tensors_of_other_names_are_taken_by_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEUMETA_CHECKPOINT_ROOT", str(tmp_path))
    path, renamed = tmp_path / "own.pt", {f"_{n}": v for n, v in enumerate(weights().values())}

    def fetched(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        torch.save(given, path)
        section = params(source="file", path="own.pt", sha256=sha256_of(path), by_order=True)
        return fetch_base(toy_family(), section)

    found = fetched(renamed)
    assert all(torch.equal(found[name], value) for name, value in weights().items())
    with pytest.raises(UserError, match=r"by order, '_7' of \(3,\) comes to 'conv1.weight'"):
        fetched(dict(reversed(renamed.items())))
    with pytest.raises(UserError, match="holds 7 tensors; must be 8, by order"):
        fetched(dict(list(renamed.items())[:-1]))
    with pytest.raises(ValueError, match="by_order goes with source file or url"):
        params(source="train", recipe=RECIPE, by_order=True)


def test_a_file_in_the_checkpoint_folder_saves_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "base.safetensors"
    path.write_bytes(save(weights()))
    monkeypatch.setenv("NEUMETA_CHECKPOINT_ROOT", str(tmp_path))
    address = "http://localhost:9/models/base.safetensors?x=1"  # nobody listens there
    loaded = fetch_base(toy_family(), params(source="url", url=address, sha256=sha256_of(path)))
    assert loaded.keys() == weights().keys()
    with pytest.raises(UserError, match=r"sha256 is .*; must be 0000"):
        fetch_base(toy_family(), params(source="url", url=address, sha256="0" * 64))


def test_the_public_resnet20_has_its_published_accuracy_to_the_image() -> None:
    """9,173 of 10,000 test images of CIFAR-10, by the settings of the real experiment."""
    archive = Path(os.environ.get("NEUMETA_DATA_ROOT", ROOT / "data/raw")) / "cifar10/test.zip"
    experiment = load_section(Experiment, "cifar10-resnet20", ROOT / "params.yaml")
    name = str(experiment.fetch.url).rsplit("/", 1)[-1]
    folder = Path(os.environ.get("NEUMETA_CHECKPOINT_ROOT", ROOT / "data/checkpoints"))
    for needed, what in (
        (archive, "NEUMETA_DATA_ROOT"),
        (folder / name, "NEUMETA_CHECKPOINT_ROOT"),
    ):
        if not needed.is_file():
            pytest.skip(f"{needed.name} is absent; {what} may name its folder")
    scaling = load_section(DataParams, "data.cifar10-folder", ROOT / "params.yaml")
    with listed(archive) as files:
        found = [(entry.place.parts[-2], decode(entry.read())) for entry in files.images]
    classes = sorted({label for label, _ in found})
    pixels = torch.from_numpy(np.stack([image for _, image in found])).movedim(3, 1).float() / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (scaling.mean, scaling.std))
    labels = torch.tensor([classes.index(label) for label, _ in found])
    spec = {"image_shape": [3, 32, 32], "classes": classes}
    family = make_family(experiment.family.model_dump(), spec)
    base = fetch_base(family, experiment.fetch)
    split = Split((pixels - mean) / std, labels)
    tally = evaluate(family.skeleton(at(64)), base, split, Classification())
    assert tally.number("right") == 9173
