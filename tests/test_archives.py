"""Archives: what is in them arrives; what would leave the folder, is no plain file, or has no end does not."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from seqaudio.errors import SourceError
from seqaudio.prepare.corpora.archives import Limits, unpack

FILES = {"corpus/a.txt": b"first", "corpus/deep/er/b.bin": bytes(range(256)) * 5000, "corpus/empty": b""}


def tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def unpacked(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(archive: Path, folder: Path, limits: Limits | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        unpack(archive, folder, limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["w:gz", "w", "w:bz2", "w:xz", "zip"])
def test_every_kind_of_archive_arrives_whole(tmp_path: Path, kind: str) -> None:
    # the name tells nothing
    archive = zipped(tmp_path / "a", FILES) if kind == "zip" else tar(tmp_path / "a", FILES, kind)
    unpack(archive, tmp_path / "out")
    assert unpacked(tmp_path / "out") == FILES


def test_folders_and_names_from_the_current_folder_are_ordinary(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        folder = tarfile.TarInfo("./words")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o000
        archive.addfile(folder)
        archive.addfile(tarfile.TarInfo("./words/größe 日本.txt"))
    unpack(tmp_path / "a.tar", tmp_path / "out")
    assert unpacked(tmp_path / "out") == {"words/größe 日本.txt": b""}


OUTSIDE = ["../x", "a/../../x", "/x", "C:/x", "C:x", "//host/share/x", "a\\..\\..\\x", "..\\x"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_is_written_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    for archive in (tar(tmp_path / "in" / "a.tar", {name: b"x"}), zipped(tmp_path / "in" / "a.zip", {name: b"x"})):
        assert "would be written outside of the folder" in refusal(archive, tmp_path / "in" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar", "a.zip", "in", "out"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("first"))
        member = tarfile.TarInfo("odd")
        member.type, member.linkname = kind, "first"
        archive.addfile(member)
    assert "'odd' is a link or a device" in refusal(tmp_path / "a.tar", tmp_path / "out")
    assert unpacked(tmp_path / "out") == {"first": b""}


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("link")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert "'link' is a link or a device" in refusal(tmp_path / "a.zip", tmp_path / "out")


def test_a_file_that_grows_past_the_limit_is_stopped(tmp_path: Path) -> None:
    zeros = {"bomb": bytes(20_000_000)}
    for archive in (tar(tmp_path / "a", zeros), zipped(tmp_path / "b", zeros)):
        assert archive.stat().st_size < 100_000
        message = refusal(archive, tmp_path / f"out {archive.name}", Limits(file_bytes=3_000_000))
        assert "'bomb' unpacks to more than the 3,000,000 bytes" in message
        assert (tmp_path / f"out {archive.name}" / "bomb").stat().st_size <= 3_000_000


def test_all_files_together_and_their_number_have_limits(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a", {f"{number}": bytes(1000) for number in range(20)})
    assert "more than the 500 bytes" in refusal(archive, tmp_path / "x", Limits(total_bytes=10_500))
    assert "has more than 19 files" in refusal(archive, tmp_path / "y", Limits(files=19))
    unpack(archive, tmp_path / "z", Limits(files=20, file_bytes=1000, total_bytes=20_000))
    assert len(unpacked(tmp_path / "z")) == 20


def test_what_follows_the_end_of_a_tar_is_not_read_for_ever(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", {"a": b"1"}, "w")
    with gzip.open(tmp_path / "b", "wb") as file:
        file.write((tmp_path / "a.tar").read_bytes() + bytes(20_000_000))
    assert "has data after its end mark" in refusal(tmp_path / "b", tmp_path / "out")


def test_one_name_for_two_files_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("same"))
    assert "'same' is in it twice" in refusal(tmp_path / "a.tar", tmp_path / "out")
    both = tar(tmp_path / "b.tar", {"same": b"", "same/file": b""})
    assert "is in it twice, or both as file and as folder" in refusal(both, tmp_path / "out 2")


@pytest.mark.parametrize("kind", ["w:gz", "w", "w:xz", "zip"])
def test_a_cut_archive_is_refused(tmp_path: Path, kind: str) -> None:
    files = {name: os.urandom(4000) for name in "abc"}
    whole = zipped(tmp_path / "a", files) if kind == "zip" else tar(tmp_path / "a", files, kind)
    content = whole.read_bytes()
    for length in (0, 100, 6000, len(content) - (10240 if kind == "w" else 30)):
        (tmp_path / "cut").write_bytes(content[:length])
        message = refusal(tmp_path / "cut", tmp_path / f"out {length}")
        assert "damaged archive" in message or "not an intact ZIP" in message or "cannot be unpacked" in message


@pytest.mark.parametrize("kind", ["w:gz", "w", "zip"])
def test_a_changed_byte_in_a_header_or_in_packed_bytes_is_noticed(tmp_path: Path, kind: str) -> None:
    files = dict.fromkeys("abc", b"some text that packs well " * 400)
    whole = zipped(tmp_path / "a", files) if kind == "zip" else tar(tmp_path / "a", files, kind)
    content = bytearray(whole.read_bytes())
    # in a plain TAR only the headers have checksums: the second one stands behind 512 + 10,752 bytes
    content[512 + 10_752 + 5 if kind == "w" else len(content) // 3] ^= 0xFF
    (tmp_path / "b").write_bytes(content)
    refusal(tmp_path / "b", tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("<html>log in first</html>")
    assert "not an intact ZIP or TAR archive" in refusal(tmp_path / "page", tmp_path / "out")
    assert "cannot be unpacked" in refusal(tmp_path / "nothing", tmp_path / "out")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path / "a.zip", {"a": b"secret"}).read_bytes())
    content[6] |= 1  # the flag in the file's header, and in the directory at the end
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert "'a' cannot be unpacked" in refusal(tmp_path / "a.zip", tmp_path / "out")


def in_directory(content: bytes, place: int, value: bytes) -> bytes:
    """A ZIP of one file with other bytes in its entry of the directory at the end."""
    start = content.index(b"PK\x01\x02") + place
    return content[:start] + value + content[start + len(value) :]


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (6, b"\x63\x00", "zip file version 9.9"),  # the version that unpacking needs
        (8, b"\x00\x08", ""),  # names in UTF-8, which 0xff is not
        (28, b"\x00\x00\x00\x00\x01\x00", ""),  # a name without letters; its one letter becomes a comment
    ],
    ids=["version", "utf8", "no name"],
)
def test_a_zip_whose_directory_nobody_can_read_is_refused(
    tmp_path: Path, place: int, value: bytes, reason: str
) -> None:
    content = zipped(tmp_path / "a.zip", {"x": b"text"}).read_bytes()
    content = in_directory(content, 46, b"\xff") if place == 8 else content
    (tmp_path / "a.zip").write_bytes(in_directory(content, place, value))
    message = refusal(tmp_path / "a.zip", tmp_path / "out")
    assert "cannot be unpacked" in message
    assert reason in message
    assert unpacked(tmp_path / "out") == {}


@pytest.mark.parametrize("header", ["GNU.sparse.map", "GNU.sparse.size"])
def test_a_tar_with_senseless_extended_headers_is_refused(tmp_path: Path, header: str) -> None:
    member = tarfile.TarInfo("a")
    member.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1"} | {header: "many"}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member)
    assert "cannot be unpacked" in refusal(tmp_path / "a.tar", tmp_path / "out")


def test_memory_of_names_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tar(tmp_path / "a.tar", {str(number): b"" for number in range(50)}, "w")
    held = []
    following = tarfile.TarFile.next
    monkeypatch.setattr(tarfile.TarFile, "next", lambda self: held.append(len(self.members)) or following(self))
    unpack(archive, tmp_path / "out")
    assert len(held) >= 50
    assert max(held) <= 1
