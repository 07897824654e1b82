"""Runs one command and makes sure it does not outlive the process that wanted it.

Started as a script by `flows.children`, as leader of its own process group. It holds the read end
of a pipe whose only write end is in the parent: when the parent dies, by whatever signal, the pipe
closes and the whole group is ended. Imports the standard library alone, so it starts in 20 ms.
"""

import os
import signal
import subprocess
import sys
import threading
import time


def watch(parent: int, grace: float) -> None:
    """Wait until the parent's end of the pipe closes, then end the group, this process too.

    Args:
        parent: descriptor of the pipe's read end.
        grace: seconds between SIGTERM and SIGKILL.
    """
    while os.read(parent, 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(grace)
    os.killpg(0, signal.SIGKILL)


def main(argv: list[str]) -> int:
    """Run the command.

    Args:
        argv: descriptor of the pipe, seconds of grace, then the command with its arguments.

    Returns:
        The command's exit code, 128 + n where signal n ended it.
    """
    parent, grace, command = int(argv[0]), float(argv[1]), argv[2:]
    # The guard outlives SIGTERM, so that its exit code is the command's. A handler, not SIG_IGN:
    # the command would inherit that.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    child = subprocess.Popen(command)  # does not inherit the pipe
    threading.Thread(target=watch, args=(parent, grace), daemon=True).start()
    code = child.wait()
    os.killpg(0, signal.SIGTERM)  # what the command left behind
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
