"""Downloads from a server on this machine: resumed, checked, and refused in one line."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.download import download

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does with the one file it has, and which ranges it was asked for."""

    address: str = ""
    resumes: bool = True
    tells_length: bool = True
    length: str | None = None  # what the header says in place of the true length
    stops_after: int | None = None  # bytes, as a broken connection would
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    settings = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            settings.asked.append(asked)
            if self.path != "/corpus.zip":
                self.send_error(404)
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and settings.resumes else 0
            if start >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
            if settings.tells_length:
                self.send_header("Content-Length", settings.length or str(len(CONTENT) - start))
            self.end_headers()
            end = len(CONTENT) if settings.stops_after is None else start + settings.stops_after
            self.wfile.write(CONTENT[start:end])

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        settings.address = f"http://127.0.0.1:{listening.server_port}/corpus.zip"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield settings
        listening.shutdown()
        thread.join()


def refusal(url: str, target: Path, sha256: str | None = SHA256, size: int | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        download(url, target, sha256, size)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    return str(caught.value)


def partial(target: Path) -> Path:
    return target.with_name(target.name + ".partial")


def test_a_file_arrives_whole(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "new" / "corpus.zip"
    assert download(server.address, target, SHA256, len(CONTENT)) == target
    assert target.read_bytes() == CONTENT
    assert not partial(target).exists()


def test_a_length_that_is_not_told_is_not_needed(server: Server, tmp_path: Path) -> None:
    server.tells_length = False
    assert download(server.address, tmp_path / "a", SHA256).read_bytes() == CONTENT


def test_a_file_address_works(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    assert download((tmp_path / "source").as_uri(), tmp_path / "a", SHA256).read_bytes() == CONTENT


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    download(server.address, tmp_path / "a", SHA256)
    assert server.asked == []


def test_another_file_in_its_place_is_refused_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(SourceError, match="delete it to download it again"):
        download(server.address, tmp_path / "a", SHA256)
    assert (tmp_path / "a").read_bytes() == b"mine"


# interruptions


def test_a_broken_connection_is_taken_up_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.stops_after = 400_000
    message = refusal(server.address, tmp_path / "a")
    assert "ended after 400,000 of 1,000,000 bytes; run the command again to resume" in message
    server.stops_after = None
    assert download(server.address, tmp_path / "a", SHA256).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=400000-"]


def test_without_a_checksum_nobody_is_told_to_go_on(server: Server, tmp_path: Path) -> None:
    server.stops_after = 400_000
    message = refusal(server.address, tmp_path / "a", None)
    assert message.endswith("ended after 400,000 of 1,000,000 bytes; run the command again, it starts again")


def test_a_server_that_cannot_resume_sends_all(server: Server, tmp_path: Path) -> None:
    server.resumes = False
    partial(tmp_path / "a").write_bytes(CONTENT[:1000])
    assert download(server.address, tmp_path / "a", SHA256).read_bytes() == CONTENT


def test_without_a_checksum_nothing_is_taken_up(server: Server, tmp_path: Path) -> None:
    partial(tmp_path / "a").write_bytes(b"of some other version")
    assert download(server.address, tmp_path / "a", None).read_bytes() == CONTENT
    assert server.asked == [None]


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_whole_partial_file_is_recognised(server: Server, tmp_path: Path, size: int | None) -> None:
    partial(tmp_path / "a").write_bytes(CONTENT)
    assert download(server.address, tmp_path / "a", SHA256, size).read_bytes() == CONTENT


def test_a_partial_file_of_other_content_is_dropped(server: Server, tmp_path: Path) -> None:
    partial(tmp_path / "a").write_bytes(b"something else")
    assert "expected " + SHA256 in refusal(server.address, tmp_path / "a")
    assert download(server.address, tmp_path / "a", SHA256).read_bytes() == CONTENT


# refusals


def test_other_content_is_refused(server: Server, tmp_path: Path) -> None:
    assert f"has SHA-256 {SHA256}, expected 00ff" in refusal(server.address, tmp_path / "a", "00ff")
    assert not partial(tmp_path / "a").exists()


@pytest.mark.parametrize("length", ["many", "-5", "1e6"])
def test_a_length_that_is_none_is_refused(server: Server, tmp_path: Path, length: str) -> None:
    server.length = length
    assert f"announces {length!r} as the length, expected a number of bytes" in refusal(server.address, tmp_path / "a")


def test_another_size_is_refused_before_the_bytes_arrive(server: Server, tmp_path: Path) -> None:
    assert "offers 1,000,000 bytes, expected 999" in refusal(server.address, tmp_path / "a", size=999)


def test_more_bytes_than_expected_are_refused(server: Server, tmp_path: Path) -> None:
    server.tells_length = False
    assert "expected 999" in refusal(server.address, tmp_path / "a", None, size=999)


def test_an_address_without_a_file_is_refused(server: Server, tmp_path: Path) -> None:
    assert "the server answered 404 Not Found" in refusal(server.address + "x", tmp_path / "a")


def test_a_server_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "cannot be reached" in refusal("http://127.0.0.1:9/corpus.zip", tmp_path / "a")
    assert "cannot be reached" in refusal((tmp_path / "nothing").as_uri(), tmp_path / "a")


@pytest.mark.parametrize("url", ["ftp://host/file", "corpus.zip", "data:text/plain,a"])
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(OptionError, match="expected an http, https or file address"):
        download(url, tmp_path / "a", SHA256)
