"""What the command does with files of networks: sample, info, evaluate, permute."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from neumeta.core.checkpoint import read_header
from neumeta.core.device import CPU
from neumeta.core.errors import UserError
from neumeta.core.fields import DEFAULT_DRAWS
from neumeta.core.files import sha256_of
from neumeta.core.stage import deterministic, device_of
from neumeta.core.targets import check_targets
from neumeta.data.dataset import read_dataset
from neumeta.measure.evaluator import Evaluator
from neumeta.methods.metamorphosis.loading import load
from neumeta.methods.metamorphosis.morph import MorphableNetwork
from neumeta.methods.metamorphosis.points import at_width
from neumeta.models.axes import Point
from neumeta.models.export import OnnxOptions, export_network, output_of
from neumeta.models.source import WeightSource
from neumeta.models.stored_network import StoredNetwork
from neumeta.permute.file import permute_file

ORIGIN = ("inr_sha256", "draws", "noise", "seed", "data_sha256")


def opened(
    path: str, build: str | None, device: torch.device = CPU
) -> MorphableNetwork | StoredNetwork:
    """Open a file of networks of a family.

    Args:
        path: The file.
        build: Builder of the network, where the file names one of somebody's own.
        device: Where it shall lie.

    Returns:
        What it holds.

    Raises:
        UserError: If it holds something else.
    """
    found = load(path, device, network=build)
    if not isinstance(found, MorphableNetwork | StoredNetwork):
        raise UserError(f"{path}: holds a network of one size that was shrunk; see neumeta.load")
    return found


def sample(args: argparse.Namespace) -> None:
    """Write a network of one width.

    Args:
        args: The flags `checkpoint`, `width`, `out`, `draws`, `noise`, `seed`.
    """
    deterministic()
    check_targets([args.checkpoint], [(path, output_of(path)) for path in args.out])
    options = OnnxOptions(args.opset, args.raw)
    if options != OnnxOptions() and not any(path.endswith(".onnx") for path in args.out):
        raise UserError("--opset and --raw are of ONNX files; --out names none")
    source = opened(args.checkpoint, args.build)
    (at,) = _points(source, [] if args.width is None else [args.width])
    if isinstance(source, StoredNetwork):
        _refuse_draws(args)
        origin = {key: source.header[key] for key in ORIGIN if key in source.header}
        network = source.sample(at)
    else:
        _tell_if_outside(source, at)
        draws, noise, seed = _drawn(args, source)
        generator = torch.Generator().manual_seed(seed)
        network = source.sample(at, draws=draws, noise=noise, generator=generator)
        made = (sha256_of(args.checkpoint), draws, noise, seed, source.header["data_sha256"])
        origin = dict(zip(ORIGIN, made, strict=True))
    for path in args.out:
        export_network(path, network, source.family, at, origin, options)
        print(path)


def info(args: argparse.Namespace) -> None:
    """Describe a checkpoint as JSON.

    Args:
        args: The flag `checkpoint`.
    """
    header = read_header(args.checkpoint)
    known = header["kind"] in ("inr", "network")
    facts = load(args.checkpoint, network=args.build).info() if known else header
    facts = {"kind": header["kind"], **facts}
    facts.pop("orders", None)
    print(json.dumps(facts, indent=2))


def evaluate(args: argparse.Namespace) -> None:
    """Score sampled networks on a dataset.

    Args:
        args: The flags `checkpoint`, `width`, `dataset`, `split`, `draws`, `noise`, `seed`,
            `device`.
    """
    deterministic()
    device = device_of(args)
    held = opened(args.checkpoint, args.build, device)
    points = _points(held, args.width or [])
    dataset = read_dataset(args.dataset, held.family.input_spec).to(device)
    evaluator = Evaluator(held.family, dataset, args.split, whole=True)
    source: WeightSource = held
    how, seed = f"({args.split}, n = {len(evaluator)})", 0
    if isinstance(held, StoredNetwork):
        _refuse_draws(args)
    else:
        draws, noise, seed = _drawn(args, held)
        source = replace(held, draws=draws, noise=noise)
        how = f"{how[:-1]}, K = {draws})"
    metrics = {metric.name: (metric, max(len(metric.name), 6)) for metric in evaluator.task.metrics}
    names = "  ".join(f"{name:<{size}}" for name, (_, size) in metrics.items())
    print(f"width  {names}  {how}")
    for at in points:
        found = evaluator.measure(source, [at], [seed], method="sampled", item=str(args.checkpoint))
        cells = ((*metrics[row.metric], row.value) for row in found)
        shown = (f"{metric.format(value):>{size}}" for metric, size, value in cells)
        print(f"{at['width']:5d}", *shown, sep="  ")


def permute(args: argparse.Namespace) -> None:
    """Make a file of weights smooth.

    Args:
        args: The flags `checkpoint`, `arch`, `out`, `json`, `orders`, `solver`, `seed`, `fold`.
    """
    deterministic()
    facts = permute_file(
        args.checkpoint,
        args.arch,
        args.out,
        args.json,
        solver=args.solver,
        seed=args.seed,
        fold=args.fold,
        orders=args.orders,
    )
    before, after, gaps = facts["tv_before"], facts["tv_after"], [g["gap"] for g in facts["groups"]]
    change = f", {round(after / before - 1, 3) + 0.0:+.1%}" if before else ""
    print(f"total variation {before:.2f} -> {after:.2f}{change}; {len(gaps)} groups", end="")
    known = [gap for gap in gaps if gap is not None]
    print(f", at most {max(known):.2%} above the proven bound" if known else "")
    pinned = {p["reason"] for p in facts["pinned"]}
    print(f"outputs change by {facts['function_error']:.0e} of the largest", end="")
    reasons = ", ".join(f'"{reason}"' for reason in sorted(pinned))
    print(f"; other axes stay, for these reasons: {reasons}" if pinned else "")


def _points(source: MorphableNetwork | StoredNetwork, widths: Sequence[int]) -> list[Point]:
    """Which networks are meant: those of the widths, or the only one there is."""
    if isinstance(source, StoredNetwork):
        for width in widths:
            source.sample(width)
        return [source.at]
    if not widths:
        trained = source.header["train_widths"]
        raise UserError(f"--width is missing; training built {min(trained)} to {max(trained)}")
    return [at_width(source.family, width) for width in widths]


def _drawn(args: argparse.Namespace, morph: MorphableNetwork) -> tuple[int, Any, int]:
    noise = morph.header["noise"] if args.noise is None else args.noise
    return (DEFAULT_DRAWS if args.draws is None else args.draws), noise, args.seed or 0


def _refuse_draws(args: argparse.Namespace) -> None:
    for name in ("draws", "noise", "seed"):
        if getattr(args, name) is not None:
            raise UserError(f"--{name} is for an INR; {args.checkpoint} holds one network")


def _tell_if_outside(morph: MorphableNetwork, at: Point) -> None:
    built, width = morph.header["train_widths"], at["width"]
    if not min(built) <= width <= max(built):
        print(
            f"note: training built widths {min(built)} to {max(built)}; width {width} lies "
            "outside, where accuracy can be far lower: see the report",
            file=sys.stderr,
        )
