"""What a network takes, as headers of files keep it."""

from typing import Annotated

from pydantic import Field, model_validator

from neumeta.core.fields import MOST_SIDE, Section

Numbers = Annotated[list[float], Field(min_length=1)]


class InputSpec(Section):
    """The form of images, and how they are normalised; see `Dataset.input_spec`."""

    dataset: str
    task: str
    classes: Annotated[list[str], Field(min_length=1)]
    image_shape: list[Annotated[int, Field(ge=1, le=MOST_SIDE)]] = Field(
        min_length=3, max_length=3, description="channels, height, width"
    )
    pixel_max: int = Field(ge=1, le=255)
    mean: Numbers
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_number_a_channel(self) -> "InputSpec":
        channels = self.image_shape[0]
        if not len(self.mean) == len(self.std) == channels:
            raise ValueError(f"mean and std must have one number for each of {channels} channels")
        return self
