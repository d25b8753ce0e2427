"""Own recordings: takes cut at silence, refused with the reason, kept by word and session, and prepared at once."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import RATE, ROOT, Command, assert_refused, spoken
from seqaudio.audio import read_audio
from seqaudio.audio.live import LiveOptions, LiveSound
from seqaudio.audio.takes import MARGIN, Take, TakeCutter, TakeFolder
from seqaudio.ledger import read_ledger

CLICK = np.r_[np.full(100, 0.5), np.zeros(4000)]  # 12 ms


def quiet(seconds: float, seed: int = 0) -> np.ndarray:
    return 2e-4 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def stream(*sounds: np.ndarray, pause: float = 0.8) -> np.ndarray:
    """Sounds with quiet before, between and behind them."""
    parts = [quiet(pause)]
    for number, sound in enumerate(sounds, start=1):
        parts += [sound, quiet(pause, number)]
    return np.concatenate(parts).astype(np.float32)


def words(count: int, word: int = 0) -> list[np.ndarray]:
    return [spoken(word, 0, take) for take in range(count)]


def pcm(samples: np.ndarray) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, "PCM_16", format="RAW")
    return content.getvalue()


@pytest.fixture
def record(command: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `seqaudio record` with samples as raw PCM on stdin."""

    def run(samples: np.ndarray, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pcm(samples))))
        return command("seqaudio", "record", *arguments, "--rate", str(RATE), "-")

    return run


def rows(folder: Path) -> list[list[str]]:
    return [line.split("\t") for line in (folder / "takes.tsv").read_text(encoding="utf-8").splitlines()]


def test_takes_are_cut_at_silence_and_kept_by_word_and_session(record: Command, tmp_path: Path) -> None:
    spoken_words = [*words(2), *words(2, word=1)]
    out = tmp_path / "takes"
    done = record(stream(*spoken_words, pause=0.6), "--labels", "hey computer", "evet", "--count", "2", "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    names = [f"{label}/session01_take{take:02d}.wav" for label in ("hey computer", "evet") for take in (1, 2)]
    assert rows(out)[0] == ["file", "label", "session", "seconds", "level", "peak"]
    assert [row[:3] for row in rows(out)[1:]] == [[name, name.partition("/")[0], "1"] for name in names]
    for name, row, word in zip(names, rows(out)[1:], spoken_words, strict=True):
        assert soundfile.info(out / name).subtype == "PCM_16"
        take = read_audio(out / name)
        assert take.sample_rate == RATE
        assert len(take.samples) == pytest.approx(len(word) + 2 * MARGIN * RATE, abs=0.03 * RATE)
        start = int(np.correlate(take.samples, word, "valid").argmax())
        assert np.allclose(take.samples[start : start + len(word)], word, atol=1e-4), "the whole word is in the take"
        assert float(row[3]) == pytest.approx(take.seconds, abs=1e-3)
        assert float(row[5]) == pytest.approx(20 * np.log10(np.abs(take.samples).max()), abs=0.06)


def test_clipped_quiet_short_and_long_takes_are_refused_and_asked_for_again(record: Command, tmp_path: Path) -> None:
    word = spoken(0, 0, 0)
    sounds = [np.clip(5 * word, -1, 1), word, 0.01 * word, word[: RATE // 10], CLICK, np.tile(word, 40), word]
    done = record(stream(*sounds), "--labels", "evet", "--count", "2", "--out", tmp_path / "takes")
    assert done.returncode == 0, done.stderr
    told = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [line.partition(":")[0].partition(" at ")[0] for line in told] == [
        "refused",
        "kept evet/session01_take01.wav",
        *["refused"] * 3,
        "kept evet/session01_take02.wav",
    ], "a click is no take"
    reasons = [line.split(": ")[1] for line in told if line.startswith("refused")]
    assert reasons == ["clipped", "too quiet", "too short", "too long"]
    assert len(list((tmp_path / "takes").rglob("*.wav"))) == 2


def test_a_second_call_goes_on_with_the_next_session(record: Command, tmp_path: Path) -> None:
    out = tmp_path / "takes"
    before: dict[Path, bytes] = {}
    for session in (1, 2, 3):
        assert record(stream(*words(2)), "--labels", "evet", "--count", "2", "--out", out).returncode == 0
        files = {file: file.read_bytes() for file in out.rglob("*.wav")}
        assert len(files) == 2 * session
        assert before.items() <= files.items(), "nothing was replaced"
        before = files
    assert [row[2] for row in rows(out)[1:]] == ["1", "1", "2", "2", "3", "3"]
    for file in before:
        file.unlink()
    assert TakeFolder(out).session == 4, "the table knows the sessions too"
    (out / "takes.tsv").unlink()
    (out / "evet" / "session07_take01.wav").write_bytes(before.popitem()[1])
    assert TakeFolder(out).session == 8


def test_the_command_that_is_told_makes_a_store_with_sessions_kept_apart(
    record: Command, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "my takes"
    for session in range(4):
        sound = stream(*(spoken(word, session, take) for word in (0, 1) for take in range(4)), quiet(2))
        labels = ("--labels", "hey computer", "evet", "--count", "4", "--background", "2")
        done = record(sound, *labels, "--out", out)
        assert done.returncode == 0, done.stderr
        assert ("more session" in done.stdout) == (session < 3)
    *_, told = done.stdout.splitlines()
    assert told.startswith("next: seqaudio prepare audio_folder ")
    prepared = command("seqaudio", *shlex.split(told)[2:], folder=tmp_path)
    assert prepared.returncode == 0, prepared.stderr
    assert "drawn by speaker" in prepared.stdout
    assert "_background_noise_ left out" in prepared.stdout
    sessions: dict[str, set[str]] = {}
    for entry in read_ledger(tmp_path / "stores" / "my takes" / "ledger.tsv"):
        sessions.setdefault(entry.split, set()).add(Path(entry.path).name.partition("_")[0])
    assert sessions.keys() == {"train", "valid", "test"}
    assert set.union(*sessions.values()) == {f"session{number:02d}" for number in range(1, 5)}
    assert sum(map(len, sessions.values())) == 4, "each in one split"


def test_background_becomes_files_of_a_minute(record: Command, tmp_path: Path) -> None:
    done = record(quiet(75), "--background", "70", "--out", tmp_path / "takes")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "takes" / "_background_noise_"
    lengths = {file.name: soundfile.info(file).duration for file in folder.iterdir()}
    assert lengths == {"session01_part01.wav": 60.0, "session01_part02.wav": 10.0}
    assert TakeFolder(tmp_path / "takes").session == 2


def test_where_the_sound_ends_early_what_was_kept_stays(record: Command, tmp_path: Path) -> None:
    out = tmp_path / "takes"
    done = record(stream(*words(2), 0.01 * spoken(0, 0, 0)), "--labels", "evet", "--count", "5", "--out", out)
    assert_refused(done, "2 of 5 takes of 'evet'", "1 more were refused", f"2 takes are kept in {out}")
    assert len(rows(out)) == 3
    assert_refused(record(quiet(3), "--background", "10", "--out", out), "3.0 of 10 s of background")
    done = record(quiet(3), "--labels", "evet", "--width", "24", "--out", out)
    assert_refused(done, "0 of 30", "if 8,000 Hz, 24 bits, 1 channel is wrong, give --rate, --width and --channels")


def test_a_long_recording_is_a_source_too(command: Command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.flac", stream(*words(3)), RATE)
    done = command(
        "seqaudio", "record", tmp_path / "long.flac", "--labels", "evet", "--count", "3", "--out", tmp_path / "t"
    )
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "t")) == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing to record"),
        (("--labels", "a/b"), "has a slash"),
        (("--labels", ".hidden"), "cannot be the name of a folder"),
        (("--labels", "_background_noise_"), "cannot be the name of a folder"),
        (("--labels", "yes", "yes"), "is given twice"),
        (("--labels", "yes", "--stdin", "x.wav"), "exclude each other"),
        (("--labels", "yes", "--microphone", "1", "--stdin"), "exclude each other"),
        (("--labels", "yes", "--pause", "0"), "--pause 0.0, expected 0.1 to 10"),
        (("--labels", "yes"), "pip install sounddevice"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_leaves_nothing(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert_refused(command("seqaudio", "record", *arguments, "--out", tmp_path / "takes"), told)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_table_is_not_replaced(record: Command, tmp_path: Path) -> None:
    (tmp_path / "takes.tsv").write_text("my\town\ttable\n")
    assert_refused(record(stream(*words(1)), "--labels", "evet", "--out", tmp_path), "takes.tsv", "move it elsewhere")
    assert (tmp_path / "takes.tsv").read_text() == "my\town\ttable\n"


# --- somebody who waits ---


def test_a_speaker_is_asked_for_each_take_and_told_when_nothing_is_heard(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def blocks() -> Iterator[np.ndarray]:
        samples = np.concatenate([quiet(9), stream(*words(2))]).astype(np.float32)
        yield from np.array_split(samples, len(samples) // 800)
        raise KeyboardInterrupt

    def open_live(source: Path | None, options: LiveOptions, command: str) -> LiveSound:
        return LiveSound("microphone 1", RATE, blocks(), [], waits=True)

    monkeypatch.setattr("seqaudio.cli.record.open_live", open_live)
    done = command("seqaudio", "record", "--labels", "evet", "--count", "3", "--out", tmp_path / "takes")
    lines = [line.partition(":")[0] for line in done.stdout.splitlines()[2:]]
    kept = [f"  kept evet/session01_take0{number}.wav" for number in (1, 2)]
    assert lines == ["take 1 of 3", "  refused", "take 1 of 3", kept[0], "take 2 of 3", kept[1], "take 3 of 3"]
    assert "empty" in done.stdout
    assert done.returncode == 130
    assert done.stderr == (
        f"interrupted 2 takes of session 1 are kept in {tmp_path / 'takes'}; the same command begins another session\n"
    )
    assert len(rows(tmp_path / "takes")) == 3


def test_a_terminal_shows_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqaudio.cli.record import _Meter

    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", shown)
    meter = _Meter()
    for level in (0.0, 0.001, 0.0316, 1.0):
        meter.show(np.full(10, level, dtype=np.float32))
    assert [bar.count("#") for bar in shown.getvalue().split("\r")[1:]] == [0, 0, 15, 30]


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_kill_leaves_what_was_kept(tmp_path: Path, number: int, status: int) -> None:
    out = tmp_path / "takes"
    options = ("--labels", "evet", "--count", "9", "--rate", str(RATE), "--out", str(out), "-")
    program = [sys.executable, "-m", "seqaudio.cli.main", "record", *options]
    with subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(pcm(stream(*words(2))))
        process.stdin.flush()
        while b"take02" not in process.stdout.readline():
            pass
        process.send_signal(number)
        assert process.wait(timeout=60) == status
    assert len(rows(out)) == 3
    assert all(len(read_audio(out / row[0]).samples) for row in rows(out)[1:])
    folder = TakeFolder(out)
    assert folder.session == 2


def test_a_take_whose_row_a_kill_prevented_is_listed_by_the_next_session(record: Command, tmp_path: Path) -> None:
    assert record(stream(*words(2)), "--labels", "evet", "--count", "2", "--out", tmp_path / "t").returncode == 0
    whole = rows(tmp_path / "t")
    (tmp_path / "t" / "takes.tsv").write_text("\n".join("\t".join(row) for row in whole[:2]) + "\n", encoding="utf-8")
    done = record(stream(*words(1)), "--labels", "evet", "--count", "1", "--out", tmp_path / "t")
    assert "1 takes of a session that was killed are now in the table" in done.stdout
    assert rows(tmp_path / "t")[:3] == whole


# --- the cutter ---


def cut(samples: np.ndarray, sizes: list[int]) -> list[Take]:
    cutter, found, place, turn = TakeCutter(RATE), list[Take](), 0, 0
    while place < len(samples):
        size = sizes[turn % len(sizes)]
        found += cutter.push(samples[place : place + size])
        place, turn = place + size, turn + 1
    assert cutter.seconds == pytest.approx(len(samples) / RATE)
    return [*found, *cutter.finish()]


SOUND = stream(*words(3), CLICK, *words(1, word=2))


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=4))
def test_takes_do_not_depend_on_the_blocks(sizes: list[int]) -> None:
    whole, pieces = cut(SOUND, [len(SOUND)]), cut(SOUND, sizes)
    assert len(whole) == 4
    assert [take.start for take in whole] == [take.start for take in pieces]
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(whole, pieces, strict=True))


@pytest.mark.parametrize("decibels", [-120.0, -70.0, -50.0, -40.0])
def test_takes_are_found_above_any_steady_background(decibels: float) -> None:
    noise = 10 ** (decibels / 20) * np.random.default_rng(3).standard_normal(20 * RATE)
    places = [RATE * second for second in (0, 4, 9, 15)]  # from the first sample on
    for number, place in enumerate(places):
        word = spoken(number % 3, 0, number)
        noise[place : place + len(word)] += word
    found = cut(noise.astype(np.float32), [800])
    assert [take.start for take in found] == pytest.approx([place / RATE for place in places], abs=0.05)
    assert not any(take.fault() for take in found)


def test_nothing_is_cut_out_of_steady_noise_or_silence() -> None:
    draw = np.random.default_rng(4)
    for samples in (np.zeros(20 * RATE), draw.normal(0, 0.1, 20 * RATE), draw.normal(0, 1e-5, 20 * RATE)):
        assert cut(samples.astype(np.float32), [800]) == []
