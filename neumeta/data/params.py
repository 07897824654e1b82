"""Schema of the data: the section `data`, and the augmentation of the images."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from neumeta.core.fields import MOST_SIDE, Count, Fraction, Section, Seed, as_tuple

TaskName = Literal["classification"]


class DataParams(Section):
    """One dataset: where it comes from and how it is split."""

    source: Literal["sklearn_digits", "torchvision", "folder"]
    task: TaskName = Field("classification", description="what networks learn from it")
    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100"] | None = Field(
        None, description="which torchvision dataset; only for source torchvision"
    )
    root: str | None = Field(
        None,
        description="folder (or zip, for source folder) that holds the data, absolute or below "
        "$NEUMETA_DATA_ROOT (default data/raw); null: that folder itself",
    )
    download: bool = Field(False, description="let torchvision download what is missing")
    test_fraction: Fraction = Field(
        0.0, description="share of all examples held out as test set, where none is published"
    )
    val_fraction: float = Field(gt=0, lt=1, description="share of the training set held out")
    split_seed: Seed
    mean: tuple[float, ...] | None = Field(
        None, description="per channel, of pixels in 0..1; null: of the training split"
    )
    std: tuple[float, ...] | None = Field(None, description="per channel, likewise; above 0")
    image_size: int | None = Field(
        None, ge=1, le=MOST_SIDE, description="resize to this side, pixels; null: as is"
    )
    crop: int | None = Field(
        None,
        ge=1,
        le=MOST_SIDE,
        description="cut this side out of the centre, pixels, after image_size has become the "
        "length of the shorter side, the other following; source folder",
    )
    classes: str | None = Field(
        None,
        description="file with the names of all classes in the order of outputs, one a line, "
        "below root: splits may then lack some; source folder. null: those of the training split",
    )
    val_is_test: bool = Field(
        False,
        description="take a published validation split as test set, as of ImageNet, and hold "
        "validation examples out of the training set; source folder",
    )
    background: int = Field(
        255, ge=0, le=255, description="gray value behind transparent pixels; source folder"
    )
    unreadable: Literal["refuse", "skip"] = Field(
        "refuse", description="image files that cannot be decoded; source folder"
    )
    limit: Count | None = Field(
        None,
        description="at most this many examples per split, drawn at random; no more images of a "
        "folder are decoded than that takes",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "DataParams":
        if (self.source == "torchvision") != (self.name is not None):
            raise ValueError("name goes with source torchvision, and only with it")
        if self.source == "sklearn_digits" and self.test_fraction == 0:
            raise ValueError("test_fraction must be above 0: digits has no published test set")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std go together; give both or neither")
        for key in ("crop", "classes", "val_is_test"):
            if self.source != "folder" and getattr(self, key):
                raise ValueError(f"{key} goes with source folder")
        if self.crop is not None and self.image_size is not None and self.crop > self.image_size:
            raise ValueError("crop must not be above image_size")
        if self.std is not None and min(self.std, default=0.0) <= 0:
            raise ValueError("std must be above 0 in every channel")
        return self

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return as_tuple(value)


class AugmentationParams(Section):
    """Random crops and flips, made once and kept in memory."""

    views: int = Field(
        ge=1, le=1000, description="augmented copies of the training set; one is drawn per use"
    )
    pad: int = Field(
        ge=0, le=MOST_SIDE, description="zeros around the image before the crop, pixels"
    )
    flip: bool = Field(description="mirror every second image, on average")
    seed: Seed
