"""Stage orders: one network permuted by every strategy, its total variation and proven gaps."""

import sys
from collections.abc import Sequence
from typing import Any

from neumeta.core.files import write_json
from neumeta.core.reading import load_section
from neumeta.core.stage import flags, recorded, stage_parser, staged
from neumeta.data.dataset import read_dataset
from neumeta.measure.evaluate import evaluate
from neumeta.methods.metamorphosis.orders.orders import measure_orders
from neumeta.methods.metamorphosis.params.study import OrdersParams
from neumeta.models.network_file import read_network
from neumeta.tasks.registry import task_named

CHECKED = 16  # real images on which a permuted network must give the same outputs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    args = flags(
        argv,
        stage_parser(
            "metamorphosis.orders", "--network", "--dataset", "--base", "--out", "--record"
        ),
    )

    def body() -> None:
        params = load_section(OrdersParams, "orders")
        with recorded("orders", args.record):
            weights, family, header = read_network(args.base)
            origin: Any = header["origin"]
            dataset = read_dataset(args.dataset, family.input_spec)
            test = dataset.split("test")
            images = dataset.split("val").inputs[:CHECKED]
            network = family.skeleton(family.base)
            score = evaluate(network, weights, test, task_named(dataset.task))
            report = {
                "network": args.network,
                "dataset": dataset.name,
                "origin": origin["source"],
                "accuracy": score.accuracy,
                "test_size": len(test),
                "images": len(images),
                **measure_orders(family, weights, images, params.seeds),
            }
            write_json(args.out, report)

    return staged("orders", body, args.network)


if __name__ == "__main__":
    sys.exit(main())
