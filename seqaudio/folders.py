"""Folders that seqaudio makes and may remove: how they are recognised, and the only code that removes them.

A folder is removed file by file, and only where a mark in it says that seqaudio made it and every file in it has a name
that seqaudio writes. Any other file belongs to the user: then nothing is touched, and one line names the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seqaudio.errors import FolderError
from seqaudio.files import open_plain, sync

MARK = "made-by-seqaudio.txt"
KNOWN = frozenset((MARK, ".DS_Store", "Thumbs.db", "desktop.ini"))  # ours, and what desktops put into every folder


@dataclass(frozen=True)
class Kind:
    """A kind of folder: its name in messages, and a pattern of the whole paths, with slashes, of the files below it."""

    name: str  # such as "a store"
    files: re.Pattern[str]

    @property
    def mark(self) -> str:
        """The content of the mark in a folder of this kind."""
        return f"seqaudio made this folder for {self.name}, and removes it when it is no longer needed.\n"


def put_mark(folder: Path, kind: Kind) -> None:
    """Make a folder where it is missing, and mark it as one of a kind."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(kind.mark, encoding="ascii")


def is_marked(folder: Path, kind: Kind) -> bool:
    """Whether a folder has the mark of a kind; a mark that a kill cut short counts too."""
    file = folder / MARK
    if file.is_symlink() or not file.is_file():
        return False
    with open_plain(file) as opened:
        return kind.mark.encode("ascii").startswith(opened.read(len(kind.mark) + 1))


def foreign_file(folder: Path, kind: Kind) -> str | None:
    """The path below a folder of the first file that no folder of the kind has; None where there is none."""
    return next((name for name in _below(folder) if not _is_known(name, kind)), None)


def check_contents(folder: Path, kind: Kind) -> None:
    """Raise FolderError where a folder holds a file that no folder of the kind has, or is a link."""
    if folder.is_symlink():
        raise FolderError(f"{folder} is a link, expected {kind.name}; nothing was touched; remove the link")
    name = foreign_file(folder, kind)
    if name is not None:
        raise FolderError(
            f"{folder} holds {name}, which is no file of {kind.name}; nothing was touched; move it elsewhere, or "
            f"choose another folder"
        )


def remove(folder: Path, kind: Kind, last: str = "") -> None:
    """Remove a folder of a kind, its mark last, so that a kill leaves a folder that is still recognised.

    last: name of the file that goes just before the mark.

    Raises FolderError where it holds a file of another kind, before anything is removed; OSError where a file was added
    meanwhile, which stays.
    """
    check_contents(folder, kind)
    entries = list(_entries(folder))
    files = [name for name in entries if not name.endswith("/") and _is_known(name, kind)]
    for name in sorted(files, key=lambda name: (name == MARK, name == last)):
        (folder / name).unlink(missing_ok=True)
    for name in reversed([name for name in entries if name.endswith("/")]):
        (folder / name).rmdir()
    folder.rmdir()


def swap_folder(new: Path, place: Path, aside: Path) -> None:
    """Rename the finished folder `new` to `place`; what was there is renamed to `aside`, which must be free.

    Nothing is removed. Where the second rename fails, the first is undone; after a kill between them the folder that
    was at `place` is at `aside`.
    """
    before = place.exists()
    if before:
        place.rename(aside)
    try:
        new.rename(place)
    except OSError:
        if before:
            aside.rename(place)
        raise
    sync(place.parent)


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A folder that gets its name once everything is in it; what an interrupted call has left is written again."""
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    yield partial
    partial.rename(folder)


def real_path(folder: Path) -> Path:
    """The absolute path of a folder, links followed, so that its neighbours lie beside the folder itself.

    Raises FolderError for the root of a file system, which has no neighbours.
    """
    real = Path(os.path.realpath(folder))
    if not real.name:
        raise FolderError(f"{folder} is the root of a file system; give a folder in it")
    return real


def _is_known(name: str, kind: Kind) -> bool:
    return name.rpartition("/")[2] in KNOWN or kind.files.fullmatch(name) is not None


def _below(folder: Path) -> Iterator[str]:
    """Paths of the files below a folder, with slashes; a link counts as a file and is never followed."""
    return (name for name in _entries(folder) if not name.endswith("/"))


def _entries(folder: Path) -> Iterator[str]:
    """Paths, with slashes, of all below a folder; a folder's path ends in a slash and comes before its content."""
    waiting = [""]  # no recursion: an archive may nest folders without end
    while waiting:
        place = waiting.pop()
        with os.scandir(folder / place) as entries:
            found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
        for name, is_folder in found:
            yield place + name + "/" * is_folder
        waiting += [f"{place}{name}/" for name, is_folder in found if is_folder]
