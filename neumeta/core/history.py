"""The code of earlier revisions, read from git without touching the working tree."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from neumeta.core.errors import UserError
from neumeta.core.identity import LOCK, PACKAGE, left_out
from neumeta.core.ledger import LEDGER


def git(root: str | Path, *arguments: str) -> bytes:
    """Ask git.

    Args:
        root: Somewhere in the repository.
        *arguments: Command and options.

    Returns:
        What it printed.

    Raises:
        UserError: If there is no git, no repository, or the command fails.
    """
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except OSError as error:
        raise UserError(
            f"git {arguments[0]}: {error.strerror}; the code needs its history"
        ) from error
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.decode(errors="replace").split())
        raise UserError(f"git {arguments[0]}: {reason}") from error


def tree_at(root: str | Path, revision: str) -> dict[str, bytes]:
    """Read what identities are made of, and what they are looked up in, at a revision.

    Args:
        root: Somewhere in the repository.
        revision: Any name of a commit.

    Returns:
        Content by path: the package, the lock, and the ledger where there is one.

    Raises:
        UserError: If there is no such revision.
    """
    names = git(root, "ls-tree", "--name-only", revision).decode().split()
    wanted = [name for name in (PACKAGE, LOCK, LEDGER) if name in names]
    found: dict[str, bytes] = {}
    if not wanted:
        return found  # without names, git would hand out the whole repository
    content = io.BytesIO(git(root, "archive", revision, *wanted))
    with tarfile.open(fileobj=content) as archive:
        for member in archive.getmembers():
            wanted_file = member.isfile() and not left_out(PurePosixPath(member.name))
            stream = archive.extractfile(member) if wanted_file else None
            if stream is not None:
                found[member.name] = stream.read()
    return found


def revisions(root: str | Path, most: int) -> Iterator[str]:
    """List the revisions that lead to the current one.

    Args:
        root: Somewhere in the repository.
        most: How many to list.

    Yields:
        Hashes, newest first.
    """
    yield from git(root, "rev-list", f"--max-count={most}", "HEAD").decode().split()
