"""Unpack untrusted archives: plain files only, below one folder, within limits."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Self

from seqaudio.errors import SourceError
from seqaudio.files import naming, open_plain
from seqaudio.progress import progress

BLOCK_BYTES = 1 << 20
TAR_BLOCK = 512
TAIL_BYTES = 1 << 24  # after the end mark, at most; writers pad with some kilobytes
HEADER_BYTES = 1 << 18  # of a long name or of PAX attributes, which tarfile reads whole; paths have some kilobytes
GLOBAL_BYTES = 1 << 20  # of all global PAX headers, which tarfile keeps
NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
# what the readers raise for a truncated or damaged archive
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)
# what they raise besides, for the next member: RuntimeError where it is encrypted or of an unknown version or
# compression, LookupError for an empty name, ValueError for a name that is not UTF-8 or an invalid number
UNREADABLE = (RuntimeError, LookupError, ValueError)


class _HeaderError(Exception):
    """A header of a TAR that is larger than names and attributes can be."""


@dataclass(frozen=True)
class Limits:
    """The most that an archive may hold, which stops one that expands without end."""

    files: int = 1_000_000
    file_bytes: int = 1 << 30
    total_bytes: int = 1 << 37


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> None:
    """Write the files of a ZIP, or of a TAR (plain, gzip, bzip2 or xz), below `folder`.

    Sizes are counted while unpacking; headers are not trusted. Modes, owners and times are not restored.

    Args:
        archive: its format is recognised by its content, not its name.
        folder: new, or empty.
    Raises:
        SourceError: no such file, not an archive, a damaged or encrypted one; a member that is neither file nor folder,
            that is named twice, or whose name leads out of the folder; more than `limits`. Files that were unpacked
            before the error stay.
    """
    limits = limits or Limits()
    files, total = 0, 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            open_plain(archive) as raw,
            progress("unpacking", archive.stat().st_size // 1000, "kB") as advance,
        ):
            shown = 0
            for name, content in _members(archive, raw):
                files += 1
                if files > limits.files:
                    raise SourceError(
                        f"{archive}: has more than {limits.files:,} files; give the archive of the corpus itself"
                    )
                place = folder.joinpath(*_parts(archive, name))
                most = min(limits.file_bytes, limits.total_bytes - total)
                total += _write(content, place, most, f"{archive}: {name!r}")
                read = max(shown, raw.tell() // 1000)  # the members of a ZIP need not be in the order of its bytes
                advance(read - shown)
                shown = read
    except _HeaderError as error:
        raise SourceError(f"{archive}: {error}; give the archive of the corpus itself") from None
    except DAMAGE as error:
        raise SourceError(f"{archive}: a damaged archive ({error}); download it again") from None
    except OSError as error:
        raise SourceError(f"{archive}: cannot be unpacked: {error}") from None


def _members(archive: Path, raw: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file, in the order of the archive."""
    try:
        yield from _listed(archive, raw)
    except UNREADABLE as error:  # of the readers alone: what the caller does with a member is not raised here
        raise SourceError(
            f"{archive}: cannot be unpacked ({error}); download it again, or unpack it yourself"
        ) from None


def _listed(archive: Path, raw: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    start = raw.read(2)
    raw.seek(0)
    if start == b"PK":
        with zipfile.ZipFile(raw) as zipped:
            yield from _zip_members(archive, zipped)
        return
    try:
        header = _bounded_header()
        tarred = tarfile.open(fileobj=raw, mode="r:*", tarinfo=header)  # noqa: SIM115  closed by the `with` below
    except tarfile.ReadError:
        raise SourceError(f"{archive}: not an intact ZIP or TAR archive; download it again") from None
    with tarred:
        yield from _tar_members(archive, tarred)


def _zip_members(archive: Path, zipped: zipfile.ZipFile) -> Iterator[tuple[str, IO[bytes]]]:
    for entry in zipped.infolist():
        if entry.is_dir():
            continue
        kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 where the archive was not made on Unix
        if kind not in (0, stat.S_IFREG):
            raise _odd(archive, entry.filename)
        try:
            content = zipped.open(entry)
        except RuntimeError as error:  # encrypted, or an unknown compression: the member can be named
            raise SourceError(f"{archive}: {entry.filename!r} cannot be unpacked: {error}") from None
        with content:
            yield entry.filename, content


def _bounded_header() -> type[tarfile.TarInfo]:
    """A class of headers for one TAR that raises _HeaderError for those that would fill the memory when read."""
    held = 0

    class Header(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            nonlocal held
            made = super().frombuf(buf, encoding, errors)
            held += made.size * (made.type == tarfile.XGLTYPE)
            if made.size < 0 or (made.type in NAMES and made.size > HEADER_BYTES) or held > GLOBAL_BYTES:
                raise _HeaderError(
                    f"a header of a member claims {made.size:,} bytes, expected at most {HEADER_BYTES:,}"
                )
            return made

    return Header


def _check_parts(member: tarfile.TarInfo) -> None:
    """Raise tarfile.ReadError for a sparse file whose parts are not in order: reading it might never end."""
    end = 0
    for start, size in getattr(member, "sparse", None) or ():
        if size < 0 or start < end:
            raise tarfile.ReadError(f"the parts of the sparse file {member.name!r} are not in order")
        end = start + size
    if end > member.size:
        raise tarfile.ReadError(f"the sparse file {member.name!r} is longer than its header says")


def _tar_members(archive: Path, tarred: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    while (member := tarred.next()) is not None:
        # the list would fill the memory: some corpora have hundreds of thousands of members; no public API empties it
        vars(tarred)["members"].clear()
        if member.isdir():
            continue
        _check_parts(member)
        content = tarred.extractfile(member) if member.isreg() else None
        if content is None:
            raise _odd(archive, member.name)
        with content:
            yield member.name, content
    # a damaged header ends the loop, as the end mark does, a block of zeros
    stream = tarred.fileobj
    if stream is None:
        raise ValueError("the TAR archive was closed while it was read")
    stream.seek(tarred.offset)
    if stream.read(TAR_BLOCK) != bytes(TAR_BLOCK):
        raise tarfile.ReadError("it is truncated, or a header is damaged")
    # reading to the end of the padding makes the decompressor check its checksum
    if len(stream.read(TAIL_BYTES)) == TAIL_BYTES:
        raise tarfile.ReadError("it has data after its end mark")


def _odd(archive: Path, name: str) -> SourceError:
    return SourceError(f"{archive}: {name!r} is a link or a device, expected only files and folders; unpacking stopped")


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    """The parts of a member's path. Raises SourceError where it would leave the folder on any operating system."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.anchor or ".." in (*posix.parts, *windows.parts) or set(name) & {"\\", "\0"}:
        raise SourceError(f"{archive}: {name!r} would be written outside of the folder; unpacking stopped")
    return posix.parts


def _write(content: IO[bytes], place: Path, most: int, what: str) -> int:
    """Write one new file of at most `most` bytes. Returns its size in bytes."""
    written = 0
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with naming(place), place.open("xb") as file:
            while block := content.read(BLOCK_BYTES):
                written += len(block)
                if written > most:
                    raise SourceError(
                        f"{what} unpacks to more than the {most:,} bytes allowed; give the archive of the corpus itself"
                    )
                file.write(block)
    except FileExistsError:
        raise SourceError(f"{what} is in it twice, or both as file and as folder; unpacking stopped") from None
    return written
