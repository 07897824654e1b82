"""Stage permute: one smoothing order per clique group, found once, shared by all widths."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from neumeta.checkpoint import write_checkpoint
from neumeta.dataset import read_dataset
from neumeta.files import write_json
from neumeta.network_file import read_network
from neumeta.params import PermuteParams, load_section
from neumeta.permute.apply import (
    apply_orders,
    assert_function_preserved,
    find_orders,
    function_error,
)
from neumeta.permute.variation import total_variation
from neumeta.stages._main import flags, guarded, recorded, stage_parser

LARGEST_CHECK = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    parser = stage_parser(
        "permute", "--experiment", "--dataset", "--base", "--out", "--report", "--record"
    )
    args = flags(argv, parser)

    def body() -> None:
        params = load_section(PermuteParams, f"{args.experiment}.permute")
        with recorded("permute", args.record):
            weights, family, header = read_network(args.base)
            generator = np.random.default_rng(params.seed)
            tries = params.perturbations
            orders, groups = find_orders(
                weights, family.groups, perturbations=tries, generator=generator
            )
            permuted = apply_orders(weights, family.groups, orders)
            # Streams stay as they are; only the coordinates of their channels follow an order.
            streams, _ = find_orders(
                permuted, family.streams, perturbations=tries, generator=generator
            )
            ordered = family.with_stream_orders({n: o.tolist() for n, o in streams.items()})
            dataset = read_dataset(args.dataset, family.input_spec)
            inputs = dataset.split("val").inputs[:LARGEST_CHECK]
            network = family.skeleton(family.base_width)
            error = function_error(network, weights, permuted, inputs)
            assert_function_preserved(error, params.tolerance)
            saved_orders = {name: order.tolist() for name, order in orders.items()}
            new_header = {
                **header,
                **ordered.header(),
                "permuted": True,
                "orders": saved_orders,
            }
            write_checkpoint(args.out, permuted, new_header)
            report = {
                "function_error": error,
                "tolerance": params.tolerance,
                "inputs": len(inputs),
                "groups": [asdict(group) for group in groups],
                "total_variation": {
                    "before": asdict(total_variation(weights)),
                    "after": asdict(total_variation(permuted)),
                },
            }
            write_json(args.report, report)

    return guarded("permute", body)


if __name__ == "__main__":
    sys.exit(main())
