"""Odd moments and inputs: a full disk, Ctrl-C while workers start, a removed folder, tables and headers half right."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import RATE, ROOT, Command, assert_refused, spoken
from seqaudio.audio import read_audio
from seqaudio.errors import SourceError
from seqaudio.files import write_bytes
from seqaudio.locks import locked
from seqaudio.prepare.corpora.drawn_splits import fill_splits
from seqaudio.prepare.corpora.tables import read_table
from seqaudio.prepare.engine import Item
from seqaudio.terminal import few

ROWS = ("a.wav,one", "b.wav,two")
INTERRUPTED = """
import os, signal, sys, time
from seqaudio.prepare.engine.pool import own_workers
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
    try:
        with own_workers(2) as pool:
            for _ in range(2):
                pool.submit(time.sleep, 60)
            time.sleep(float(sys.argv[1]))
            os.killpg(0, signal.SIGINT)
            time.sleep(60)
    except KeyboardInterrupt:
        print("ended")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are Unix only")
@pytest.mark.parametrize("seconds", [0.05, 0.4])
def test_ctrl_c_while_workers_start_is_taken_without_a_traceback(tmp_path: Path, seconds: float) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    done = subprocess.run(
        [sys.executable, script, str(seconds)], capture_output=True, text=True, timeout=50, start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("ended\n", "")


def test_a_full_disk_is_told_with_the_lock_and_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("seqaudio.locks.os.write", full)
    with (
        pytest.raises(OSError, match=r"No space left on device: .*out\.lock") as error,
        locked(tmp_path / "out.lock", "store", tmp_path / "out"),
    ):
        pass
    assert error.value.filename == str(tmp_path / "out.lock")
    assert not any(tmp_path.iterdir())


def test_a_file_that_could_not_be_written_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "kept").write_bytes(b"before")
    monkeypatch.setattr("seqaudio.files.sync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "kept", b"after")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("kept", b"before")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that is in use")
def test_a_current_folder_that_was_removed_is_named(tmp_path: Path) -> None:
    script = (
        f"import os; os.rmdir(os.getcwd()); os.execv({sys.executable!r}, ['python', '-m', 'seqaudio.cli.main', 'info'])"
    )
    (tmp_path / "gone").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "gone", capture_output=True, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert_refused(done, "current folder was removed")


def test_help_on_a_terminal_of_a_few_columns_has_an_end(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "5")
    done = command("seqaudio", "render", "--help", folder=tmp_path)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) >= 40
    assert os.environ["COLUMNS"] == "5"


def test_rows_without_a_speaker_count_as_no_speakers() -> None:
    items = [
        Item(f"{label}{number}", Path(f"{label}{number}.wav"), f"{label}{number}", label=label, speaker=speaker)
        for label in ("one", "two")
        for number, speaker in enumerate(["a", "b", "c", "d", "e", "f"] * 4 + [""] * 8)
    ]
    how = fill_splits(items, 10, 10).how
    dealt = how.partition("by speaker, ")[2].partition(";")[0]
    assert sum(int(word) for word in dealt.split() if word.isdigit()) == 6
    assert "16 without a speaker" in how


def test_a_label_with_a_line_break_stays_in_its_line() -> None:
    items = [Item(str(n), Path(f"{n}.wav"), str(n), label=label) for n, label in enumerate(["one"] * 9 + ["t\nwo"])]
    how = fill_splits(items, 10, 10).how
    assert "\n" not in how
    assert "t\\nwo" in how


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
def test_a_tsv_without_tabs_is_cut_where_its_names_are(tmp_path: Path, delimiter: str) -> None:
    table = tmp_path / "words.tsv"
    table.write_text("\n".join(["path,label", *ROWS]).replace(",", delimiter) + "\n")
    assert read_table(table) == [{"path": "a.wav", "label": "one"}, {"path": "b.wav", "label": "two"}]


def test_a_tsv_with_tabs_keeps_its_commas(tmp_path: Path) -> None:
    table = tmp_path / "words.tsv"
    table.write_text("path\tlabel,or,text\na.wav\tone, two\n")
    assert read_table(table) == [{"path": "a.wav", "label,or,text": "one, two"}]


def test_nan_in_a_json_table_is_no_label(tmp_path: Path) -> None:
    table = tmp_path / "words.json"
    table.write_text('[{"path": "a.wav", "label": NaN}, {"path": "b.wav", "label": "two"}]')
    assert [row["label"] for row in read_table(table)] == ["", "two"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("<!DOCTYPE html><html><body>\nsign in\n</body></html>", "a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a pointer of Git LFS"),
    ],
)
def test_what_a_download_left_in_place_of_a_table_is_named(tmp_path: Path, content: str, what: str) -> None:
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(SourceError, match=what):
        read_table(tmp_path / "table.csv")


def test_a_table_of_a_thousand_columns_is_refused_in_a_short_line(tmp_path: Path, command: Command) -> None:
    (tmp_path / "map.json").write_text("{" + ", ".join(f'"{n}.wav": "one"' for n in range(1000)) + "}")
    done = command("seqaudio", "prepare", "audio_folder", "--source", "map.json", "--out", "o", folder=tmp_path)
    assert_refused(done, "--path-column", "and 980 more")
    assert len(done.stderr) < 1000


def test_few_names_are_shown_safely_and_in_short() -> None:
    assert few(["a\n", "b", "c"], 2) == "a\\n, b and 1 more"
    assert few([], 2) == ""
    assert len(few(["x" * 100_000], 1)) < 2000


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_sound_behind_a_header_that_was_written_midway_is_told(tmp_path: Path, subtype: str) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, np.tile(spoken(0, 0, 0), 5), RATE, subtype=subtype)
    content = bytearray(file.read_bytes())
    place = content.index(b"data") + 4
    content[4:8] = (place - 4 + 2400).to_bytes(4, "little")
    content[place : place + 4] = (2400).to_bytes(4, "little")
    file.write_bytes(content)
    recording = read_audio(file)
    assert f"{len(content) - place - 4 - 2400:,} bytes behind the sound" in recording.remark
    assert len(recording.samples) == 2400 // {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), b"LIST\x88\x13\0\0" + bytes(5000)])
def test_tags_and_chunks_behind_the_sound_are_no_loss(tmp_path: Path, tail: bytes) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, spoken(0, 0, 0), RATE)
    whole = read_audio(file)
    file.write_bytes(file.read_bytes() + tail)
    tagged = read_audio(file)
    assert tagged.remark == ""
    np.testing.assert_array_equal(tagged.samples, whole.samples)
