"""Names and places of recordings that real disks hold: accents taken apart, deep folders, links, closed doors."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import Path

import pytest
import soundfile

from conftest import RATE, Command, spoken
from seqaudio.features import FeatureSettings
from seqaudio.ledger import LedgerEntry, Reason, Status, read_ledger
from seqaudio.prepare.engine import Item, build_store
from seqaudio.prepare.speech.recordings import ExtractFeatures, speech_description
from seqaudio.store import Store

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and such names are of POSIX")


def write(path: Path, take: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        soundfile.write(file, spoken(0, 0, take), RATE, format="FLAC" if path.suffix == ".flac" else "WAV")
    return path


def prepare(tmp_path: Path, *paths: Path, workers: int = 1) -> dict[str, LedgerEntry]:
    """The ledger of a store of these recordings, and of one good one."""
    settings = FeatureSettings(sample_rate=RATE)
    good = write(tmp_path / "good.wav", take=99)
    items = [Item(path.name, path, f"row {n}", "train", label="yes") for n, path in enumerate((good, *paths))]
    build_store(tmp_path / "out", items, ExtractFeatures(settings), speech_description(settings), workers=workers)
    entries = {entry.path: entry for entry in read_ledger(tmp_path / "out" / "ledger.tsv")}
    assert entries["good.wav"].status is Status.KEPT
    return entries


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
@pytest.mark.parametrize("name", ["été", "日本語", "a\nb", " spaces ", "per%cent", "-dash", "tab\tbed", "🎵"])
def test_any_name_is_read_and_kept_in_the_ledger(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / "in" / f"{unicodedata.normalize('NFD', name)}{suffix}"
    if suffix == ".mp3":
        path.parent.mkdir()
        with path.open("wb") as file:
            soundfile.write(file, spoken(0, 0, 0), RATE, format="MP3")
    else:
        write(path)
    assert prepare(tmp_path, path)[path.name].status is Status.KEPT


def test_a_name_that_is_no_utf8_is_kept_in_the_ledger(tmp_path: Path) -> None:
    path = write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/caf\xe9.wav")))
    assert prepare(tmp_path, path, workers=2)[path.name].status is Status.KEPT


def test_deep_folders_are_read(tmp_path: Path) -> None:
    path = write(tmp_path.joinpath(*["a folder of quite some length"] * 60) / "a.wav")
    assert len(str(path)) > 1700
    assert prepare(tmp_path, path)["a.wav"].status is Status.KEPT


def test_links_to_files_are_read_and_links_to_nothing_named(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.wav")
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "good link.wav").symlink_to(tmp_path / "in" / "a.wav")
    (folder / "dangling.wav").symlink_to(tmp_path / "nowhere.wav")
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    (folder / "folder.wav").symlink_to(folder)
    entries = prepare(tmp_path, *sorted(folder.iterdir()))
    assert {name: entry.reason for name, entry in entries.items()} == {
        "good.wav": Reason.NONE,
        "good link.wav": Reason.NONE,
        "dangling.wav": Reason.MISSING,
        "loop.wav": Reason.UNREADABLE,
        "folder.wav": Reason.UNREADABLE,
    }


@pytest.mark.timeout(30)
def test_pipes_and_devices_do_not_hold_the_preparation_up(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    os.mkfifo(folder / "pipe.wav")
    (folder / "device.wav").symlink_to("/dev/zero")
    entries = prepare(tmp_path, folder / "pipe.wav", folder / "device.wav")
    assert entries["pipe.wav"].reason is entries["device.wav"].reason is Reason.UNREADABLE
    assert entries["pipe.wav"].detail == "is a folder, a pipe or a device, expected a file"


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="this user may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "in" / "a.wav")
    path.chmod(0)
    assert prepare(tmp_path, path)["a.wav"].reason is Reason.UNREADABLE


def test_a_file_that_the_system_refuses_to_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "in" / "a.wav")

    def refuse(place: Path) -> str:
        if place == path:
            raise PermissionError(13, "Permission denied")
        return "0" * 64

    monkeypatch.setattr("seqaudio.prepare.engine.chunks.SMALL", -1)
    monkeypatch.setattr("seqaudio.prepare.engine.chunks.sha256_of", refuse)
    entry = prepare(tmp_path, path)["a.wav"]
    assert (entry.reason, entry.detail) == (Reason.UNREADABLE, "Permission denied")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are no UTF-8")
def test_a_script_takes_a_folder_of_them_all(tmp_path: Path, command: Command) -> None:
    folder = tmp_path / "in"
    write(folder / unicodedata.normalize("NFD", "été") / "a.wav", 1)
    write(folder / unicodedata.normalize("NFC", "été") / "b.wav", 2)
    write(Path(os.fsdecode(os.fsencode(folder) + b"/\xff/c.wav")), 3)
    write(folder.joinpath("deep", *["folder"] * 40) / "d.wav", 4)
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "deep" / "dangling.wav").symlink_to(tmp_path / "nowhere")
    (folder / "deep" / "circle.wav").symlink_to(folder / "deep" / "circle.wav")
    options = ("--sample-rate", str(RATE), "--valid-percent", "0", "--test-percent", "0")
    done = command("data_prep/audio_folder.py", "--source", folder, "--out", tmp_path / "out", *options)
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "out")
    assert store.counts["train"].labels == {"%FF": 1, "deep": 1, "été": 2}
    refused = [entry for entry in read_ledger(store.path / "ledger.tsv") if entry.status is Status.REFUSED]
    assert {entry.path: entry.reason for entry in refused} == {
        "deep/dangling.wav": Reason.MISSING,
        "deep/circle.wav": Reason.UNREADABLE,
    }
