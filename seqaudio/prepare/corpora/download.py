"""Download a corpus: resumed after an interruption, and checked before the file gets its name."""

from __future__ import annotations

import http.client
import sys
import urllib.error
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from seqaudio.errors import OptionError, SourceError
from seqaudio.files import sha256_of, sync
from seqaudio.progress import progress

BLOCK_BYTES = 1 << 18
TIMEOUT = 30.0  # seconds without a byte


def download(url: str, target: Path, sha256: str | None, size: int | None = None) -> Path:
    """Download `url` (http, https or file) to `target`.

    Bytes are written to `target.partial`, which is renamed once size and checksum are right. An interrupted download
    is resumed where the server allows it; without a checksum it starts again, since nothing would show whether the two
    halves belong together. An existing target is checked, and not downloaded again.

    Args:
        sha256: expected checksum in hexadecimal; None: the caller checks the content.
        size: expected size in bytes.
    Returns:
        target.
    Raises:
        SourceError: the server cannot be reached or refuses, the connection ends early, size or checksum differ.
        OptionError: a scheme other than http, https and file.
    """
    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise OptionError(f"cannot download {url!r}, expected an http, https or file address")
    if target.exists():
        check_file(target, url, sha256, size, "delete it to download it again")
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    if sha256 is None:
        partial.unlink(missing_ok=True)
    again = f"run the command again{' to resume' if sha256 else ', it starts again'}"
    print(f"downloading {url}", file=sys.stderr)
    try:
        _fetch(url, partial, size, again)
    except urllib.error.HTTPError as error:
        raise SourceError(f"{url}: the server answered {error.code} {error.reason}; check the address") from None
    except urllib.error.URLError as error:
        raise SourceError(f"{url}: cannot be reached ({_message(error.reason)}); check the connection") from None
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{url}: the download was interrupted ({_message(error)}); {again}") from None
    try:
        check_file(partial, url, sha256, size, "run the command again")
    except SourceError:
        partial.unlink()
        raise
    sync(partial)
    partial.replace(target)
    return target


def _fetch(url: str, partial: Path, size: int | None, again: str) -> None:
    """Append the rest of `url` to `partial`, or write all of it where the server cannot resume.

    `again` says what to try after a connection that ends early.
    """
    held = partial.stat().st_size if partial.exists() else 0
    if held and held == size:
        return
    request = urllib.request.Request(url, headers={"User-Agent": "seqaudio"})
    if held:
        request.add_header("Range", f"bytes={held}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not held:
            raise
        partial.unlink()  # ours is as long as the server's file, or longer: only a whole download can tell
        _fetch(url, partial, size, again)
        return
    with answer:
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {held}-"):
            held = 0  # the server ignored the range and sends the whole file
        announced = answer.headers.get("Content-Length")
        if announced is not None and not (announced.isascii() and announced.isdigit()):
            raise SourceError(
                f"{url}: the server announces {announced!r} as the length, expected a number of bytes; try again later"
            )
        total = size if announced is None else held + int(announced)
        if size is not None and total != size:
            raise SourceError(f"{url}: the server offers {total:,} bytes, expected {size:,}; it has another version")
        with partial.open("ab" if held else "wb") as file:
            held += _copy(answer, file, held, total)
    if total is not None and held < total:
        raise SourceError(f"{url}: the connection ended after {held:,} of {total:,} bytes; {again}")


def _copy(answer: IO[bytes], file: IO[bytes], held: int, total: int | None) -> int:
    """Copy to the end of the answer. Returns the number of bytes. Stops once a server sends more than it announced."""
    copied = 0
    with (
        nullcontext(_silent) if total is None else progress("downloading", total // 1000, "kB", held // 1000) as advance
    ):
        while block := answer.read(BLOCK_BYTES):
            file.write(block)
            advance((held + copied + len(block)) // 1000 - (held + copied) // 1000)
            copied += len(block)
            if total is not None and held + copied > total:
                break
    return copied


def _silent(items: int = 1, note: str = "") -> None:
    """Show nothing: the progress of a download of unknown size."""


def check_file(file: Path, url: str, sha256: str | None, size: int | None, remedy: str) -> None:
    """Raise SourceError unless a file from `url` has the expected size and checksum; `remedy` says what to try."""
    found = file.stat().st_size
    if size is not None and found != size:
        raise SourceError(f"{file.name} from {url} has {found:,} bytes, expected {size:,}; {remedy}")
    if sha256 is not None and (digest := sha256_of(file)) != sha256.lower():
        raise SourceError(f"{file.name} from {url} has SHA-256 {digest}, expected {sha256}; {remedy}")


def _message(error: object) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
