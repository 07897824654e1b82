"""What the command `neumeta shrink` does: another width of a trained network, without training."""

import argparse

from neumeta.core.errors import UserError
from neumeta.core.stage import deterministic, device_of
from neumeta.models.shrink.file import Preprocessing, shrink_file
from neumeta.models.traced.plan import Widths


def shrink(args: argparse.Namespace) -> None:
    """Write a smaller network and tell what it costs.

    Args:
        args: The flags `checkpoint`, `arch`, `width`, `widths`, `images`, `out`, `method`,
            `no_refit`, `no_statistics`, `size`, `mean`, `std`, `count`, `layers`, `seed`,
            `device`.
    """
    deterministic()
    facts = shrink_file(
        args.checkpoint,
        args.arch,
        args.images,
        args.out,
        _widths(args),
        method=args.method,
        refit=False if args.no_refit else None,
        statistics=not args.no_statistics,
        preprocessing=Preprocessing(args.size, args.mean, args.std),
        layers=args.layers,
        count=args.count,
        seed=args.seed,
        device=device_of(args),
    )
    for group in facts["groups"]:
        how = f"merged into {', '.join(group.merged)}" if group.merged else "left out"
        lost = "" if group.lost is None else f"; {group.lost:.1%} of what they say is lost"
        if len(group.kept) < group.size:
            print(f"{group.name}: {group.size} -> {len(group.kept)} channels, {how}{lost}")
    for name, unit in (("params", "parameters"), ("macs", "MACs")):
        before, after = facts[name]
        print(f"{unit}: {before:,} -> {after:,} ({after / before:.0%})")
    mean, std = (" ".join(f"{value:g}" for value in facts[name]) for name in ("mean", "std"))
    fitted = len(facts["refitted"])
    print(f"{facts['pictures']} pictures, mean {mean}, std {std}; {fitted} layers fitted anew")
    print(f"{facts['seconds']:.1f} s")
    for path in args.out:
        print(path)


def _widths(args: argparse.Namespace) -> Widths:
    if args.width is None and not args.widths:
        raise UserError("--width is missing, such as 0.5; or --widths PATTERN=SHARE")
    shares: dict[str, float] = {}
    for text in args.widths or ():
        pattern, sign, share = text.rpartition("=")
        try:
            shares[pattern] = float(share)
        except ValueError:
            sign = ""
        if not sign or not pattern:
            raise UserError(f"--widths {text!r} must be PATTERN=SHARE, such as 'layer3.*=0.75'")
    return shares | ({} if args.width is None else {"*": args.width})
