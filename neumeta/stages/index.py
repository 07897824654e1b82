"""Stage index: the page that lists the reports of all experiments."""

import sys
from collections.abc import Sequence

from neumeta.core.files import atomic_write_text
from neumeta.core.stage import check_outputs, flags, stage_parser, staged
from neumeta.core.targets import page
from neumeta.report.overview import read_summaries, render_overview


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    args = flags(argv, stage_parser("index", "--summaries", "--out"))

    def body() -> None:
        text = render_overview(read_summaries(args.summaries))
        check_outputs(args, {"--out": page()})
        atomic_write_text(args.out, text)

    return staged("index", body)


if __name__ == "__main__":
    sys.exit(main())
