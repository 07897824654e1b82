"""Stage code: one identity per stage, from which DVC sees what a change of code can reach."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from neumeta.core.errors import UserError
from neumeta.core.files import write_json
from neumeta.core.identity import read_tree
from neumeta.core.ledger import LEDGER, identities, read_ledger
from neumeta.core.reading import load_value
from neumeta.core.stage import flags, guarded, stage_parser
from neumeta.core.targets import Output


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage, in the root of the project.

    As the first stage of every run it also refuses loops that do not follow from the list `run`.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": Output("identities of stages", ".json", _holds_identities)}
    args = flags(argv, stage_parser("code", "--selected", *writes, writes=writes))

    def body() -> None:
        root = Path()
        run = load_value("run")
        if run != load_value("selected.run", args.selected):
            names = " ".join(map(str, run or []))
            raise UserError(f"{args.selected}: is not of this list; run `neumeta use {names}`")
        write_json(args.out, identities(read_tree(root), read_ledger(root / LEDGER)))

    return guarded("code", body)


def _holds_identities(path: Path) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(isinstance(text, str) for text in found.values())


if __name__ == "__main__":
    sys.exit(main())
