"""Stage sweep: sample and score every width of every trained INR; resumable, also in shards."""

import sys
from collections.abc import Sequence

from neumeta.core.cache_key import RESUME_ROOT, loaded_code, state_key
from neumeta.core.errors import UserError
from neumeta.core.files import check_writable
from neumeta.core.reading import load_section
from neumeta.core.stage import flags, recorded, stage_parser, staged
from neumeta.data.dataset import read_dataset
from neumeta.measure.results import to_frame, write_results
from neumeta.methods.metamorphosis.morph import load
from neumeta.methods.metamorphosis.params.train import SweepParams
from neumeta.methods.metamorphosis.sweep import inr_files, sweep, sweep_shard, units_of
from neumeta.methods.metamorphosis.sweep_parts import SweepParts, parse_shard


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    parser = stage_parser(
        "metamorphosis.sweep", "--experiment", "--dataset", "--inr", "--out", "--record"
    )
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="measure share I of N alone, and keep it for the run without this flag, which joins",
    )
    args = flags(argv, parser)

    def body() -> None:
        shard = None if args.shard is None else parse_shard(args.shard)
        check_writable(args.record)
        params = load_section(SweepParams, f"{args.experiment}.sweep")
        files = inr_files(args.inr)
        if not files:
            raise UserError(f"{args.inr}: holds no seed-N.safetensors; run the train stage")
        morphs = [load(path) for path in files]
        dataset = read_dataset(args.dataset, morphs[0].family.input_spec)
        inputs = [args.dataset, *files, *loaded_code()]
        key = state_key(params.model_dump(mode="json"), inputs)
        parts = SweepParts(RESUME_ROOT / args.experiment / "sweep", key)
        if shard is not None:
            sweep_shard(morphs, dataset, params, args.experiment, parts, shard)
            return
        found = [parts.read(unit) for unit in units_of(morphs, params)]
        earlier = sum((part.seconds for part in found if part), start=0.0)
        with recorded("sweep", args.record, earlier=earlier):
            rows = sweep(morphs, dataset, params, args.experiment, parts)
            write_results(args.out, to_frame(rows))
        parts.remove()

    return staged("sweep", body)


if __name__ == "__main__":
    sys.exit(main())
