"""Files that would hold a command up, fill the memory or reach the terminal: pipes, devices, archives, servers."""

from __future__ import annotations

import ast
import gzip
import http.server
import os
import runpy
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cases import case_file
from conftest import ROOT, Command, assert_refused
from seqaudio.errors import OptionError, SourceError
from seqaudio.files import open_plain, read_plain, read_plain_text
from seqaudio.prepare.corpora import download as downloads
from seqaudio.prepare.corpora.archives import Limits, unpack
from seqaudio.prepare.corpora.download import download

posix = pytest.mark.skipif(os.name == "nt", reason="pipes and devices are of POSIX")

# --- files ---


@posix
@pytest.mark.timeout(20)
def test_pipes_devices_and_files_without_a_size_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "a pipe"), (Path("/dev/zero"), "a device"), (tmp_path, "a folder")):
        with pytest.raises(OSError, match=f"is {kind}, expected a file"):
            open_plain(path)
    if sys.platform == "linux":
        with pytest.raises(OSError, match="has no size"):
            read_plain("/proc/self/status")
    (tmp_path / "empty").touch()
    assert read_plain(tmp_path / "empty") == b""
    (tmp_path / "text").write_bytes(b"a\r\nb\rc")
    assert read_plain_text(tmp_path / "text") == "a\nb\nc"


# these check before that the file is a plain one, read what the package itself ships, or write
ELSEWHERE = {
    "files.py",
    "cli/demo.py",
    "cli/info.py",
    "cli/scripts.py",
    "evaluation/results.py",
    "prepare/engine/build.py",
    "prepare/engine/merge.py",
    "prepare/engine/partial.py",
    "synthesis/espeak.py",
}


def test_every_file_is_opened_by_the_one_function() -> None:
    found = set()
    for file in (ROOT / "seqaudio").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            mode = node.args[0] if node.args else None
            reads = not (isinstance(mode, ast.Constant) and str(mode.value)[:1] in "wax")
            opens = node.func.attr == "open" and isinstance(mode, ast.Constant) and reads
            if node.func.attr in ("read_text", "read_bytes") or opens:
                found.add(file.relative_to(ROOT / "seqaudio").as_posix())
    assert found == ELSEWHERE, "open it by seqaudio.files.open_plain, read_plain or read_plain_text"


@posix
@pytest.mark.timeout(60)
def test_a_pipe_among_tunes_is_refused_in_the_ledger(tmp_path: Path, command: Command, tune_folder: Path) -> None:
    case_file("adversary", "fifo-midi.sh")
    folder = tmp_path / "tunes"
    folder.mkdir()
    for tune in sorted(tune_folder.glob("*.mid"))[:12]:
        (folder / tune.name).write_bytes(tune.read_bytes())
    os.mkfifo(folder / "x.mid")
    done = command("seqaudio", "prepare", "midi_folder", "--source", folder, "--out", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    assert "12 kept, 1 refused (1 unreadable)" in done.stdout
    pipe = folder / "x.mid"
    for arguments in (
        ("info", pipe),
        ("render", pipe, "--wav", tmp_path / "a.wav"),
        ("show", pipe, "--png", tmp_path / "a.png"),
        ("info", "--cells", "--use", pipe),
        ("prepare", "series", "--source", pipe, "--out", tmp_path / "s"),
        ("prepare", "text_file", "--source", pipe, "--out", tmp_path / "t"),
        ("prepare", "yesno", "--source", tmp_path / "y", "--archive", pipe, "--out", tmp_path / "y-store"),
        ("train", "keyword_recognition", "--config", pipe, "--store", tmp_path, "--run", tmp_path / "r"),
    ):
        assert_refused(command("seqaudio", *arguments), "x.mid")


@posix
def test_a_pipe_is_no_primer(tmp_path: Path, command: Command, tune_run: Path) -> None:
    os.mkfifo(tmp_path / "x.mid")
    done = command("seqaudio", "generate", tune_run, "--out", tmp_path / "o.mid", "--primer", tmp_path / "x.mid")
    assert_refused(done, "x.mid", "is a pipe")


# --- archives ---


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (lambda: case_file("adversary", "zip-version99.zip"), "cannot be unpacked"),
        (lambda: case_file("adversary", "zip-badutf8.zip"), "cannot be unpacked"),
        (lambda: case_file("adversary", "zip-emptyname.zip"), "cannot be unpacked"),
        (lambda: case_file("adversary", "tar-paxsparse.tar"), "cannot be unpacked"),
        (lambda: case_file("adversary", "tar-paxsparse01.tar"), "cannot be unpacked"),
    ],
)
def test_an_archive_that_the_readers_cannot_take_is_one_line(
    name: Callable[[], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message) as refused:
        unpack(name(), tmp_path / "out")
    assert "\n" not in str(refused.value)


def test_a_header_of_a_gigabyte_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_file("adversary", "pax-bomb.py")
    monkeypatch.setattr(sys, "argv", [str(case), str(tmp_path / "bomb.tar.gz")])
    source = case.read_text(encoding="utf-8").replace("range(1300)", "range(30)")
    (tmp_path / "made.py").write_text(source, encoding="utf-8")
    runpy.run_path(str(tmp_path / "made.py"))
    with pytest.raises(SourceError, match="a header of a member claims 1,363,148,800 bytes"):
        unpack(tmp_path / "bomb.tar.gz", tmp_path / "out")


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with gzip.open(path, "wb", 1) as file:
        for member, content in members:
            file.write(member.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512))
        file.write(bytes(1024))
    return path


def header(kind: bytes, size: int, name: str = "h") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, size
    return made


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, b"X"])
def test_long_headers_of_every_kind_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", (header(kind, 1 << 20), b"0" * (1 << 20)))
    with pytest.raises(SourceError, match="expected at most 262,144"):
        unpack(archive, tmp_path / "out")


def test_global_headers_are_counted_together(tmp_path: Path) -> None:
    text = b"".join(f"{200_000} k{number}={'x' * 200_000}"[:199_999].encode() + b"\n" for number in range(1))
    members = [(header(tarfile.XGLTYPE, len(text)), text)] * 6
    with pytest.raises(SourceError, match="a header of a member claims"):
        unpack(tar_of(tmp_path / "a.tar.gz", *members), tmp_path / "out")


def test_a_long_name_within_reason_is_unpacked(tmp_path: Path) -> None:
    name = "/".join(["folder"] * 40) + "/a.txt"
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        archive.addfile(member)
    unpack(tmp_path / "a.tar", tmp_path / "out")
    assert (tmp_path / "out" / name).is_file()


def sparse(path: Path, parts: str, real: int) -> Path:
    """A TAR with one sparse file, as GNU tar writes it with PAX headers of version 0.1."""
    fields = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "s", "GNU.sparse.map": parts}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("s")
        member.size = 0
        member.pax_headers = fields | {"GNU.sparse.size": str(real), "GNU.sparse.realsize": str(real)}
        archive.addfile(member)
    return path


def test_sparse_files_count_with_their_holes(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="unpacks to more than"):
        unpack(sparse(tmp_path / "a.tar", "0,0", 1 << 40), tmp_path / "out", Limits(file_bytes=1 << 20))
    with pytest.raises(SourceError, match="not in order"):
        unpack(sparse(tmp_path / "b.tar", "500,100,0,100", 1000), tmp_path / "other")


# --- servers ---


@contextmanager
def server(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The address of a server that gives one kind of answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            try:
                answer(self)
            except OSError:
                self.close_connection = True  # the client has gone, as it should

        def log_message(self, *arguments: object) -> None:
            del arguments

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}/corpus.zip"
        finally:
            running.shutdown()
            thread.join()


def leading(address: str) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", address)
        request.end_headers()

    return answer


@pytest.mark.parametrize(
    "address",
    ["ftp://127.0.0.1/a", "file:///etc/hostname", "http://[::1", "http://a..b/", "http://h:9" + "9" * 20, "gopher:x"],
)
def test_a_redirection_to_anything_else_is_one_line(tmp_path: Path, address: str) -> None:
    with server(leading(address)) as url, pytest.raises(SourceError) as refused:
        download(url, tmp_path / "a.zip", None)
    assert url in str(refused.value)
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    "address", ["http://[::1", "http:///a", "http://a..b/x", "http://h:port/", "http://h/a b", "https://h:999999/", "x"]
)
def test_an_address_that_is_none_is_one_line(tmp_path: Path, address: str) -> None:
    with pytest.raises((OptionError, SourceError)):
        download(address, tmp_path / "a.zip", None)


def dripping(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(400):
        request.wfile.write(b"x")
        threading.Event().wait(0.01)


@pytest.mark.timeout(30)
def test_a_body_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "SLOW_SECONDS", 0.2)
    with server(dripping) as url, pytest.raises(SourceError, match="the server sent"):
        download(url, tmp_path / "a.zip", None)


@pytest.mark.timeout(30)
def test_headers_that_drip_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.2)

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        for _ in range(200):
            request.wfile.write(b"H")
            threading.Event().wait(0.02)

    with server(answer) as url, pytest.raises(SourceError, match="interrupted"):
        download(url, tmp_path / "a.zip", None)


@pytest.mark.timeout(30)
def test_a_body_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "LARGEST", 1 << 20)

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(64):
            request.wfile.write(bytes(1 << 16))

    with server(answer) as url, pytest.raises(SourceError, match="sends more bytes than expected"):
        download(url, tmp_path / "a.zip", None)


@posix
@pytest.mark.timeout(20)
def test_an_address_of_a_pipe_or_a_device_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SourceError, match="expected a file"):
            download(place.as_uri(), tmp_path / "a.zip", None)
