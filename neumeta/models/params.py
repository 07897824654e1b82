"""Schema of the section `family`: the network family that morphs."""

from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from neumeta.core.fields import Section, Width


class _Kind(NamedTuple):
    """What a family asks of its section: keys of its own, and the base width where it is fixed."""

    takes: frozenset[str]
    full_width: int | None = None


_KINDS = {
    "lenet": _Kind(frozenset({"head"})),
    "cifar_resnet": _Kind(frozenset({"depth", "scope"}), 64),
    "resnet18": _Kind(frozenset({"scope"}), 512),
}


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
        kind = _KINDS[self.name]
        special = frozenset[str]().union(*(other.takes for other in _KINDS.values()))
        for field in (name for name in type(self).model_fields if name in special):
            if (getattr(self, field) is not None) != (field in kind.takes):
                takes = " and ".join(sorted(kind.takes))
                raise ValueError(f"family {self.name} takes exactly {takes}; see {field}")
        if kind.full_width not in (None, self.base_width):
            raise ValueError(f"base_width of {self.name} must be {kind.full_width}")
        return self

    def settings(self) -> dict[str, Any]:
        """Describe the family for `make_family` and for headers of files.

        Returns:
            The keys that this family takes.
        """
        return self.model_dump(exclude_none=True)
