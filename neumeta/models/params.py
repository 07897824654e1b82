"""Schema of the section `family`: the network family that morphs."""

from typing import Any, Literal

from pydantic import Field, model_validator

from neumeta.core.fields import Section, Width


class FamilyParams(Section):
    """The network family that morphs."""

    name: Literal["lenet", "cifar_resnet", "resnet18"]
    head: Literal["pooled", "corner"] | None = Field(
        None,
        description="lenet: the classifier reads the mean of the last map, or only cell (0, 0)",
    )
    depth: Literal[20, 32, 44, 56] | None = Field(None, description="cifar_resnet: layers")
    scope: Literal["last_block", "last_stage", "all_blocks"] | None = Field(
        None,
        description="resnets: whose hidden channels follow the width; the streams between the "
        "blocks never do. Hidden width of a stage is its full width times h / base_width",
    )
    base_width: Width = Field(
        description="width of the base network, channels; resnets: of the last stage, 64 or 512"
    )
    min_width: Width = Field(description="smallest width that may be built, channels")
    max_width: Width = Field(description="largest width that may be built, channels")

    @model_validator(mode="after")
    def _consistent(self) -> "FamilyParams":
        if not self.min_width <= self.base_width <= self.max_width:
            raise ValueError("must hold: min_width <= base_width <= max_width")
        needs = {"lenet": {"head"}, "cifar_resnet": {"depth", "scope"}, "resnet18": {"scope"}}
        wanted = needs[self.name]
        for field in ("head", "depth", "scope"):
            if (getattr(self, field) is not None) != (field in wanted):
                takes = " and ".join(sorted(wanted))
                raise ValueError(f"family {self.name} takes exactly {takes}; see {field}")
        full = {"cifar_resnet": 64, "resnet18": 512}.get(self.name, self.base_width)
        if self.base_width != full:
            raise ValueError(f"base_width of {self.name} must be {full}")
        return self

    def settings(self) -> dict[str, Any]:
        """Describe the family for `make_family` and for headers of files.

        Returns:
            The keys that this family takes.
        """
        return self.model_dump(exclude_none=True)
