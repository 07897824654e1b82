"""A dataset as tensors in memory, with one fixed train/val/test split for everybody."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, Num, UInt8
from torch import Tensor

from neumeta.core.checkpoint import read_checkpoint, require_tensors, trusting, write_checkpoint
from neumeta.core.errors import UserError
from neumeta.data.pixels import normalise
from neumeta.data.spec import InputSpec

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")


@dataclass(frozen=True, eq=False)  # tensors have no one truth
class Split:
    """Examples of one split.

    Attributes:
        inputs: Network inputs, shape (n, channels, height, width); float32, normalised.
        targets: What the task asks for, shape (n, ...), such as class indices of shape (n,).
    """

    inputs: Float[Tensor, "n c h w"]
    targets: Int[Tensor, "n ..."]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Raw images and targets of three splits, and how to normalise them.

    Attributes:
        name: Key of the section in params.yaml.
        task: Name of the task, see `neumeta.tasks`.
        images: Per split, shape (n, channels, height, width), in 0..pixel_max: uint8, or float32 of
            what a program holds, which is in no file.
        labels: Per split, int64, shape (n, ...): class indices of whole images, shape (n,), or
            whatever other shape the task asks for.
        classes: Class names in the order of the indices.
        pixel_max: Largest possible pixel value.
        mean: Per channel, of train pixels divided by pixel_max.
        std: Per channel, likewise.
    """

    name: str
    task: str
    images: dict[SplitName, Num[Tensor, "n c h w"]]
    labels: dict[SplitName, Int[Tensor, "n ..."]]
    classes: tuple[str, ...]
    pixel_max: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def device(self) -> torch.device:
        """Where the tensors lie.

        Returns:
            The device.
        """
        return self.images["train"].device

    def to(self, device: torch.device) -> "Dataset":
        """Move all splits; what is computed from them then lies there, too.

        Args:
            device: Where to.

        Returns:
            The dataset; its tensors are these, where they lie there already.
        """
        return replace(
            self,
            images={split: images.to(device) for split, images in self.images.items()},
            labels={split: labels.to(device) for split, labels in self.labels.items()},
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one input.

        Returns:
            Channels, height, width.
        """
        channels, height, width = self.images["train"].shape[1:]
        return channels, height, width

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of one target.

        Returns:
            The shape; empty for a number.
        """
        return tuple(self.labels["train"].shape[1:])

    def size(self, name: SplitName) -> int:
        """Count the examples of a split.

        Args:
            name: Which split.

        Returns:
            Their number.
        """
        return len(self.labels[name])

    def split(self, name: SplitName) -> Split:
        """Normalise one split.

        Args:
            name: Which split.

        Returns:
            Float inputs and targets.
        """
        return Split(self.normalise(self.images[name]), self.labels[name])

    def normalise(self, images: Num[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Turn raw pixels into network inputs.

        Args:
            images: Pixels in 0..pixel_max, shape (n, channels, height, width).

        Returns:
            Float32 of the same shape.
        """
        return normalise(images, self.pixel_max, self.mean, self.std)

    def content_sha256(self) -> str:
        """Hash pixels and labels of all splits.

        Returns:
            64 hexadecimal digits; equal for equal tensors, whatever the file format.
        """
        digest = hashlib.sha256()
        for split in SPLITS:
            digest.update(self.images[split].contiguous().cpu().numpy().tobytes())
            digest.update(self.labels[split].contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()

    def input_spec(self) -> dict[str, object]:
        """Describe what a network of this dataset takes.

        Returns:
            JSON-ready: dataset name, task, classes, image shape and normalisation.
        """
        return {
            "dataset": self.name,
            "task": self.task,
            "classes": list(self.classes),
            "image_shape": list(self.image_shape),
            "pixel_max": self.pixel_max,
            "mean": list(self.mean),
            "std": list(self.std),
        }


def channel_statistics(
    images: UInt8[Tensor, "n c h w"], pixel_max: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, exact up to the last rounding.

    Sums of pixels are whole numbers, so the result does not depend on the order of the sum, the
    number of threads or the machine.

    Args:
        images: Training pixels, shape (n, channels, height, width).
        pixel_max: Largest possible pixel value.

    Returns:
        Means and (sample) standard deviations of pixels divided by pixel_max; a constant channel
        gets 1.
    """
    means, deviations = [], []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.flatten().long(), minlength=256).tolist()
        number = sum(counts)
        total = sum(value * count for value, count in enumerate(counts))
        squares = sum(value**2 * count for value, count in enumerate(counts))
        spread = Fraction(number * squares - total**2, number * max(number - 1, 1))
        means.append(total / number / pixel_max)
        deviations.append(math.sqrt(spread) / pixel_max or 1.0)
    return tuple(means), tuple(deviations)


def dataset_card(dataset: Dataset) -> dict[str, Any]:
    """Describe a dataset: for its header, and for stages that need no more than sizes and names.

    Args:
        dataset: Any.

    Returns:
        JSON-ready: name, sizes of the splits, hash of the content, and what a network takes.
    """
    card: dict[str, Any] = {
        "kind": "dataset",
        "name": dataset.name,
        "content_sha256": dataset.content_sha256(),
        "sizes": {split: dataset.size(split) for split in SPLITS},
        **dataset.input_spec(),
    }
    if dataset.target_shape:
        card["target_shape"] = list(dataset.target_shape)
    return card


def write_dataset(path: str | Path, dataset: Dataset) -> None:
    """Write a dataset as one safetensors file.

    Args:
        path: Target file.
        dataset: What to write.
    """
    tensors = {f"{split}.images": dataset.images[split] for split in SPLITS}
    tensors |= {f"{split}.labels": dataset.labels[split] for split in SPLITS}
    write_checkpoint(path, tensors, dataset_card(dataset))


def read_dataset(path: str | Path, needs: Mapping[str, Any] | None = None) -> Dataset:
    """Read a dataset written by `write_dataset`.

    Args:
        path: The file.
        needs: What a network takes, see `Dataset.input_spec`; None takes any dataset.

    Returns:
        The dataset.

    Raises:
        UserError: If the file is missing, damaged, or holds something else, or another dataset
            than the network takes.
    """
    tensors, header = read_checkpoint(path, "dataset")
    with trusting(path):
        InputSpec.model_validate({key: header[key] for key in InputSpec.model_fields})
        shape = tuple(header["image_shape"])
        target = tuple(header.get("target_shape", ()))
        expected = {}
        for split in SPLITS:
            size = header["sizes"][split]
            expected[f"{split}.images"] = torch.empty(
                (size, *shape), dtype=torch.uint8, device="meta"
            )
            expected[f"{split}.labels"] = torch.empty(
                (size, *target), dtype=torch.int64, device="meta"
            )
        require_tensors(path, tensors, expected)
        dataset = Dataset(
            name=header["name"],
            task=header["task"],
            images={split: tensors[f"{split}.images"] for split in SPLITS},
            labels={split: tensors[f"{split}.labels"] for split in SPLITS},
            classes=tuple(header["classes"]),
            pixel_max=header["pixel_max"],
            mean=tuple(header["mean"]),
            std=tuple(header["std"]),
        )
    if dataset.content_sha256() != header.get("content_sha256"):
        raise UserError(f"{path}: content does not match its sha256; run the data stage again")
    if needs is not None and dataset.input_spec() != dict(needs):
        raise UserError(
            f"{path}: is not the data of this network; needs {needs['dataset']} with the same "
            "classes and normalisation"
        )
    return dataset
