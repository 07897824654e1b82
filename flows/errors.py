"""The one error a user of the flows can cause, and how it is told: in one line."""

import argparse
import sys
from typing import NoReturn


class FlowError(ValueError):
    """A mistake of the user: one line that says what, where, and what is allowed."""


def one_line(error: BaseException | str) -> str:
    """Shorten an error to one line of text.

    Args:
        error: an exception or its text.

    Returns:
        The text with every run of white space made one space; the type's name if it is empty.
    """
    text = " ".join(str(error).split())
    return text or type(error).__name__


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2.

        Args:
            message: what is wrong.
        """
        print(f"error: {one_line(message)} (see --help)", file=sys.stderr)
        sys.exit(2)
