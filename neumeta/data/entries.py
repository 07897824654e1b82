"""What lies in a folder or a zip of images: every file, and what becomes of it.

A file is read, skipped on purpose because some program left it there (hidden files, `__MACOSX` and
their like), or ignored for a reason that is told. Nothing else can happen to it.
"""

import os
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from neumeta.core.errors import UserError, first_line, one_line
from neumeta.data.images import SUFFIXES

LITTER = frozenset({"__macosx", "__pycache__", "thumbs.db", "desktop.ini", "@eadir", "lost+found"})
MOST_BYTES = 2**28  # of one file, unpacked
_UTF8_FLAG = 0x800


@dataclass(frozen=True)
class Entry:
    """One image file.

    Attributes:
        place: Its path below the folder or zip, in composed Unicode (NFC).
        shown: How errors call it.
        read: Reads its content; raises whatever is wrong with the file.
    """

    place: PurePosixPath
    shown: str
    read: Callable[[], bytes]


@dataclass
class Tally:
    """Files that are not read, by reason.

    Attributes:
        ignored: Number and first name by reason.
        skipped: Number and first name of what is skipped on purpose.
    """

    ignored: dict[str, tuple[int, str]] = field(default_factory=dict)
    skipped: tuple[int, str] = (0, "")

    def ignore(self, reason: str, name: str) -> None:
        """Count a file that might have been meant.

        Args:
            reason: Why it is not read.
            name: The file.
        """
        count, first = self.ignored.get(reason, (0, name))
        self.ignored[reason] = (count + 1, first)

    def skip(self, name: str) -> None:
        """Count a file that nobody means.

        Args:
            name: The file.
        """
        self.skipped = (self.skipped[0] + 1, self.skipped[1] or name)

    def text(self) -> str:
        """Tell what is not read, and why.

        Returns:
            One line.
        """
        total = sum(count for count, _ in self.ignored.values())
        reasons = "; ".join(
            f"{count} {reason}, first {name}" for reason, (count, name) in self.ignored.items()
        )
        skipped, first = self.skipped
        return (
            f"ignored {total}"
            + (f" ({reasons})" if total else "")
            + (
                f", skipped {skipped} hidden or of other programs (first {first})"
                if skipped
                else ""
            )
        )


@dataclass
class Listing:
    """All that lies in a folder or zip.

    Attributes:
        images: What may be read.
        folders: What is neither hidden nor litter, images in them or not.
        tally: The rest.
    """

    images: list[Entry] = field(default_factory=list)
    folders: set[PurePosixPath] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)


@contextmanager
def listed(root: Path) -> Iterator[Listing]:
    """List a tree of images, a zip, or a folder of zips; it can be read until the context ends.

    Args:
        root: The folder or zip.

    Yields:
        The listing.

    Raises:
        UserError: If a zip cannot be read, lies beside the tree that it may have been unpacked to,
            or two files have one name.
    """
    found = Listing()
    with ExitStack() as stack:
        if root.is_file():
            _list_zip(root, found, stack)
        else:
            archives = _list_tree(root, found)
            unpacked = [entry.place for entry in found.images]
            for archive in archives:
                before = len(found.images)
                _list_zip(archive, found, stack)
                packed = len(found.images) - before
                if not packed:
                    found.tally.ignore("zip without images", archive.name)
                elif unpacked:
                    raise UserError(
                        f"{root}: holds {packed} images in {shown(archive.name)} and "
                        f"{len(unpacked)} beside it, as {shown(unpacked[0])}; keep either"
                    )
        _check_names(root, found)
        yield found


def raw_files(root: Path) -> list[tuple[str, Path]]:
    """List the files that a dataset is read from, zips as they are.

    Args:
        root: The folder or zip.

    Returns:
        Name below the folder, and path, by name.
    """
    if root.is_file():
        return [(root.name, root)]
    found = Listing()
    paths: dict[str, Path] = {}
    archives = _list_tree(root, found, paths)
    return sorted([*paths.items(), *((archive.name, archive) for archive in archives)])


def shown(name: object) -> str:
    """Write a name of a file in one line that every terminal takes.

    Args:
        name: Any; it may hold bytes that are no text.

    Returns:
        The name, with escapes where they are needed.
    """
    return one_line(name)


def _list_tree(root: Path, found: Listing, paths: dict[str, Path] | None = None) -> list[Path]:
    """Walk through folders, links to folders included; returns the zips at the top."""
    archives: list[Path] = []

    def refuse(error: OSError) -> None:
        raise UserError(f"{shown(error.filename)}: cannot list: {error.strerror}") from error

    above: dict[str, frozenset[str]] = {str(root): frozenset({os.path.realpath(root)})}
    for folder, names, files in os.walk(root, followlinks=True, onerror=refuse):
        below = PurePosixPath(Path(folder).relative_to(root).as_posix())
        trail = above.pop(folder)
        kept = []
        for name in sorted(names):
            real = os.path.realpath(os.path.join(folder, name))
            if _is_litter(name):
                found.tally.skip(shown(below / name))
            elif real in trail:
                found.tally.ignore("link to a folder around it", shown(below / name))
            else:
                kept.append(name)
                above[os.path.join(folder, name)] = trail | {real}
                found.folders.add(_composed(below / name))
        names[:] = kept
        for name in sorted(files):
            path, place = Path(folder, name), below / name
            if _is_litter(name):
                found.tally.skip(shown(place))
            elif not path.is_file():
                dangling = path.is_symlink() and not path.exists()
                reason = "dangling link" if dangling else "no regular file"
                found.tally.ignore(reason, shown(place))
            elif path.suffix.lower() == ".zip" and folder == str(root):
                archives.append(path)
            elif _is_image(place, found.tally):
                found.images.append(Entry(_composed(place), shown(path), _reader(path)))
                if paths is not None:
                    paths[str(_composed(place))] = path
    return archives


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        _check_size(path.stat().st_size)
        return path.read_bytes()

    return read


def _list_zip(archive: Path, found: Listing, stack: ExitStack) -> None:
    try:
        stream = stack.enter_context(zipfile.ZipFile(archive))
    except Exception as error:  # whatever a file of another kind makes the library stumble over
        raise UserError(f"{shown(archive)}: not a readable zip ({first_line(error)})") from error
    for info in sorted(stream.infolist(), key=lambda info: info.filename):
        place = PurePosixPath(_name_in_zip(info).replace("\\", "/"))
        name = f"{shown(archive)}: {shown(place)}"
        if any(map(_is_litter, place.parts)):
            found.tally.skip(name)
        elif info.is_dir() or info.filename.endswith("\\"):
            found.folders.add(_composed(place))
        elif stat.S_ISLNK(info.external_attr >> 16):
            found.tally.ignore("link in a zip", name)
        elif _is_image(place, found.tally, name):
            found.folders |= set(_composed(place).parents)
            found.images.append(Entry(_composed(place), name, _unpacker(stream, info)))


def _unpacker(stream: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        _check_size(info.file_size)
        return stream.read(info)

    return read


def _name_in_zip(info: zipfile.ZipInfo) -> str:
    """The name as it was meant: many programs write UTF-8 and do not say so."""
    if info.flag_bits & _UTF8_FLAG:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.lower() in LITTER


def _is_image(place: PurePosixPath, tally: Tally, name: str | None = None) -> bool:
    if place.suffix.lower() in SUFFIXES:
        return True
    kind = f"of suffix {shown(place.suffix)}" if place.suffix else "without a suffix"
    tally.ignore(kind, name or shown(place))
    return False


def _composed(place: PurePosixPath) -> PurePosixPath:
    return PurePosixPath(unicodedata.normalize("NFC", str(place)))


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise ValueError(f"{size:,} bytes; at most {MOST_BYTES:,} are unpacked")


def _check_names(root: Path, found: Listing) -> None:
    first: dict[PurePosixPath, Entry] = {}
    for entry in found.images:
        if str(entry.place) != shown(entry.place):
            raise UserError(f"{entry.shown}: its name is no plain text; rename it")
        if (other := first.setdefault(entry.place, entry)) is not entry:
            raise UserError(
                f"{shown(root)}: {entry.place} is there twice, as {other.shown} and as "
                f"{entry.shown}; keep one"
            )
