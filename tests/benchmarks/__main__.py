"""Benchmarks: the fast code against the literal algorithms, `python -m tests.benchmarks`.

Each line: name, ours, reference, ratio. The ratio is the reference's time over ours, and for a
peak the share of it that ours reaches. Both sides take turns in one run; figures are medians.
Solvers of the permutation: name, time for all groups, worst and mean gap to the proven bound.
"""

import argparse
from collections.abc import Iterator, Sequence
from functools import partial

import torch

from neumeta.training.features import DTYPES
from tests.benchmarks import ours, reference
from tests.benchmarks.case import (
    BANK_IMAGES,
    STEPS_PER_BANK,
    TINY,
    WIDTH,
    WIDTHS_PER_SWEEP,
    Case,
    Size,
    make_case,
)
from tests.benchmarks.solvers import solvers
from tests.benchmarks.timing import Action, compare, flops, line, matmul_peak, share, side_by_side


def steps(case: Case, repeats: int) -> Iterator[str]:
    """One training step in both precisions, and the share of the peak that it reaches."""
    trainers = [ours.trainer_of(case, precision) for precision in DTYPES]
    slow: list[Action] = [
        reference.step_of(case, trainers[0].inr, lean=lean) for lean in (False, True)
    ]
    fast: list[Action] = [partial(ours.one_step, trainer) for trainer in trainers]
    *times, literal, lean = side_by_side([*fast, *slow], repeats)
    once = side_by_side([partial(ours.problem_of, case, p) for p in DTYPES], 1)
    scale = BANK_IMAGES / case.size.train_images / STEPS_PER_BANK
    for name, slower in (("", literal), ("-lean-reference", lean)):
        for precision, time in zip(DTYPES, times, strict=True):
            yield compare(f"step-{precision}{name}", time.median, slower.median)
    for precision, time, bank in zip(DTYPES, times, once, strict=True):
        whole = time.median + scale * bank.median
        yield compare(f"step-{precision}-with-features", whole, literal.median)
    for (precision, dtype), time, step in zip(DTYPES.items(), times, fast, strict=True):
        peak = matmul_peak(dtype, case.size.matmuls, repeats)
        yield share(f"peak-share-{precision}", flops(step) / time.fastest, peak)


def sweeps(case: Case, repeats: int, draws: Sequence[int]) -> Iterator[str]:
    """The K-draw sweep of one width; ours bears its share of what a sweep does once."""
    inr = ours.trainer_of(case, "float32").inr
    slow = reference.sweep_of(case, inr)
    sides = [ours.sweep_of(case, inr, precision) for precision in DTYPES]
    for k in draws:
        actions: list[Action] = [partial(slow, k)]
        for once, fast in sides:
            actions += [once, partial(fast, k)]
        literal, *times = (timing.median for timing in side_by_side(actions, repeats))
        for place, precision in enumerate(DTYPES):
            first, time = times[2 * place : 2 * place + 2]
            yield compare(f"sweep-{precision}-K{k}", time + first / WIDTHS_PER_SWEEP, literal)


def samples(case: Case, repeats: int, draws: Sequence[int]) -> Iterator[str]:
    """A network of another width, new or in place; a kept one goes back to weights it had."""
    inr = ours.trainer_of(case, "float32").inr
    slow = reference.sample_of(case, inr)
    for k in draws:
        fast = ours.samples_of(case, inr, k)
        literal, *times = side_by_side([partial(slow, k), *fast.values()], repeats)
        for name, time in zip(fast, times, strict=True):
            yield compare(f"{name}-K{k}", time.median, literal.median)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks and print their lines.

    Args:
        argv: Options; None takes those of the command line.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only", choices=("steps", "sweeps", "samples", "solvers"), help="default: all"
    )
    parser.add_argument("--images", type=int, default=Size.images, help="test images of the sweep")
    parser.add_argument(
        "--draws", type=int, nargs="+", default=[5, 16], help="K of sweeps and samples"
    )
    parser.add_argument("--repeats", type=int, default=5, help="measured turns of each side")
    parser.add_argument("--tiny", action="store_true", help="toy sizes: a check, no measurement")
    options = parser.parse_args(argv)
    size = TINY if options.tiny else Size(images=options.images)
    print(
        f"# ResNet-20, last block at h = {WIDTH}; INR {size.layers} x {size.hidden}, "
        f"{size.octaves} frequencies; batch {size.batch}; {size.images} test images\n"
        f"# torch {torch.__version__}, {torch.get_num_threads()} threads; "
        f"medians of {options.repeats}; a share of a peak compares the fastest of each"
    )
    print(line("# name", "ours", "reference", "ratio"), flush=True)
    if options.only != "solvers":
        case = make_case(size)
        parts = {
            "steps": partial(steps, case, options.repeats),
            "sweeps": partial(sweeps, case, options.repeats, options.draws),
            "samples": partial(samples, case, options.repeats, options.draws),
        }
        for name, part in parts.items():
            if options.only in (None, name):
                for text in part():
                    print(text, flush=True)
    if options.only in (None, "solvers"):
        print(line("# name", "all groups", "worst gap", "mean gap"), flush=True)
        for text in solvers(options.tiny):
            print(text, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
