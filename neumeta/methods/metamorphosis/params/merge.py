"""Schema of the section `merge`: the base network narrowed without labels or training."""

from pydantic import Field

from neumeta.core.fields import ComputingSection, Count, Seed, WidthRange


class MergeParams(ComputingSection):
    """What the merge is given."""

    widths: WidthRange = Field(description="widths that are measured; none above the base width")
    images: Count = Field(description="training images that it sees, without their labels")
    seed: Seed = Field(description="of the choice of images, and of what is drawn on them")
