"""Stage orders: one network permuted by every strategy, its total variation and proven gaps."""

import sys
from collections.abc import Sequence
from typing import Any

from neumeta.core.checkpoint import trusting
from neumeta.core.files import write_json
from neumeta.core.reading import load_section
from neumeta.core.recording import recorded
from neumeta.core.stage import compute_with, flags, stage_parser, staged
from neumeta.core.targets import json_of, record
from neumeta.data.dataset import read_dataset
from neumeta.measure.evaluator import Evaluator
from neumeta.methods.metamorphosis.orders.orders import measure_orders
from neumeta.methods.metamorphosis.params.study import OrdersParams
from neumeta.models.network_file import read_network

CHECKED = 16  # real images on which a permuted network must give the same outputs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": json_of("network", "test_size"), "--record": record("orders")}
    compulsory = ("--network", "--dataset", "--base", *writes)
    args = flags(argv, stage_parser("metamorphosis.orders", *compulsory, writes=writes))

    def body() -> None:
        params = load_section(OrdersParams, "orders")
        compute_with(params)
        with recorded("orders", args.record, [args.out], params={"orders": params}):
            weights, family, header = read_network(args.base)
            with trusting(args.base):
                origin: Any = header["origin"]
                source = origin["source"]
            dataset = read_dataset(args.dataset, family.input_spec)
            evaluator = Evaluator(family, dataset, "test", whole=True)
            images = dataset.split("val").inputs[:CHECKED]
            report = {
                "network": args.network,
                "dataset": dataset.name,
                "origin": source,
                "accuracy": evaluator.deciding(family.base, weights),
                "test_size": len(evaluator),
                "images": len(images),
                **measure_orders(family, weights, images, params.seeds),
            }
            write_json(args.out, report)

    return staged("orders", body, args.network)


if __name__ == "__main__":
    sys.exit(main())
