"""Stage study: INRs trained from the orders of every strategy; resumable network by network."""

import sys
from collections.abc import Sequence

from neumeta.core.cache_key import RESUME_ROOT, forget, loaded_code
from neumeta.core.errors import UserError
from neumeta.core.files import check_writable, write_json
from neumeta.core.reading import PARAMS_FILE, load_section
from neumeta.core.stage import flags, recorded, stage_parser, staged
from neumeta.data.dataset import read_dataset
from neumeta.methods.metamorphosis.orders.inrs import controls, train_inrs
from neumeta.methods.metamorphosis.params.study import StudyInrParams, study_params
from neumeta.methods.metamorphosis.params.train import SweepParams, TrainParams
from neumeta.methods.metamorphosis.points import at_width
from neumeta.models.network_file import read_network


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    names = ("--study", "--experiment", "--dataset", "--base", "--out", "--record")
    args = flags(argv, stage_parser("metamorphosis.study", *names))

    def body() -> None:
        check_writable(args.record)
        params = load_section(StudyInrParams, f"{args.study}.study")
        train = load_section(TrainParams, f"{args.experiment}.train")
        sweep = load_section(SweepParams, f"{args.experiment}.sweep")
        where = f"{PARAMS_FILE}: {args.study}"
        if params.experiment != args.experiment:
            raise UserError(
                f"{where}.study.experiment: is {params.experiment!r}, but the list `studies` names "
                f"{args.experiment!r}; run `neumeta use {args.study}`"
            )
        base, family, _ = read_network(args.base)
        try:
            changed = study_params(train, params)
            for width in (*params.widths, *changed.widths.values(), *changed.probe_widths):
                at_width(family, width)
        except UserError as error:
            raise UserError(f"{where}.study: {error}") from error
        dataset = read_dataset(args.dataset, family.input_spec)
        folder = RESUME_ROOT / args.study / "study"
        inputs = [args.dataset, args.base, *loaded_code()]
        rows = list(train_inrs(family, base, dataset, params, changed, sweep, folder, inputs))
        trained = {(row["strategy"], row["seed"]): row["seconds"] for row in rows}
        with recorded("study", args.record, earlier=sum(trained.values())):
            report = {
                "experiment": args.experiment,
                "split": params.split,
                "examples": len(dataset.split(params.split)),
                "base_width": family.base["width"],
                "train": changed.model_dump(mode="json"),
                "controls": controls(family, base, dataset, params.split),
                "rows": [{k: v for k, v in row.items() if k != "seconds"} for row in rows],
            }
            write_json(args.out, report)
        forget(folder)

    return staged("study", body)


if __name__ == "__main__":
    sys.exit(main())
