"""Fill the folder of a corpus from an archive that the user has, or by a download, unless the corpus is there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from seqaudio.errors import FolderError, OptionError, SourceError
from seqaudio.folders import Kind, is_marked, put_mark, remove
from seqaudio.locks import locked
from seqaudio.prepare.corpora.archives import Limits, unpack
from seqaudio.prepare.corpora.download import check_file, download

UNPACKING = Kind("an archive in work", re.compile(r"files/.*", re.DOTALL))


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
    """An archive as its makers publish it. Where they give no checksum, the script checks the content."""

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
    """Put a corpus into `folder`, unless it is there: from `archive`, or by a download with `fetch`.

    The corpus counts as there when `folder / marker` exists. An archive is unpacked into a temporary folder beside it
    and then moved, `marker` last. So an interrupted run starts again, and no existing file is replaced. Where filling
    fails, a folder that was made for the corpus is removed.

    Args:
        marker: a file or folder that the corpus has, at the top of the archive or in a folder of it.
        check: raises SourceError for an unpacked folder that holds something else.
    Raises:
        OptionError: both `archive` and `fetch`; no such archive, though the corpus is there without it.
        FolderError: a folder `unpacking.partial` that no unpacking left.
        InUseError: another process fills the folder.
        SourceError: no such archive, or one that is not the published one, is damaged, unsafe, or without `marker`.
    """
    if archive is not None and fetch:
        raise OptionError(f"--archive {archive} and --download exclude each other; leave one out")
    if (folder / marker).exists():
        if archive is not None:
            _report_unused(archive, folder)
        return
    if archive is None and not fetch:
        return
    made = not folder.exists()
    try:
        with locked(folder / "unpacking.lock", "corpus", folder):
            _fill(folder, marker, published, archive, check)
    finally:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _report_unused(archive: Path, folder: Path) -> None:
    if not archive.is_file():
        raise OptionError(f"{archive}: no such file, and {folder} already has the corpus; leave out --archive")
    print(f"{folder} already has the corpus; {archive} is not unpacked", file=sys.stderr)


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
        remedy = "download it again, or unpack it yourself and give that folder as --source"
        check_file(archive, published.url, published.sha256, published.size, remedy)
        _unpack_into(folder, marker, archive, published.limits, check)
        return
    file = folder / PurePosixPath(urlsplit(published.url).path).name
    download(published.url, file, published.sha256, published.size)
    try:
        _unpack_into(folder, marker, file, published.limits, check)
    except SourceError:
        if published.sha256 is None:
            file.unlink()  # without a checksum it may be damaged, so the next run downloads it again
        raise
    file.unlink()


def _unpack_into(
    folder: Path, marker: str, archive: Path, limits: Limits, check: Callable[[Path], None] | None
) -> None:
    partial = folder / "unpacking.partial"
    if partial.exists() or partial.is_symlink():
        if partial.is_symlink() or not is_marked(partial, UNPACKING):
            raise FolderError(f"{partial} was not left by an unpacking, expected one or nothing; move it elsewhere")
        remove(partial, UNPACKING)
    put_mark(partial, UNPACKING)
    try:
        unpack(archive, partial / "files", limits)
        top = _holder(partial / "files", marker)
        if top is None:
            raise SourceError(
                f"{archive}: has no {marker} at its top or in a folder, so it is another corpus; give the right archive"
            )
        if check is not None:
            check(top)
        for path in sorted(top.iterdir(), key=lambda path: (path.name == marker, path.name)):
            if not (folder / path.name).exists():
                path.rename(folder / path.name)
    finally:
        remove(partial, UNPACKING)


def _holder(folder: Path, marker: str) -> Path | None:
    """The topmost folder with `marker`: archives often wrap their files in a folder, or in two."""
    for depth in ("", "*/", "*/*/"):
        found = sorted(folder.glob(depth + marker))
        if found:
            return found[0].parent
    return None
