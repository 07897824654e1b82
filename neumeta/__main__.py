"""The command `neumeta`: what it can do, and with which arguments."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from neumeta import __version__
from neumeta.core.errors import UserError
from neumeta.core.fields import DEFAULT_DRAWS, MOST_SEED
from neumeta.core.stage import OneLineParser, add_device_flag, guarded
from neumeta.permute.solvers import SOLVERS

MOST_SHARE = 4  # of the units of a network, once it is made wider
MOST_DIGITS = 12  # of a number on the command line


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Arguments, or None for those of the process.

    Returns:
        The exit status: 0 done, 1 a user's error, 2 wrong arguments.
    """
    args = _parser().parse_args(argv)
    return guarded("neumeta", lambda: args.run(args), f"neumeta {args.command}")


def _parser() -> OneLineParser:
    parser = OneLineParser(prog="neumeta", description=__doc__)
    parser.add_argument("--version", action="version", version=f"neumeta {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=OneLineParser)

    sample = commands.add_parser("sample", help="write a network of one width")
    sample.add_argument("checkpoint", help="an INR, as the train stage writes it, or a network")
    sample.add_argument("--width", type=_width, help="base width h, channels, or a share as 0.63")
    sample.add_argument(
        "--out", nargs="+", required=True, help="files ending in .safetensors or .onnx"
    )
    sample.add_argument("--opset", type=_whole, help="of ONNX operators, 18 to 25")
    sample.add_argument("--raw", action="store_true", help="ONNX: normalise raw pixels inside")
    _add_build(sample)
    _add_sampling(sample)
    sample.set_defaults(run=_networks("sample"))

    info = commands.add_parser("info", help="describe a checkpoint as JSON")
    info.add_argument("checkpoint")
    _add_build(info)
    info.set_defaults(run=_networks("info"))

    score = commands.add_parser("evaluate", help="score sampled networks on a dataset")
    score.add_argument("checkpoint", help="an INR, as the train stage writes it, or a network")
    score.add_argument("--width", type=_width, nargs="+", help="base widths, channels, or shares")
    score.add_argument("--dataset", required=True, help="tensors, as the data stage writes them")
    score.add_argument("--split", choices=("train", "val", "test"), default="test")
    _add_build(score)
    _add_sampling(score)
    add_device_flag(score)
    score.set_defaults(run=_networks("evaluate"))

    fit = commands.add_parser("fit", help="find the widest network within a budget")
    fit.add_argument("checkpoint", help="an INR, as the train stage writes it")
    fit.add_argument("--params", help="at most so many parameters, such as 150k")
    fit.add_argument("--macs", help="at most so many multiply-accumulates, such as 20M")
    fit.add_argument("--latency", help="at most so long for one input, measured here, as 5ms")
    fit.add_argument("--out", nargs="+", default=[], help="write it: .safetensors or .onnx")
    _add_build(fit)
    fit.set_defaults(run=_imported("_fit", "fit"))

    order = commands.add_parser("permute", help="make a file of weights smooth, its function kept")
    order.add_argument("checkpoint", help="safetensors, or a PyTorch state dict")
    order.add_argument(
        "--arch", required=True, help="such as cifar_resnet20 or torchvision's names"
    )
    order.add_argument("--out", required=True, help="permuted weights, .safetensors")
    order.add_argument("--json", help="total variation, and every group with its proven gap")
    order.add_argument("--orders", help="the orders, .safetensors, which can be inverted")
    order.add_argument("--fold", action="store_true", help="fold BatchNorms first")
    order.add_argument(
        "--solver",
        choices=SOLVERS,
        default="best",
        help="of the shortest path (default %(default)s)",
    )
    order.add_argument("--seed", type=_seed, default=0, help="of the solver, 0 or more (default 0)")
    order.set_defaults(run=_networks("permute"))

    sizes = commands.add_parser("trace", help="list which channels of any network can be cut")
    sizes.add_argument("build", help="torchvision:NAME, timm:NAME or package.module:function")
    sizes.add_argument(
        "--option",
        action="append",
        metavar="NAME=VALUE",
        help="of the builder, such as num_classes=10; may be repeated",
    )
    shape = sizes.add_mutually_exclusive_group()
    shape.add_argument("--size", type=_positive, help="height and width of images, pixels")
    shape.add_argument("--input", type=_shape, help="shape of the input, such as 2,3,64,64")
    sizes.add_argument(
        "--scope",
        action="append",
        metavar="PATTERN",
        help="names of groups that may change, such as 'layer3.*'; may be repeated (default: all)",
    )
    sizes.add_argument("--streams", action="store_true", help="residual streams may change, too")
    sizes.add_argument(
        "--multiple", type=_positive, default=1, help="round to multiples of it (default 1)"
    )
    sizes.add_argument(
        "--width", type=_share, default=0.5, help="share of the units to show (default 0.5)"
    )
    sizes.add_argument("--json", help="all of it, as a file")
    sizes.set_defaults(run=_imported("_trace", "trace"))
    _add_shrink(commands.add_parser("shrink", help="write a trained network at a smaller width"))

    check = commands.add_parser("check", help="check the whole parameter file")
    check.add_argument("--params", default="params.yaml", help="the parameter file")
    check.set_defaults(run=_check)

    use = commands.add_parser(
        "use", help="choose the experiments and studies that `dvc repro` runs"
    )
    use.add_argument("names", nargs="+", metavar="NAME")
    use.add_argument("--params", default="params.yaml", help="the parameter file")
    use.set_defaults(run=_use)

    new = commands.add_parser("new", help="add an experiment on a folder of images to the file")
    new.add_argument("name", metavar="NAME", help="lower-case letters, digits and '-'")
    new.add_argument("--images", required=True, help="folder or zip, as the README describes it")
    new.add_argument("--params", default="params.yaml", help="the parameter file")
    new.set_defaults(run=_new)

    code = commands.add_parser("code", help="what a change of code does to committed results")
    asked = code.add_subparsers(dest="question", required=True, parser_class=OneLineParser)
    reason = asked.add_parser("why", help="say what gave a stage another identity")
    reason.add_argument("stage", help="such as train")
    reason.add_argument("--base", help="revision to compare with (default: that of the results)")
    reason.set_defaults(run=_code_why)
    accept = asked.add_parser(
        "accept", help="keep the results of stages whose old and new code give the same bytes"
    )
    accept.add_argument("why", help="what was changed, for the ledger code.yaml")
    accept.add_argument("--base", help="revision to compare with (default: that of the results)")
    accept.set_defaults(run=_code_accept)
    return parser


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not {text!r}")
    if len(text) > MOST_DIGITS:
        raise argparse.ArgumentTypeError(f"must be of at most {MOST_DIGITS} digits, not {text!r}")
    return int(text)


def _width(text: str) -> int | float:
    return _share(text) if "." in text else _whole(text)


def _positive(text: str) -> int:
    if (number := _whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return number


def _shape(text: str) -> tuple[int, ...]:
    return tuple(map(_positive, text.split(",")))


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= MOST_SHARE:
        raise argparse.ArgumentTypeError(
            f"must be a share above 0, at most {MOST_SHARE}, not {text!r}"
        )
    return share


def _seed(text: str) -> int:
    if (seed := _whole(text)) > MOST_SEED:
        raise argparse.ArgumentTypeError(f"must be at most {MOST_SEED}, not {text}")
    return seed


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--build", help="package.module:function that the file names, which is run to build it"
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draws", type=_whole, help=f"K, draws averaged (default {DEFAULT_DRAWS})")
    parser.add_argument("--noise", type=float, help="half range, channels (default: the file's)")
    parser.add_argument("--seed", type=_seed, help="of the draws (default 0)")


def _add_shrink(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="safetensors, or a PyTorch state dict")
    parser.add_argument(
        "--arch", required=True, help="such as cifar_resnet20 or torchvision's names"
    )
    parser.add_argument("--width", type=float, help="share of the channels that stay, such as 0.5")
    parser.add_argument(
        "--widths",
        action="append",
        metavar="PATTERN=SHARE",
        help="of groups of these names, such as 'layer3.*=0.75'; may be repeated, the first counts",
    )
    parser.add_argument("--images", required=True, help="folder or zip of pictures, any layout")
    parser.add_argument(
        "--out", nargs="+", required=True, help="files ending in .safetensors or .onnx"
    )
    parser.add_argument(
        "--layers", nargs="+", default=["*"], help="patterns of the groups that shrink (all)"
    )
    parser.add_argument(
        "--method",
        choices=("merge", "l1"),
        default="merge",
        help="l1 keeps the largest filters and makes up for nothing (default %(default)s)",
    )
    parser.add_argument("--no-refit", action="store_true", help="fit no layer anew after the merge")
    parser.add_argument(
        "--no-statistics", action="store_true", help="leave BatchNorm statistics as they are"
    )
    parser.add_argument("--size", type=_whole, help="side of the pictures, pixels")
    parser.add_argument("--mean", type=float, nargs="+", help="by channel, of pixels of 0 to 1")
    parser.add_argument("--std", type=float, nargs="+", help="likewise (default: torchvision's)")
    parser.add_argument("--count", type=_whole, default=2000, help="pictures (default %(default)s)")
    parser.add_argument("--seed", type=_seed, default=0, help="of the draws (default 0)")
    add_device_flag(parser)
    parser.set_defaults(run=_imported("_shrink", "shrink"))


def _networks(name: str) -> Callable[[argparse.Namespace], None]:
    return _imported("_networks", name)


def _imported(module: str, name: str) -> Callable[[argparse.Namespace], None]:
    """Import what computes with torch when it runs: the other commands need not wait for it."""

    def run(args: argparse.Namespace) -> None:
        found = import_module(f"neumeta.stages.{module}")
        command: Callable[[argparse.Namespace], None] = getattr(found, name)
        command(args)

    return run


def _check(args: argparse.Namespace) -> None:
    from neumeta.stages._params_file import check_titles, load_params
    from neumeta.stages._selection import check_selection

    params = load_params(args.params)
    try:
        check_titles(params)
    except UserError as error:
        raise UserError(f"{args.params}: {error}") from error
    check_selection(args.params, params.selected())
    print(f"{args.params}: good; dvc repro runs {', '.join(params.run)}")


def _new(args: argparse.Namespace) -> None:
    from neumeta.data.dataset import SPLITS
    from neumeta.stages._new import new_experiment

    dataset = new_experiment(args.name, args.images, args.params)
    sizes = ", ".join(f"{split} {dataset.size(split)}" for split in SPLITS)
    channels, height, width = dataset.image_shape
    kind = "gray" if channels == 1 else "in colour"
    print(f"{args.name}: {len(dataset.classes)} classes, {sizes}; {width} x {height}, {kind}")
    print(f"{args.params}: has it; `neumeta use {args.name}`, then `dvc repro`")


def _use(args: argparse.Namespace) -> None:
    from neumeta.stages._params_file import select

    select(args.names, args.params)
    print(f"{args.params}: dvc repro now runs {', '.join(dict.fromkeys(args.names))}")


def _code_why(args: argparse.Namespace) -> None:
    from neumeta.gate.why import why

    print("\n".join(why(args.stage, base=args.base)))


def _code_accept(args: argparse.Namespace) -> None:
    from neumeta.gate.accept import accept
    from neumeta.gate.wording import told

    outcome = accept(args.why, base=args.base)
    print("\n".join(told(outcome)))
    if outcome is not None and any(verdict.faults for verdict in outcome.verdicts):
        raise UserError("results of the stages that differ are stale; `dvc repro` renews them")


if __name__ == "__main__":
    sys.exit(main())
