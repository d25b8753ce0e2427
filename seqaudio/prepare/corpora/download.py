"""Download a corpus: resumed after an interruption, and checked before the file gets its name."""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, build_opener, url2pathname

from seqaudio.errors import OptionError, SourceError
from seqaudio.files import naming, require_plain, sha256_of, sync
from seqaudio.progress import progress

BLOCK_BYTES = 1 << 18
TIMEOUT = 30.0  # seconds without a byte
ANSWER_SECONDS = 120.0  # until the body of the answer begins, over all redirections
SLOWEST = 1000  # bytes a second, on average over SLOW_SECONDS; slower servers are refused
SLOW_SECONDS = 60.0
LARGEST = 1 << 37  # bytes; as many as an archive may unpack to
SCHEMES = ("http", "https", "file")


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
    try:
        scheme = urlsplit(url).scheme
    except ValueError as error:
        raise OptionError(f"cannot download {url!r} ({error}), expected an http, https or file address") from None
    if scheme not in SCHEMES:
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
    except (http.client.InvalidURL, ValueError, OverflowError) as error:  # of a redirection, too
        raise SourceError(f"{url}: it or a redirection is no valid address ({error}); check the address") from None
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.filename is not None:  # of the disk, such as a full one
            raise
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
        answer = _open(request)
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
        if total is not None and total > LARGEST:
            raise SourceError(f"{url}: the server offers {total:,} bytes, expected at most {LARGEST:,}")
        if size is not None and total != size:
            raise SourceError(f"{url}: the server offers {total:,} bytes, expected {size:,}; it has another version")
        with partial.open("ab" if held else "wb") as file:
            held += _copy(url, answer, file, held, total)
    if total is not None and held < total:
        raise SourceError(f"{url}: the connection ended after {held:,} of {total:,} bytes; {again}")


def _copy(url: str, answer: Any, file: IO[bytes], held: int, total: int | None) -> int:
    """Copy to the end of the answer. Returns the number of bytes. Stops once a server sends more than it announced.

    Raises SourceError for a server that sends more than LARGEST bytes, or less than SLOWEST bytes a second.
    """
    copied = before = 0
    start = time.monotonic()
    with (
        nullcontext(_silent) if total is None else progress("downloading", total // 1000, "kB", held // 1000) as advance
    ):
        while block := answer.read1(BLOCK_BYTES):  # what has arrived, since a whole block may never arrive
            with naming(file.name):
                file.write(block)
            advance((held + copied + len(block)) // 1000 - (held + copied) // 1000)
            copied += len(block)
            if total is not None and held + copied > total:
                break
            if held + copied > LARGEST:
                raise SourceError(
                    f"{url}: the server sends more bytes than expected, at most {LARGEST:,}; give the address of the "
                    f"corpus itself"
                )
            if (waited := time.monotonic() - start) >= SLOW_SECONDS:
                if copied - before < SLOWEST * waited:
                    raise SourceError(
                        f"{url}: the server sent {copied - before:,} bytes in {waited:,.0f} s, expected at least "
                        f"{SLOWEST:,} a second; try again later"
                    )
                start, before = time.monotonic(), copied
    return copied


class _OnlyWeb(HTTPRedirectHandler):
    """Redirections within http and https alone."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise SourceError(f"{req.full_url}: the server redirects to {newurl!r}, expected an http or https address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except Exception:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _open(request: urllib.request.Request) -> Any:
    """The answer to a request. The connection is closed if the headers take more than ANSWER_SECONDS."""
    if urlsplit(request.full_url).scheme == "file":
        try:
            require_plain(url2pathname(urlsplit(request.full_url).path))
        except OSError as error:
            raise urllib.error.URLError(error) from None
    opened: list[socket.socket] = []

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            opened.append(self.sock)

    class Encrypted(http.client.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            opened.append(self.sock)

    class PlainHandler(HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

    class EncryptedHandler(HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Encrypted, req)

    def give_up() -> None:
        for connection in opened:
            with suppress(OSError):  # closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    watch = threading.Timer(ANSWER_SECONDS, give_up)
    watch.daemon = True
    watch.start()
    try:
        return build_opener(_OnlyWeb, PlainHandler, EncryptedHandler).open(request, timeout=TIMEOUT)
    finally:
        watch.cancel()


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
