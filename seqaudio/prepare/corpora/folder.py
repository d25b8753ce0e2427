"""The folder of a corpus: there already, unpacked from an archive of the user's, or downloaded and unpacked."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.archives import Limits, unpack
from seqaudio.prepare.corpora.download import check_file, download


@dataclass(frozen=True, kw_only=True)
class SourceOption:
    """An option of scripts: first in the help text, as it is first in mind."""

    source: Path  # folder of the corpus


@dataclass(frozen=True, kw_only=True)
class ArchiveOption:
    """An option of scripts whose corpus comes as an archive."""

    archive: Path | None = None  # a ZIP or TAR that you have: unpack it into the source folder first


@dataclass(frozen=True, kw_only=True)
class DownloadOption:
    """An option of scripts whose corpus everyone may fetch."""

    download: bool = False  # fetch the archive and unpack it into the source folder first


@dataclass(frozen=True)
class PublishedArchive:
    """An archive as its makers publish it. Without a checksum of theirs, the script checks what is in it."""

    url: str
    sha256: str | None = None
    size: int | None = None  # bytes
    limits: Limits = field(default_factory=Limits)


def fill_folder(
    folder: Path,
    marker: str,
    published: PublishedArchive,
    *,
    archive: Path | None = None,
    fetch: bool = False,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Put a corpus into `folder`, unless it is there: from `archive`, or downloaded where `fetch` says so.

    The corpus is there when `folder / marker` is. An archive is unpacked beside that and moved in when it is whole,
    `marker` last; so a run that was interrupted begins again, and nothing that lies in the folder is replaced. A folder
    that was made for a corpus which then does not come is removed.

    Args:
        marker: a file or folder that the corpus has, at the top of the archive or in a folder of it.
        check: raises SourceError for an unpacked folder that holds something else.
    Raises:
        OptionError: both an archive and a download; no such archive, where the corpus is there without it.
        SourceError: no such archive, or it is not the one published, is damaged, unsafe, or without `marker`.
    """
    if archive is not None and fetch:
        raise OptionError(f"--archive {archive} and --download exclude each other; leave one out")
    if (folder / marker).exists():
        if archive is not None:
            _tell_unused(archive, folder)
        return
    if archive is None and not fetch:
        return
    made = not folder.exists()
    try:
        _fill(folder, marker, published, archive, check)
    finally:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _tell_unused(archive: Path, folder: Path) -> None:
    if not archive.is_file():
        raise OptionError(f"{archive}: no such file, and {folder} has the corpus already; leave the archive out")
    print(f"{folder} has the corpus already; {archive} is not unpacked", file=sys.stderr)


def _fill(
    folder: Path,
    marker: str,
    published: PublishedArchive,
    archive: Path | None,
    check: Callable[[Path], None] | None,
) -> None:
    if archive is not None:
        if not archive.is_file():
            raise SourceError(f"{archive}: no such file; give the archive from {published.url}")
        remedy = "fetch it again, or give --source the folder that you unpacked it to"
        check_file(archive, published.url, published.sha256, published.size, remedy)
        _unpack_into(folder, marker, archive, published.limits, check)
        return
    file = folder / PurePosixPath(urlsplit(published.url).path).name
    download(published.url, file, published.sha256, published.size)
    try:
        _unpack_into(folder, marker, file, published.limits, check)
    except SourceError:
        if published.sha256 is None:
            file.unlink()  # nothing vouches for it, so the next run fetches it anew
        raise
    file.unlink()


def _unpack_into(
    folder: Path, marker: str, archive: Path, limits: Limits, check: Callable[[Path], None] | None
) -> None:
    partial = folder / "unpacking.partial"
    if partial.exists():
        shutil.rmtree(partial)
    try:
        unpack(archive, partial, limits)
        top = _holder(partial, marker)
        if top is None:
            raise SourceError(f"{archive}: has no {marker}, at its top or in a folder; it holds another corpus")
        if check is not None:
            check(top)
        for path in sorted(top.iterdir(), key=lambda path: (path.name == marker, path.name)):
            if not (folder / path.name).exists():
                path.rename(folder / path.name)
    finally:
        if partial.exists():
            shutil.rmtree(partial)


def _holder(folder: Path, marker: str) -> Path | None:
    """The least deep folder with `marker`: archives have a folder around all, or one in another."""
    for depth in ("", "*/", "*/*/"):
        found = sorted(folder.glob(depth + marker))
        if found:
            return found[0].parent
    return None
