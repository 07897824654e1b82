"""Stage permute: one smoothing order per clique group, found once, shared by all widths."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy import ndarray

from neumeta.core.checkpoint import write_checkpoint
from neumeta.core.files import write_json
from neumeta.core.reading import load_section
from neumeta.core.recording import recorded
from neumeta.core.stage import compute_with, flags, stage_parser, staged
from neumeta.core.targets import checkpoint, json_of, record
from neumeta.data.dataset import read_dataset
from neumeta.models.network_file import read_network
from neumeta.permute.function import assert_function_preserved, function_change
from neumeta.permute.orders import find_orders
from neumeta.permute.params import PermuteParams
from neumeta.permute.path import shortest_path
from neumeta.permute.solve import quick_order
from neumeta.permute.variation import total_variation

LARGEST_CHECK = 1000
LARGEST_SEARCHED = 512  # channels; beyond, the search takes minutes a group


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": checkpoint("network"), "--report": json_of("function_error", "groups")}
    writes["--record"] = record("permute")
    compulsory = ("--experiment", "--dataset", "--base", *writes)
    args = flags(argv, stage_parser("metamorphosis.permute", *compulsory, writes=writes))

    def body() -> None:
        params = load_section(PermuteParams, f"{args.experiment}.permute")
        compute_with(params)
        with recorded("permute", args.record, [args.out, args.report], params={"permute": params}):
            weights, family, header = read_network(args.base)
            generator = np.random.default_rng(params.seed)

            def solve(distances: ndarray) -> ndarray:
                tries = params.perturbations
                if len(distances) > LARGEST_SEARCHED:
                    return quick_order(distances, generator)
                return shortest_path(distances, perturbations=tries, generator=generator)

            arrangement, found = find_orders(weights, family.groups, solve)
            permuted = arrangement.apply(weights)
            # Streams stay as they are; only the coordinates of their channels follow an order.
            _, ranked = find_orders(permuted, family.streams, solve)
            ordered = family.with_stream_orders({s.name: list(s.order) for s in ranked})
            dataset = read_dataset(args.dataset, family.input_spec)
            inputs = dataset.split("val").inputs[:LARGEST_CHECK]
            network = family.skeleton(family.base)
            error = function_change(network, weights, permuted, inputs).absolute
            assert_function_preserved(error, params.tolerance)
            new_header = {
                **header,
                **ordered.header(),
                "permuted": True,
                "orders": {group.name: list(group.order) for group in found},
            }
            write_checkpoint(args.out, permuted, new_header)
            report = {
                "function_error": error,
                "tolerance": params.tolerance,
                "inputs": len(inputs),
                "groups": [group.facts() for group in found],
                "streams": [group.facts() for group in ranked],
                "total_variation": {
                    "before": asdict(total_variation(weights)),
                    "after": asdict(total_variation(permuted)),
                },
            }
            write_json(args.report, report)

    return staged("permute", body, args.experiment)


if __name__ == "__main__":
    sys.exit(main())
