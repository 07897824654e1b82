"""Stage inputs: fingerprints of raw data and of files of weights, from which DVC sees a change.

Such files lie where each machine has them, so DVC cannot name them as dependencies. This stage runs
every time and looks at them; the stages `data` and `fetch` take the fingerprint as a parameter.
Where a machine has no such file, the fingerprint stays: results need no raw data to be up to date.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from neumeta.core.file_hashes import FileHashes
from neumeta.core.files import write_json
from neumeta.core.reading import load_section, load_value
from neumeta.core.stage import flags, guarded, stage_parser
from neumeta.core.targets import json_of
from neumeta.data.inputs import input_files
from neumeta.data.params import DataParams
from neumeta.training.params import FetchParams

Files = list[tuple[str, Path]] | None
NONE = "no file"
ABSENT = "absent"
_JSON = json_of("data", "networks")
# By its own name also where it is damaged: it is made again.
OUTPUT = replace(_JSON, made=lambda path: path.name == "inputs.json" or _JSON.made(path))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage, in the root of the project.

    Args:
        argv: Flags, or None for those of the process.

    Returns:
        The exit status.
    """
    writes = {"--out": OUTPUT}
    args = flags(argv, stage_parser("inputs", "--selected", *writes, writes=writes))

    def body() -> None:
        selected = load_value("selected", args.selected)
        known, hashes = _known(args.out), FileHashes()
        found = {
            kind: {
                **known.get(kind, {}),  # of what is not selected now
                **_fingerprints(selected[names], files_of, hashes, known.get(kind, {})),
            }
            for kind, names, files_of in (
                ("data", "datasets", _raw_data),
                ("networks", "networks", _weights),
            )
        }
        hashes.keep()
        write_json(args.out, found)

    return guarded("inputs", body)


def _known(path: str) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _raw_data(name: str) -> Files:
    return input_files(load_section(DataParams, f"data.{name}"))


def _weights(name: str) -> Files:
    """The file of weights that a network is read from; an address is known by its sha256 alone."""
    params = load_section(FetchParams, f"{name}.fetch")
    if params.source != "file":
        return []
    path = Path(str(params.path))
    return [(path.name, path)] if path.is_file() else None


def _fingerprints(
    names: Iterable[str],
    files_of: Callable[[str], Files],
    hashes: FileHashes,
    known: Mapping[str, str],
) -> dict[str, str]:
    found = {}
    for name in names:
        files = files_of(name)
        if files is None:
            found[name] = known.get(name, ABSENT)
            if name in known and known[name] != ABSENT:
                print(f"{name}: its files are not on this machine; results of {known[name]} stay")
        else:
            found[name] = hashes.fingerprint(files) if files else NONE
    return found


if __name__ == "__main__":
    sys.exit(main())
