"""`python -m tests.bad_inputs`: bad inputs of every kind, each told in one line, nothing lost."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> int:
    """Try them and print what became of them.

    Returns:
        1 if any was not refused as it should be.
    """
    from tests.bad_inputs.kinds import KINDS
    from tests.bad_inputs.place import furnish
    from tests.bad_inputs.tries import tried

    parser = argparse.ArgumentParser(prog="tests.bad_inputs", description=__doc__)
    parser.add_argument("--each", type=int, default=250, help="refused inputs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=list(KINDS))
    args = parser.parse_args()
    refused, failures = 0, []
    start = time.perf_counter()
    for kind in args.only:
        with tempfile.TemporaryDirectory() as name:
            furnish(Path(name))
            began = time.perf_counter()
            count = tried(Path(name), KINDS[kind], args.each, args.seed)
        seconds = time.perf_counter() - began
        print(
            f"{kind:14} {count.refused:5} refused in one line, {count.taken:5} harmless, "
            f"{len(count.failures):3} failed, {seconds:6.1f} s",
            flush=True,
        )
        refused += count.refused
        failures += count.failures
    print(f"{refused} bad inputs, {len(failures)} failures, {time.perf_counter() - start:.0f} s")
    for failure in failures:
        print(f"FAILED {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
