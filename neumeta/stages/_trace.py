"""What the command does with a network by a text: trace."""

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_text
from neumeta.core.targets import check_targets, json_of
from neumeta.models.cost import count_macs, count_params
from neumeta.models.traced.builder import builder
from neumeta.models.traced.plan import Plan, Scope, first_units, make_plan
from neumeta.models.traced.resize import resized

_SIDE = 224  # pixels
_PICTURES = 8  # of a video
_SHOWN = 3  # names of what is held for one reason


def trace(args: argparse.Namespace) -> None:
    """List what of a network can have other sizes, and what cannot, with the reason.

    Args:
        args: The flags `build`, `option`, `size`, `input`, `scope`, `streams`, `multiple`,
            `width`, `json`.
    """
    check_targets([], [(args.json, json_of("build", "groups", "held"))])
    network = builder(args.build, options_of(args.option))()
    shape = args.input or (2, *_image(network, args.size))
    generator = torch.Generator().manual_seed(0)
    example = torch.randn(*shape, generator=generator)
    scope = Scope(tuple(args.scope or ("*",)), streams=args.streams, multiple=args.multiple)
    try:
        plan = make_plan(network, example, scope=scope)
    except UserError as error:
        asked = ",".join(map(str, shape))
        raise UserError(
            f"{args.build} on an example of shape {asked}, which --size or --input choose: {error}"
        ) from error
    facts = described(network, plan, example, args.width)
    facts = {"build": args.build, "input": list(shape), **facts}
    print("\n".join(lines_of(facts)))
    if args.json:
        atomic_write_text(args.json, json.dumps(facts, indent=2) + "\n")


def options_of(texts: Sequence[str] | None) -> dict[str, Any]:
    """Read options of a builder.

    Args:
        texts: Each `name=value`, the value as YAML or JSON writes it.

    Returns:
        Values by name.

    Raises:
        UserError: If one is none, or is given twice.
    """
    options: dict[str, Any] = {}
    for text in texts or ():
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise UserError(f"--option {text!r} must be name=value, such as num_classes=10")
        if name in options:
            raise UserError(f"--option {name} is given twice")
        try:
            options[name] = YAML(typ="safe").load(value)
        except YAMLError as error:
            raise UserError(f"--option {text!r}: {value!r} is no value of YAML") from error
    return options


def described(network: nn.Module, plan: Plan, example: Tensor, width: float) -> dict[str, Any]:
    """Say what of a network can have other sizes.

    Args:
        network: In evaluation mode.
        plan: Of it.
        example: A batch.
        width: A share of the units, beside the whole.

    Returns:
        JSON-ready facts.

    Raises:
        UserError: If the share is none.
    """
    sizes = {1.0: plan.sizes(1.0), width: plan.sizes(width)}
    costs = []
    for share, units in sizes.items():
        made = resized(network, plan.groups, first_units(units, plan.groups))
        macs = count_macs(made, example[:1])
        costs.append({"width": share, "params": count_params(made), "macs": macs})
    groups = [
        {
            "name": group.name,
            "units": len(group),
            f"units at {width:g}": sizes[width][group.name],
            "level": "block" if group.level == "block" else "channel",
            "stream": group.stream,
        }
        for group in plan.groups
    ]
    held = [{"name": one.name, "units": one.size, "reason": one.reason} for one in plan.held]
    return {"costs": costs, "groups": groups, "held": held}


def lines_of(facts: dict[str, Any]) -> Iterator[str]:
    """Write what `described` found as tables.

    Args:
        facts: With the keys `costs`, `groups`, `held`.

    Yields:
        Lines of text.
    """
    small = f"at {facts['costs'][-1]['width']:g}"
    if facts["groups"]:
        rows = [
            (group["name"], _what(group), str(group["units"]), str(group[f"units {small}"]))
            for group in facts["groups"]
        ]
        yield from _aligned(("group", "of", "units", small), rows, numbers=2)
    else:
        yield "nothing changes its size"
    yield ""
    costs = [
        (f"{cost['width']:g}", f"{cost['params']:,}", f"{cost['macs']:,}")
        for cost in facts["costs"]
    ]
    yield from _aligned(("width", "parameters", "MACs"), costs, numbers=2)
    by_reason: dict[str, list[dict[str, Any]]] = {}
    for one in facts["held"]:
        by_reason.setdefault(one["reason"], []).append(one)
    if by_reason:
        yield ""
        yield "keeps its size:"
    for reason, some in sorted(by_reason.items(), key=lambda item: -_units(item[1])):
        names = [f"{one['name']} ({one['units']})" for one in some[:_SHOWN]]
        rest = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
        yield f"  {reason}: {', '.join(names)}{rest}"


def _units(held: Sequence[dict[str, Any]]) -> int:
    return sum(one["units"] for one in held)


def _what(group: dict[str, Any]) -> str:
    kind = "blocks" if group["level"] == "block" else "channels"
    return f"{kind}, stream" if group["stream"] else kind


def _aligned(
    head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, numbers: int
) -> Iterator[str]:
    """Columns of one width; the last ones hold numbers."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [
            cell.rjust(size) if place >= len(head) - numbers else cell.ljust(size)
            for place, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _image(network: nn.Module, side: int | None) -> tuple[int, ...]:
    """Shape of an image or a video: what timm notes of it, or what its first layer takes."""
    noted = getattr(network, "pretrained_cfg", None)
    size = noted.get("input_size") if isinstance(noted, dict) else None
    if size and not side:
        return tuple(size)
    layers = (m for m in network.modules() if isinstance(m, _ConvNd))
    first = next(layers, None)
    channels = first.in_channels if first is not None else 3
    pictures = (_PICTURES,) if isinstance(first, nn.Conv3d) else ()
    return channels, *pictures, side or _SIDE, side or _SIDE
