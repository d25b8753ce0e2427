"""The folder of a corpus: there, unpacked from an archive, or fetched from a server on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from made_up_speech import pack, serving
from seqaudio.errors import OptionError, SourceError
from seqaudio.files import sha256_of
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """words.tar.gz on the server: README, etc/list, wav/a; all in a folder `corpus-1.0`."""
    tree = tmp_path / "tree"
    for name in ("README", "etc/list", "wav/a"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    return pack(tmp_path / "server" / "words.tar.gz", tree, "corpus-1.0")


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def fails(*_: object) -> None:
    raise SourceError("another corpus")


WHOLE = ["README", "etc/list", "wav/a"]


def test_an_archive_fills_the_folder_without_its_outer_folder(archive: Path, tmp_path: Path) -> None:
    fill_folder(tmp_path / "corpus", "wav", PublishedArchive("https://host/words.tar.gz"), archive=archive)
    assert listing(tmp_path / "corpus") == WHOLE
    assert archive.exists()


def test_a_download_fills_the_folder_and_leaves_no_archive(archive: Path, tmp_path: Path) -> None:
    with serving(archive.parent) as address:
        published = PublishedArchive(f"{address}/words.tar.gz", sha256_of(archive), archive.stat().st_size)
        fill_folder(tmp_path / "corpus", "wav", published, fetch=True)
    assert listing(tmp_path / "corpus") == WHOLE


def test_a_corpus_that_is_there_is_left_alone(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corpus" / "wav").mkdir(parents=True)
    fill_folder(tmp_path / "corpus", "wav", PublishedArchive("http://127.0.0.1:9/none"), fetch=True)
    fill_folder(tmp_path / "corpus", "wav", PublishedArchive("http://127.0.0.1:9/none"), archive=archive)
    assert listing(tmp_path / "corpus") == []
    assert capsys.readouterr().err == f"{tmp_path / 'corpus'} already has the corpus; {archive} is not unpacked\n"
    with pytest.raises(OptionError, match=r"none\.tgz: no such file, and .* already has the corpus; leave out"):
        fill_folder(
            tmp_path / "corpus", "wav", PublishedArchive("http://127.0.0.1:9/none"), archive=tmp_path / "none.tgz"
        )


def test_nothing_happens_unasked(tmp_path: Path) -> None:
    fill_folder(tmp_path / "corpus", "wav", PublishedArchive("http://127.0.0.1:9/none"))
    assert not (tmp_path / "corpus").exists()


def test_files_of_the_user_are_not_replaced(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "README").write_text("mine")
    fill_folder(tmp_path / "corpus", "wav", PublishedArchive("https://host/words.tar.gz"), archive=archive)
    assert (tmp_path / "corpus" / "README").read_text() == "mine"
    assert listing(tmp_path / "corpus") == WHOLE


def test_an_interrupted_run_begins_again(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted between two moves: the marker is moved last, so what is there is not taken for the corpus."""
    moves: list[str] = []
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        moves.append(self.name)
        if len(moves) == 2:
            raise KeyboardInterrupt
        return rename(self, target)

    published = PublishedArchive("https://host/words.tar.gz")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill_folder(tmp_path / "corpus", "README", published, archive=archive)
    assert listing(tmp_path / "corpus") == ["etc/list"]
    fill_folder(tmp_path / "corpus", "README", published, archive=archive)
    assert listing(tmp_path / "corpus") == WHOLE


@pytest.mark.parametrize("check", [None, fails])
def test_another_corpus_leaves_nothing(archive: Path, tmp_path: Path, check: Callable[[Path], None] | None) -> None:
    marker = "wav" if check else "recordings"
    with serving(archive.parent) as address:
        published = PublishedArchive(f"{address}/words.tar.gz")
        with pytest.raises(SourceError, match="another corpus"):
            fill_folder(tmp_path / "corpus", marker, published, fetch=True, check=check)
    assert not (tmp_path / "corpus").exists()


def test_an_archive_of_something_else_leaves_no_folder(archive: Path, tmp_path: Path) -> None:
    published = PublishedArchive("https://host/words.tar.gz")
    with pytest.raises(SourceError, match="has no recordings"):
        fill_folder(tmp_path / "corpus", "recordings", published, archive=archive)
    assert not (tmp_path / "corpus").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(SourceError, match="has no recordings"):
        fill_folder(tmp_path / "mine", "recordings", published, archive=archive)
    assert (tmp_path / "mine").is_dir()


def test_an_archive_whose_checksum_was_right_is_kept_for_the_next_run(archive: Path, tmp_path: Path) -> None:
    with serving(archive.parent) as address:
        published = PublishedArchive(f"{address}/words.tar.gz", sha256_of(archive))
        with pytest.raises(SourceError, match="another corpus"):
            fill_folder(tmp_path / "corpus", "wav", published, fetch=True, check=fails)
    assert listing(tmp_path / "corpus") == ["words.tar.gz"]
    fill_folder(tmp_path / "corpus", "wav", published, fetch=True)
    assert listing(tmp_path / "corpus") == WHOLE


def test_an_archive_with_another_checksum_is_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected 00ff; download it again, or unpack it yourself"):
        fill_folder(tmp_path / "corpus", "wav", PublishedArchive("https://host/a", "00ff"), archive=archive)
    assert not (tmp_path / "corpus").exists()


def test_senseless_requests_are_refused(archive: Path, tmp_path: Path) -> None:
    published = PublishedArchive("https://host/words.tar.gz")
    with pytest.raises(OptionError, match="--download exclude each other"):
        fill_folder(tmp_path / "corpus", "wav", published, archive=archive, fetch=True)
    with pytest.raises(SourceError, match="no such file; give the archive from https://host"):
        fill_folder(tmp_path / "corpus", "wav", published, archive=tmp_path / "none.tar.gz")
