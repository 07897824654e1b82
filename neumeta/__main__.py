"""The command `neumeta`: sample, info, evaluate, permute, check, use, code."""

import argparse
import json
import sys
from collections.abc import Sequence

from neumeta.core.errors import UserError
from neumeta.core.fields import DEFAULT_DRAWS
from neumeta.core.stage import OneLineParser, add_device_flag, deterministic, device_of, guarded
from neumeta.permute.solvers import SOLVERS


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
    commands = parser.add_subparsers(dest="command", required=True, parser_class=OneLineParser)

    sample = commands.add_parser("sample", help="write a network of one width")
    sample.add_argument("checkpoint", help="an INR, as the train stage writes it")
    sample.add_argument("--width", type=int, required=True, help="base width h, channels")
    sample.add_argument(
        "--out", nargs="+", required=True, help="files ending in .safetensors or .onnx"
    )
    _add_sampling(sample)
    sample.set_defaults(run=_sample)

    info = commands.add_parser("info", help="describe a checkpoint as JSON")
    info.add_argument("checkpoint")
    info.set_defaults(run=_info)

    score = commands.add_parser("evaluate", help="score sampled networks on a dataset")
    score.add_argument("checkpoint", help="an INR, as the train stage writes it")
    score.add_argument("--width", type=int, nargs="+", required=True, help="base widths, channels")
    score.add_argument("--dataset", required=True, help="tensors, as the data stage writes them")
    score.add_argument("--split", choices=("train", "val", "test"), default="test")
    _add_sampling(score)
    add_device_flag(score)
    score.set_defaults(run=_evaluate)

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
    order.set_defaults(run=_permute)

    check = commands.add_parser("check", help="check the whole parameter file")
    check.add_argument("--params", default="params.yaml", help="the parameter file")
    check.set_defaults(run=_check)

    use = commands.add_parser(
        "use", help="choose the experiments and studies that `dvc repro` runs"
    )
    use.add_argument("names", nargs="+", metavar="NAME")
    use.add_argument("--params", default="params.yaml", help="the parameter file")
    use.set_defaults(run=_use)

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


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not {text!r}")
    return int(text)


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--draws", type=int, default=DEFAULT_DRAWS, help="K, draws averaged (default %(default)s)"
    )
    parser.add_argument("--noise", type=float, help="half range, channels (default: the file's)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default 0)")


def _sample(args: argparse.Namespace) -> None:
    import torch

    from neumeta.core.files import sha256_of
    from neumeta.methods.metamorphosis.morph import load
    from neumeta.methods.metamorphosis.points import at_width
    from neumeta.models.export import check_suffix, export_network

    deterministic()
    for path in args.out:
        check_suffix(path)
    morph = load(args.checkpoint)
    generator = torch.Generator().manual_seed(args.seed)
    at = at_width(morph.family, args.width)
    network = morph.sample(at=at, draws=args.draws, noise=args.noise, generator=generator)
    built = morph.header["train_widths"]
    if not min(built) <= args.width <= max(built):
        print(
            f"note: training built widths {min(built)} to {max(built)}; width {args.width} lies "
            "outside, where accuracy can be far lower: see the report",
            file=sys.stderr,
        )
    origin = {
        "inr_sha256": sha256_of(args.checkpoint),
        "draws": args.draws,
        "noise": morph.header["noise"] if args.noise is None else args.noise,
        "seed": args.seed,
        "data_sha256": morph.header["data_sha256"],
    }
    for path in args.out:
        export_network(path, network, morph.family, at, origin)
        print(path)


def _info(args: argparse.Namespace) -> None:
    from neumeta.core.checkpoint import read_header
    from neumeta.methods.metamorphosis.morph import load

    header = read_header(args.checkpoint)
    facts = load(args.checkpoint).info() if header["kind"] == "inr" else header
    facts = {"kind": header["kind"], **facts}
    facts.pop("orders", None)
    print(json.dumps(facts, indent=2))


def _evaluate(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from neumeta.data.dataset import read_dataset
    from neumeta.measure.evaluator import Evaluator
    from neumeta.methods.metamorphosis.morph import load
    from neumeta.methods.metamorphosis.points import at_width

    deterministic()
    device = device_of(args)
    morph = load(args.checkpoint, device)
    points = [at_width(morph.family, width) for width in args.width]
    dataset = read_dataset(args.dataset, morph.family.input_spec).to(device)
    evaluator = Evaluator(morph.family, dataset, args.split, whole=True)
    source = replace(morph, draws=args.draws, noise=args.noise)
    metrics = {metric.name: (metric, max(len(metric.name), 6)) for metric in evaluator.task.metrics}
    names = "  ".join(f"{name:<{size}}" for name, (_, size) in metrics.items())
    print(f"width  {names}  ({args.split}, n = {len(evaluator)}, K = {args.draws})")
    for at in points:
        found = evaluator.measure(
            source, [at], [args.seed], method="sampled", item=str(args.checkpoint)
        )
        cells = ((*metrics[row.metric], row.value) for row in found)
        shown = (f"{metric.format(value):>{size}}" for metric, size, value in cells)
        print(f"{at['width']:5d}", *shown, sep="  ")


def _permute(args: argparse.Namespace) -> None:
    from neumeta.permute.file import permute_file

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


def _check(args: argparse.Namespace) -> None:
    from neumeta.stages._params_file import load_params
    from neumeta.stages._selection import check_selection

    params = load_params(args.params)
    check_selection(args.params, params.selected())
    print(f"{args.params}: good; dvc repro runs {', '.join(params.run)}")


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
