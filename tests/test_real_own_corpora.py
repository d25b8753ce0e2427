"""Corpora of one's own, as somebody with a phone or some tunes has them: nothing is taken for what it is not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import Command, spoken
from made_up_speech import RATE, prepare, refused, script, write_word
from seqaudio.api import composing
from seqaudio.checking import check_store
from seqaudio.cli import generate
from seqaudio.errors import OptionError
from seqaudio.prepare.corpora.layout import FolderOrder, Layout
from seqaudio.tokens.loss import Loss

audio_folder = script("audio_folder")
VOICES, WORDS = ("ada", "ben", "cem", "deniz"), ("no", "yes")

# --- folders of speakers ---


@pytest.mark.parametrize(
    ("folders", "order", "labels", "speakers", "splits"),
    [
        (["yes/ada", "yes/ben", "no/ada"], "label/speaker", "no yes", "ada ben", ""),
        (["ada/yes", "ben/yes", "ada/no"], "speaker/label", "no yes", "ada ben", ""),
        (["train/ada/yes", "test/ben/no"], "speaker/label", "no yes", "ada ben", "test train"),
        (["ada/train/yes", "ada/test/no", "ben/train/no"], "speaker/label", "no yes", "ada ben", "test train"),
        (["yes", "no/ada"], "label/speaker", "no yes", "ada", ""),
        (["takes/ada/yes", "takes/ben/no"], "speaker/label", "no yes", "ada ben", ""),
        (["yes/ada", "no/ben"], "label", "no yes", "", ""),
        (["ada/monday", "ben"], "speaker", "", "ada ben", ""),
        (["train/ada", "test/ben"], "speaker", "", "ada ben", "test train"),
    ],
)
def test_folders_name_speakers(folders: list[str], order: FolderOrder, labels: str, speakers: str, splits: str) -> None:
    places = Layout([folder.split("/") for folder in folders], order).places
    assert sorted({place.label for place in places} - {""}) == labels.split()
    assert sorted({place.speaker for place in places} - {""}) == speakers.split()
    assert sorted({place.split for place in places} - {""}) == splits.split()


def test_folders_within_those_of_the_labels_are_told() -> None:
    unused = Layout([["ada", "yes"], ["ada", "no"], ["ben", "yes"]]).description()
    assert unused[0] == "2 labels by folders"
    assert "not used: no/ (1 recording), yes/ (2 recordings)" in unused[1]
    assert "--folders speaker/label" in unused[1]
    assert Layout([["ada", "yes"], ["ben", "no"]], "speaker/label").description() == [
        "2 labels by folders; 2 speakers by folders"
    ]
    assert Layout([["ada"], ["ben"]], "speaker").description() == ["2 speakers by folders"]
    assert Layout([["train", "ada"], ["test", "ben", "old"]], "speaker").description() == [
        "2 speakers in 2 splits by folders: train, test",
        "folders within those of the speakers are not used: old/ (1 recording)",
    ]
    _, deeper = Layout([["ada", "yes", "old"], ["ben", "no"]], "speaker/label").description()
    assert "old/ (1 recording)" in deeper
    assert "--folders" not in deeper


def test_voices_of_folders_are_kept_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, voice in enumerate(VOICES):
        for word in WORDS:
            for take in range(3):
                name = "Recording.wav" if not take else f"Recording ({take + 1}).wav"
                write_word(tmp_path / "in" / voice / word / name, take=10 * number + take)
    store = prepare(audio_folder, tmp_path / "in", tmp_path / "out", folders="speaker/label")
    assert store.names.names == WORDS
    assert "drawn by speaker" in capsys.readouterr().out
    voices = {split: set(store[split].column("speaker")) for split in store.counts}
    assert set().union(*voices.values()) == set(VOICES)
    assert sum(map(len, voices.values())) == len(VOICES)
    unknown = prepare(audio_folder, tmp_path / "in", tmp_path / "unknown", limit=12)
    (finding,) = (finding for finding in check_store(unknown).findings if finding.subject == "speakers")
    assert "--folders" in finding.verdict


@pytest.mark.parametrize("other", ["pattern", "table"])
def test_folders_of_speakers_beside_another_source_of_them(command: Command, tmp_path: Path, other: str) -> None:
    write_word(tmp_path / "yes" / "ada" / "a.wav")
    (tmp_path / "table.csv").write_text("path,label\nyes/ada/a.wav,yes\n")
    more = ("--speaker-pattern", "(.)") if other == "pattern" else ("--table", tmp_path / "table.csv")
    options = ("--source", tmp_path, "--out", tmp_path / "out", "--sample-rate", str(RATE))
    done = command("data_prep/audio_folder.py", *options, "--folders", "label/speaker", *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --folders label/speaker ")


# --- sentences: recordings with their texts ---


def test_speakers_with_the_texts_of_their_recordings_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, voice in enumerate(VOICES):
        for take in range(3):
            name = write_word(tmp_path / "in" / voice / "monday" / f"{take}.wav", number, take=take)
            name.with_suffix(".txt").write_text(f"{voice} \n said {take}\n")
    (tmp_path / "in" / "ada" / "monday" / "0.txt").write_text("\n")  # an empty text
    store = prepare(audio_folder, tmp_path / "in", tmp_path / "out", folders="speaker")
    told = capsys.readouterr().out
    assert "4 speakers by folders" in told
    assert "drawn by speaker, 2 for train, 1 for valid, 1 for test" in told
    assert list(refused(store)) == ["ada/monday/0.wav"]
    assert not any(count.labels for count in store.counts.values())
    for split in store.counts:
        rows = store[split]
        assert [text.split()[0] for text in rows.column("text")] == list(rows.column("speaker"))
    prepare(audio_folder, tmp_path / "in", tmp_path / "labels")
    assert "where the folders are those of speakers, give --folders speaker" in capsys.readouterr().out


def test_segments_of_recordings_have_their_texts_and_lengths(tmp_path: Path) -> None:
    rows = []
    for number, voice in enumerate(VOICES):
        takes = [spoken(word, number, 10 * number + word) for word in range(3)]
        soundfile.write(tmp_path / f"{voice}.flac", np.concatenate(takes), RATE)
        ends = np.cumsum([len(samples) for samples in takes]) / RATE
        rows += [
            f"{voice}.flac\t{start:.4f}\t{end:.4f}\t{voice}\tword {number}"
            for number, (start, end) in enumerate(zip((0.0, *ends[:-1]), ends, strict=True))
        ]
    (tmp_path / "s.segments.tsv").write_text("\n".join(["file\tstart\tend\tspeaker\ttext", *rows]) + "\n")
    store = prepare(audio_folder, tmp_path / "s.segments.tsv", tmp_path / "out", keep="samples")
    expected = {}
    for row in rows:
        _, start, end, voice, text = row.split("\t")
        expected[voice, text] = float(end) - float(start)
    found = {}
    voices: list[str] = []
    for split in store.counts:
        held = store[split]
        columns = (held.column(name) for name in ("speaker", "text", "duration"))
        found |= {(voice, text): seconds for voice, text, seconds in zip(*columns, strict=True)}
        voices += sorted(set(held.column("speaker")))
    assert found == pytest.approx(expected, abs=1 / RATE)
    assert sorted(voices) == sorted(VOICES), "each speaker is in one split"


# --- recordings that cannot be read ---


def test_what_was_refused_is_told_with_what_to_do(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqaudio.audio.guard.find_spec", lambda name: None)
    for take in range(4):
        write_word(tmp_path / "in" / "yes" / f"Voice {take:03d}.wav", take=take)
    write_word(tmp_path / "in" / "no" / "cut.wav").write_bytes(b"RIFF")
    for take in range(2):
        phone = tmp_path / "in" / "no" / f"Recording ({take + 2}).m4a"
        phone.write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + bytes(64))
    options = ("--source", tmp_path / "in", "--out", tmp_path / "out", "--sample-rate", str(RATE))
    done = command("data_prep/audio_folder.py", *options)
    assert done.returncode == 0
    assert "inputs: 4 kept, 3 refused (2 needs_extra" in done.stdout
    assert "    refused, such as no/Recording (2).m4a: is MP4 (M4A); to read it: pip install " in done.stdout
    assert "warning: no label no, as all its recordings were refused; see " in done.stderr


# --- tunes ---


class Fixed:
    """A representation under which every piece has the same number of tokens."""

    name = "fixed"

    def __init__(self, count: int) -> None:
        self.count = count

    def encode(self, notes: object) -> np.ndarray:
        return np.full(self.count, 5)


def test_a_primer_without_room_names_options_that_give_room() -> None:
    config = generate.Config(Path("run"), Path("x.mid"), primer=Path("long.mid"), max_events=1000)
    with pytest.raises(OptionError) as caught:
        composing.encode_primer(Fixed(1287), object(), config)  # type: ignore[arg-type]
    options = re.findall(r"--[a-z-]+", str(caught.value))
    assert options == ["--primer", "--max-events", "--primer-events"]
    assert "its 1,287 tokens leave no room within --max-events 1,000" in str(caught.value)
    for given in (
        generate.Config(Path("run"), Path("x.mid"), primer=Path("long.mid")),
        generate.Config(Path("run"), Path("x.mid"), primer=Path("long.mid"), max_events=1288),
    ):
        assert len(composing.encode_primer(Fixed(1287), object(), given)) == 1287  # type: ignore[arg-type]


def test_distances_too_small_for_their_digits() -> None:
    tiny = Loss(notes=9, kept=9, moved=2, furthest=0.0002, unit="quarters").remarks("performance", "")
    assert tiny == ["2 of 9 notes were moved by less than 0.001 quarters at most"]
    seen = Loss(notes=9, kept=9, moved=2, furthest=0.0123, unit="seconds").remarks("performance", "")
    assert seen == ["2 of 9 notes were moved by 0.012 seconds at most"]
