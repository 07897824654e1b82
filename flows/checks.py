"""What a run needs of the machine and the checkout, looked at before anything runs."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from flows.dvc_graph import has_remote
from flows.environment import child_environment
from flows.errors import FlowError, one_line

_PREFIX = "import sys; print(sys.prefix)"


def check_machine(root: Path, pull: bool = False, push: bool = False, commit: bool = False) -> None:
    """Refuse what could not end well, which else would show after hours of training.

    Args:
        root: the repository.
        pull: results are fetched from the DVC remote.
        push: results are sent there.
        commit: results are committed with git.

    Raises:
        FlowError: there is no pipeline, nothing can be written, stages would meet another Python,
            there is no remote, or git would not commit.
    """
    if not (root / "dvc.yaml").is_file():
        raise FlowError(f"{root}: cannot read the pipeline: there is no dvc.yaml")
    check_writable(root)
    check_python(root)
    for flag in [name for name, wanted in (("--pull", pull), ("--push", push)) if wanted]:
        if not has_remote(root):
            raise FlowError(
                f"{flag}: DVC has no remote to use; name one with "
                "`dvc remote add --default NAME URL`, or leave the flag out"
            )
    if commit:
        check_git(root)


def check_writable(root: Path) -> None:
    """Try to write where DVC and the stages write.

    Args:
        root: the repository.

    Raises:
        FlowError: it is read-only.
    """
    for folder in (root, *(root / name for name in (".dvc", "data", "reports"))):
        try:
            if folder.is_dir():
                with tempfile.TemporaryFile(dir=folder):
                    pass
        except OSError as error:
            raise FlowError(
                f"{folder}: cannot be written ({error.strerror}); a run needs a checkout that can "
                "be, --dry does not"
            ) from error


def check_python(root: Path, env: Mapping[str, str] | None = None) -> None:
    """Look which interpreter the stages would meet: dvc.yaml starts them with `python`.

    DVC deletes the outs of a stage before it runs the command, so a wrong one would cost reports.

    Args:
        root: the repository.
        env: the environment of the stages; None for the one they get.

    Raises:
        FlowError: it is not the interpreter of the flow, or there is none.
    """
    env = child_environment() if env is None else env
    found = shutil.which("python", path=env.get("PATH", ""))
    advice = "activate the environment of the project, for example `. .venv/bin/activate`"
    if found is None:
        raise FlowError(f"there is no `python` on PATH, with which stages start; {advice}")
    try:
        done = subprocess.run(
            [found, "-c", _PREFIX], cwd=root, env=env, capture_output=True, text=True, timeout=60
        )
        prefix = done.stdout.strip()
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        raise FlowError(f"{found}: does not run ({one_line(error)}); {advice}") from error
    if not prefix or Path(prefix).resolve() != Path(sys.prefix).resolve():
        raise FlowError(
            f"stages start with `python`, which is {found} here, not the Python of this flow in "
            f"{sys.prefix}; {advice}"
        )


def check_git(root: Path) -> None:
    """Look whether git would commit.

    Args:
        root: the repository.

    Raises:
        FlowError: it would not.
    """

    def git(*arguments: str) -> str:
        """What git objects to; empty if nothing."""
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=root, capture_output=True, text=True, timeout=60
            )
        except (OSError, subprocess.SubprocessError) as error:
            return one_line(error)
        return "" if done.returncode == 0 else one_line(done.stderr or "no")

    if why := git("rev-parse", "--is-inside-work-tree"):
        raise FlowError(f"--commit: {root} is no checkout of git ({why})")
    if git("var", "GIT_AUTHOR_IDENT") or git("var", "GIT_COMMITTER_IDENT"):
        raise FlowError(
            "--commit: git does not know who you are; say so with `git config user.name NAME` and "
            "`git config user.email ADDRESS`"
        )
    for name in ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"):
        if not git("rev-parse", "--quiet", "--verify", name):
            raise FlowError(f"--commit: a {name[:-5].lower().replace('_', '-')} is not finished")
