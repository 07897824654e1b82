"""Stage code: one identity per stage, from which DVC sees what a change of code can reach."""

import sys
from collections.abc import Sequence
from pathlib import Path

from neumeta.core.files import write_json
from neumeta.core.identity import read_tree
from neumeta.core.ledger import LEDGER, identities, read_ledger
from neumeta.core.stage import flags, guarded, stage_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage, in the root of the project.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    args = flags(argv, stage_parser("code", "--out"))

    def body() -> None:
        root = Path()
        write_json(args.out, identities(read_tree(root), read_ledger(root / LEDGER)))

    return guarded("code", body)


if __name__ == "__main__":
    sys.exit(main())
