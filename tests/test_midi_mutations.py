"""Thousands of damaged MIDI files, as a preparation meets them: each is read or refused, the good ones arrive."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fragile_parser import fragile_guard
from mutated_midi import made_files, mutate

from conftest import ROOT, Command, assert_refused
from seqaudio.api import composing
from seqaudio.cli import generate, info, render
from seqaudio.errors import MidiError
from seqaudio.midi.reading import read_many, read_midi, read_songs

SECONDS, MEBIBYTES = 2.0, 500  # that no file may cost


def prepared(tmp_path: Path, count: int, timeout: float, *source: Path) -> dict[str, Any]:
    """What the preparation of so many damaged files reports; nothing but that may be printed."""
    arguments = (ROOT / "tests" / "mutated_midi.py", tmp_path / "in", count, tmp_path / "out", *source)
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    print(report)
    assert report["entries"] == count + report["good"]
    return report


def assert_well(report: dict[str, Any]) -> None:
    assert report["lost"] == report["unexplained"] == []
    assert report["longest_seconds"] < SECONDS
    assert report["megabytes"] < MEBIBYTES
    assert report["megabytes_of_children"]
    assert max(report["megabytes_of_children"]) < MEBIBYTES
    assert {"damaged", "truncated", "not_midi"} <= report["reasons"].keys()
    assert report["kept"] > report["good"]


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
def test_hundreds_of_damaged_files_harm_nothing(tmp_path: Path) -> None:
    assert_well(prepared(tmp_path, 300, 120))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory by /proc")
def test_ten_thousand_damaged_files_harm_nothing(tmp_path: Path, data_folder: Path) -> None:
    assert_well(prepared(tmp_path, 10_000, 1200, data_folder / "music"))


def test_damaged_files_give_the_same_alone_and_among_others() -> None:
    good = made_files()
    files = [mutate(good, seed) for seed in range(60)]
    for source, found in zip(files, read_many(files), strict=True):
        try:
            assert read_songs(source) == found
        except MidiError as error:
            assert isinstance(found, MidiError)
            assert (error.reason, error.detail) == (found.reason, found.detail)


def test_every_made_file_is_read_whole() -> None:
    plain, crowd, wrapped, songs, smpte, _ = made_files()
    assert len(read_midi(plain)) == len(read_midi(wrapped)) == len(read_midi(smpte)) == 7
    assert len(read_midi(crowd)) == 400
    assert [len(song) for song in read_songs(songs)] == [4, 2, 1]


def test_commands_refuse_a_damaged_file_in_one_line(command: Command, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.mid"
    damaged.write_bytes(made_files()[0][:50])
    assert_refused(command("seqaudio", "info", damaged), "truncated")
    assert_refused(command("seqaudio", "render", damaged, "--png", tmp_path / "x.png"), "truncated")
    assert not (tmp_path / "x.png").exists()


def test_what_kills_the_parser_kills_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`info`, `render` and the primer of `generate` read through the guard that preparations have."""
    guard = fragile_guard(tmp_path)
    monkeypatch.setattr("seqaudio.midi.guard.the_parser", lambda megabytes: guard)
    lethal = tmp_path / "lethal.mid"
    lethal.write_bytes(b"what kills")
    readers = (
        lambda path: list(info.describe(path)),
        lambda path: render.main(render.Config(path, png=tmp_path / f"{path.stem}.png")),
        lambda path: composing.read_primer(generate.Config(tmp_path, tmp_path / "out.mid", primer=path)),
    )
    good = tmp_path / "good.mid"
    good.write_bytes(made_files()[0])
    for read in readers:
        with pytest.raises(MidiError, match="parser_crashed"):
            read(lethal)
        read(good)
    guard.close()
    assert "good.png: piano roll" in capsys.readouterr().out


def test_a_primer_without_end_is_refused_before_it_is_encoded(tmp_path: Path) -> None:
    """A short file that tells of a note after 2^28 quarters would make a grid of gigabytes."""
    far = tmp_path / "far.mid"
    events = bytes.fromhex("ff ff ff 7f 90 3c 50  01 80 3c 00  00 ff 2f 00")
    far.write_bytes(b"MThd" + struct.pack(">IHHH", 6, 1, 1, 1) + b"MTrk" + struct.pack(">I", len(events)) + events)
    config = generate.Config(tmp_path, tmp_path / "out.mid", primer=far)
    with pytest.raises(MidiError, match=r"far\.mid: too_long: .* at most 240 are taken"):
        composing.read_primer(config)
