"""Stage index: the page that lists the reports of all experiments."""

import sys
from collections.abc import Sequence
from pathlib import Path

from neumeta.core.errors import UserError
from neumeta.core.files import atomic_write_text
from neumeta.core.stage import flags, stage_parser, staged
from neumeta.report import check_summary, render_overview
from neumeta.report.reading import read_json


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    args = flags(argv, stage_parser("index", "--summaries", "--out"))

    def body() -> None:
        folder = Path(args.summaries)
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; run the report stage first")
        summaries = []
        for path in sorted(folder.glob("*.json")):
            value = read_json(path)
            check_summary(value, str(path))
            if value["experiment"] != path.stem:
                raise UserError(
                    f"{path}: experiment is {value['experiment']!r}; must be {path.stem!r}, "
                    "the name of the file"
                )
            summaries.append(value)
        atomic_write_text(args.out, render_overview(summaries))

    return staged("index", body)


if __name__ == "__main__":
    sys.exit(main())
