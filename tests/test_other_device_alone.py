"""Runs the tests of the other device in a process that has done nothing before."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_other_device_in_a_process_of_its_own() -> None:
    files = ("tests/test_other_device.py", "tests/test_stages_on_other_device.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", *files],
        cwd=ROOT,
        env=os.environ | {"NEUMETA_TEST_OTHER_DEVICE": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout
