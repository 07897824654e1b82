"""What every stage has in common: flags, one-line errors, and a record of the run."""

import argparse
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn, TextIO

from neumeta.core.errors import UserError, one_line
from neumeta.core.fields import ComputingSection
from neumeta.core.progress import speaks, working
from neumeta.core.targets import Output, check_targets
from neumeta.core.unchanged import unchanged

if TYPE_CHECKING:
    import torch

_LOG_FORMAT = "%(message)s"
_NO_MEMORY = re.compile("out of memory|allocate memory|not enough memory")  # as torch says it


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage text."""

    writes: Mapping[str, Output] = MappingProxyType({})

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with status 2.

        Args:
            message: What is wrong.
        """
        print(f"{self.prog}: error: {one_line(message)} (see --help)", file=sys.stderr)
        sys.exit(2)


def stage_parser(
    name: str,
    *flags: str,
    shards: bool = False,
    writes: Mapping[str, Output] = MappingProxyType({}),
) -> OneLineParser:
    """Make the parser of a stage.

    Args:
        name: Stage name, shown in errors.
        *flags: Names of compulsory options that each take one text.
        shards: Whether the stage works through jobs, which can be shared out: it takes
            `--shard`, see `neumeta.core.shard.asked_shard`. Its entry in dvc.yaml then says so.
        writes: Which of the options name outputs, and what is written there; `flags` refuses any
            that would destroy something else.

    Returns:
        The parser; a stage may add further options.
    """
    parser = OneLineParser(prog=f"neumeta.stages.{name}")
    parser.writes = writes
    for flag in flags:
        parser.add_argument(flag, required=True)
    if shards:
        parser.add_argument(
            "--shard",
            metavar="I/N",
            help="do share I of N alone, and keep it for the run without this flag, which joins",
        )
    return parser


def add_device_flag(parser: argparse.ArgumentParser) -> None:
    """Let the user of a stage that computes with torch choose the device; see `device_of`.

    Args:
        parser: The stage's parser.
    """
    parser.add_argument(
        "--device",
        help="auto, cpu, cuda, cuda:N or mps; without it $NEUMETA_DEVICE decides, else auto",
    )


def device_of(args: argparse.Namespace) -> "torch.device":
    """Choose the device of a stage whose parser has the flag.

    Args:
        args: The flags of the stage.

    Returns:
        The device.

    Raises:
        UserError: If the name is unknown, or that device is not there.
    """
    from neumeta.core.device import choose_device  # imports torch

    return choose_device(args.device)


def staged(name: str, body: Callable[[], None], what: str = "") -> int:
    """Run a stage's body, as `guarded`; its code must not change meanwhile.

    Args:
        name: Name of the stage.
        body: Does the work.
        what: Of which experiment, dataset, network or study; shown in progress lines.

    Returns:
        The exit status.
    """

    def work() -> None:
        deterministic()
        with unchanged(name):
            body()

    return guarded(name, work, f"{name} {what}".strip())


def compute_with(params: ComputingSection) -> None:
    """Let torch use as many threads as the section says, whatever the machine has.

    Args:
        params: The section of the stage.
    """
    import torch

    torch.set_num_threads(params.threads)


def deterministic() -> None:
    """Let torch choose the algorithms that give the same bytes on every run.

    On CUDA float32 is then float32: convolutions would run in the shorter TF32 by default.
    """
    import torch  # not every command needs it

    torch.set_deterministic_debug_mode("warn")  # the other way to say it imports a compiler
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # asked for by cuBLAS
    torch.backends.cudnn.allow_tf32 = False


def guarded(name: str, body: Callable[[], None], title: str = "") -> int:
    """Run a command's body; a user's error becomes one line and exit status 1.

    Args:
        name: Shown before the error.
        body: Does the work.
        title: Shown in progress lines; the name where it is empty.

    Returns:
        The exit status.
    """
    # Of the processes that train together one tells how far they are; each tells what goes wrong.
    level = logging.INFO if speaks() else logging.WARNING
    logging.basicConfig(level=level, format=_LOG_FORMAT, stream=sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    try:
        with working(title or name):
            body()
        sys.stdout.flush()
    except UserError as error:
        print(f"{name}: error: {one_line(error)}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _NO_MEMORY.search(str(error)):
            raise
        print(f"{name}: error: needs more memory than there is; ask for less", file=sys.stderr)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{name}: error: {one_line(where)}{error.strerror or error}", file=sys.stderr)
        _silence(sys.stdout)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def _silence(stream: TextIO) -> None:
    """Let nothing be tried again at exit where the reader is gone, or the disk is full."""
    try:
        stream.flush()
    except OSError:
        with suppress(OSError, ValueError):  # it may be no file of the system
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def flags(argv: Sequence[str] | None, parser: OneLineParser) -> argparse.Namespace:
    """Parse the flags of a stage; outputs that would destroy something else are wrong arguments.

    Args:
        argv: Arguments, or None for those of the process.
        parser: The stage's parser.

    Returns:
        The parsed flags.
    """
    args = parser.parse_args(argv)
    try:
        check_outputs(args, parser.writes)
    except UserError as error:
        parser.error(str(error))
    return args


def check_outputs(args: argparse.Namespace, writes: Mapping[str, Output]) -> None:
    """Refuse outputs that would destroy something else; see `check_targets`.

    Args:
        args: The parsed flags, of which all others that name files are inputs.
        writes: What is written, by flag.
    """
    given = {f"--{name.replace('_', '-')}": value for name, value in vars(args).items()}
    values = [value for flag, value in given.items() if flag not in writes]
    texts = [text for v in values for text in (v if isinstance(v, list) else [v])]
    inputs = [text for text in texts if isinstance(text, str) and text and os.path.exists(text)]
    check_targets(inputs, [(given[flag], kind) for flag, kind in writes.items()])
