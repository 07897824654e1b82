"""A script that runs `python -m …` several times in one process: imports take longer than the work.

Its argument is a file of JSON: a list of objects with `words`, `folder`, and the files `out`, `err`
and `status`, in which each command's output and exit status go.
"""

import json
import os
import runpy
import sys


def main(tasks: str) -> None:
    """Run all of them, in their order.

    Args:
        tasks: The file.
    """
    sys.path[0] = ""  # the current folder, as for `python -m`
    with open(tasks, encoding="utf-8") as stream:
        listed = json.load(stream)
    for task in listed:
        os.chdir(task["folder"])
        for number, name in ((1, "out"), (2, "err")):
            place = os.open(task[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(place, number)
            os.close(place)
        sys.argv = list(task["words"])
        status: object = 0
        try:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        except SystemExit as error:
            status = error.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
        with open(task["status"], "w", encoding="utf-8") as stream:
            stream.write(str(status))


if __name__ == "__main__":
    main(sys.argv[1])
