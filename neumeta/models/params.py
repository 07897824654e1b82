"""Schema of the section `family`: the network family that morphs."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from neumeta.core.fields import Section, Width, as_tuple

Share = Annotated[float, Field(gt=0, le=1)]


class _Kind(NamedTuple):
    """What a family asks of its section: keys of its own, and the base width where it is fixed."""

    takes: frozenset[str]
    full_width: int | None = None
    may_take: frozenset[str] = frozenset()


_KINDS = {
    "lenet": _Kind(frozenset({"head"})),
    "cifar_resnet": _Kind(frozenset({"depth", "scope"}), 64),
    "resnet18": _Kind(frozenset({"scope"}), 512),
    "traced": _Kind(
        frozenset({"build"}),
        may_take=frozenset({"options", "scope", "streams", "multiple", "widths"}),
    ),
}
_SCOPES = ("last_block", "last_stage", "all_blocks")


class FamilyParams(Section):
    """The network family that morphs."""

    name: Literal["lenet", "cifar_resnet", "resnet18", "traced"]
    head: Literal["pooled", "corner"] | None = Field(
        None,
        description="lenet: the classifier reads the mean of the last map, or only cell (0, 0)",
    )
    depth: Literal[20, 32, 44, 56] | None = Field(None, description="cifar_resnet: layers")
    scope: str | tuple[str, ...] | None = Field(
        None,
        description="resnets: last_block, last_stage or all_blocks, whose hidden channels follow "
        "the width; the streams between the blocks never do. Hidden width of a stage is its full "
        "width times h / base_width. traced: patterns of layers, such as `blocks.4.*`",
    )
    build: str | None = Field(
        None,
        description="traced: torchvision:NAME, timm:NAME or package.module:function, which returns "
        "the network",
    )
    options: dict[str, str | bool | int | float | None] | None = Field(
        None, description="traced: arguments of the builder, such as num_classes"
    )
    streams: bool | None = Field(
        None, description="traced: whether residual streams change, and not inner channels alone"
    )
    multiple: Width | None = Field(
        None, description="traced: sizes are rounded to multiples of it, channels"
    )
    widths: dict[str, Share] | None = Field(
        None,
        description="traced: by pattern of layers, their share of the channels at min_width, where "
        "it is not min_width / base_width",
    )
    base_width: Width = Field(
        description="width of the base network, channels; resnets: of the last stage, 64 or 512; "
        "traced: what stands for all channels, such as 100 for widths in per cent"
    )
    min_width: Width = Field(description="smallest width that may be built, channels")
    max_width: Width = Field(description="largest width that may be built, channels")

    @field_validator("scope", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return as_tuple(value)

    @model_validator(mode="after")
    def _consistent(self) -> "FamilyParams":
        if not self.min_width <= self.base_width <= self.max_width:
            raise ValueError("must hold: min_width <= base_width <= max_width")
        kind = _KINDS[self.name]
        special = frozenset[str]().union(*(k.takes | k.may_take for k in _KINDS.values()))
        for field in (name for name in type(self).model_fields if name in special):
            if field in kind.may_take:
                continue
            if (getattr(self, field) is not None) != (field in kind.takes):
                takes = " and ".join(sorted(kind.takes))
                raise ValueError(f"family {self.name} takes exactly {takes}; see {field}")
        if "scope" in kind.takes and self.scope not in _SCOPES:
            raise ValueError(f"scope of {self.name} must be {', '.join(_SCOPES)}")
        if kind.full_width not in (None, self.base_width):
            raise ValueError(f"base_width of {self.name} must be {kind.full_width}")
        return self

    def settings(self) -> dict[str, Any]:
        """Describe the family for `make_family` and for headers of files.

        Returns:
            The keys that this family takes.
        """
        return self.model_dump(mode="json", exclude_none=True)
