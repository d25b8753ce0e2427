"""The scorecard: tracks, exact counts of a detector of known scores, runs, the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from conftest import Command, assert_refused
from legibility import assert_legible
from seqaudio.augmentation.acoustics import active_part, band_limit, level
from seqaudio.decoding.spotting import Spotting, keep_spotting, spotting_of
from seqaudio.errors import OptionError, SourceError
from seqaudio.evaluation.alarms import material
from seqaudio.evaluation.alarms.card import CHOSEN, GIVEN, OWN, Card, Material, described, score
from seqaudio.evaluation.alarms.detectors import PROBABILITY, SpotterDetector, record
from seqaudio.evaluation.alarms.drawing import card_figure
from seqaudio.evaluation.alarms.material import RATE, Clip, Reader
from seqaudio.evaluation.alarms.track import BackgroundTrack, WordTrack
from seqaudio.evaluation.intervals import poisson
from seqaudio.evaluation.ratios import CLEAN
from seqaudio.features import feature_settings
from seqaudio.models import build_model
from seqaudio.run_folder import RunFolder
from seqaudio.vocabulary import Vocabulary

TONE = 3000.0  # hertz; the word of these tests

# --- tracks ---


def burst(seconds: float, rate: int = RATE, gain: float = 0.3) -> np.ndarray:
    return (gain * np.sin(2 * np.pi * TONE * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def hiss(seconds: float, seed: int, gain: float = 0.03) -> np.ndarray:
    return (gain * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


@dataclass(frozen=True)
class Folders:
    """Clips of a tone that is the word, one of them at 8 kHz; background, with 6 such tones in all."""

    words: Path
    background: Path
    near: Path
    table: Path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    root = tmp_path_factory.mktemp("alarms")
    found = Folders(root / "words", root / "background", root / "near", root / "words.tsv")
    for folder in (found.words, found.background, found.near):
        folder.mkdir()
    lines = ["file\tsplit\tword_start\tword_end"]
    for number in range(6):
        rate = 8000 if number == 5 else RATE
        quiet = np.zeros(rate // 2, dtype=np.float32)
        soundfile.write(found.words / f"w{number}.wav", np.concatenate([quiet, burst(0.4, rate, 0.1), quiet]), rate)
        lines.append(f"words/w{number}.wav\t{'test' if number % 2 else 'train'}\t0.5\t0.9")
    found.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for number in range(6):
        samples = hiss(6, number)
        samples[RATE * 3 :][: RATE // 2] += burst(0.5)
        soundfile.write(found.background / f"b{number}.wav", samples, RATE, subtype="FLOAT")
    soundfile.write(found.near / "n0.wav", hiss(1, 9), RATE)
    soundfile.write(found.near / "n1.wav", burst(0.5), RATE)
    return found


def samples_of(made: WordTrack | BackgroundTrack) -> np.ndarray:
    return np.concatenate(list(made))


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@pytest.mark.parametrize("snr", [CLEAN, 10.0])
def test_equal_seeds_give_equal_tracks(folders: Folders, snr: float) -> None:
    clips, sounds = material.clips_of(folders.words, {}), files_of(folders.background)
    made = [WordTrack(clips, sounds, snr, Reader(), seed) for seed in (4, 4, 5)]
    one, same, other = (samples_of(each) for each in made)
    assert np.array_equal(one, same)
    assert made[0].places == made[1].places
    assert len(one) != len(other) or not np.array_equal(one, other)
    assert sorted(place.clip.file for place in made[0].places) == files_of(folders.words), "each once"
    ordered = sorted(made[0].places, key=lambda place: place.start)
    assert all(b.start - a.end > 1.0 for a, b in pairwise(ordered)), "no hit is another word's"


@pytest.mark.parametrize("snr", [20.0, 5.0, 0.0])
def test_words_lie_above_the_background_by_the_ratio(folders: Folders, snr: float) -> None:
    clips = material.clips_of(folders.table, {"split": "train"})
    made = WordTrack(clips, [folders.near / "n0.wav"], snr, Reader(), seed=1)
    samples = samples_of(made)
    assert len(made.places) == 3
    for place in made.places:
        spoken = Reader().read(place.clip.file)[RATE // 2 :][: round(0.4 * RATE)]
        under = samples[round(place.start * RATE) :][: len(spoken)] - spoken
        active = active_part(spoken)
        assert level(spoken[active]) - level(under[active]) == pytest.approx(snr, abs=0.05)


def test_a_word_without_times_is_where_the_clip_sounds(folders: Folders) -> None:
    for file in files_of(folders.words):
        word = Reader().word(Clip(file))
        assert (word.first / RATE, word.end / RATE) == pytest.approx((0.5, 0.9), abs=0.03)
    with pytest.raises(Exception, match=r"1\.40 s, but the word begins at 2 s"):
        Reader().word(Clip(files_of(folders.words)[0], 2.0, 2.5))


def test_the_low_pass_of_pieces_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "PIECE", 2.0)
    samples = hiss(7, 1)
    limited = material.low_passed(samples, 2000.0)
    assert limited.shape == samples.shape
    assert np.abs(limited - band_limit(samples, material.LOWEST, 2000.0, RATE))[RATE:-RATE].max() < 1e-3
    spectrum = np.square(np.abs(np.fft.rfft(limited)))
    above = np.fft.rfftfreq(len(limited), 1 / RATE) > 2400
    assert spectrum[above].mean() < 1e-5 * spectrum[~above].mean()
    with pytest.raises(OptionError, match="expected less than 8000 Hz"):
        Reader(9000.0)


def test_background_remembers_what_was_heard_when(folders: Folders) -> None:
    sounds = files_of(folders.background)
    made = BackgroundTrack(sounds, Reader(), seed=1)
    samples_of(made)
    assert made.seconds == pytest.approx(36.0)
    assert made.place(0.5) == (sounds[0], 0.5)
    file, time = made.place(made.spans[2].start + 1.25)
    assert (file, time) == (sounds[2], pytest.approx(1.25))


def test_unreadable_files_are_left_out_and_counted(folders: Folders, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    made = BackgroundTrack([tmp_path / "x.wav", *files_of(folders.background)[:1]], Reader(), seed=1)
    samples_of(made)
    assert (made.left_out, made.seconds) == ([tmp_path / "x.wav"], 6.0)
    assert "x.wav" in capsys.readouterr().err
    with pytest.raises(SourceError, match="none of the 1 files"):
        samples_of(BackgroundTrack([tmp_path / "x.wav"], Reader(), seed=1))
    soundfile.write(tmp_path / "zeros.wav", np.zeros(RATE), RATE)
    clips = material.clips_of(folders.words, {})
    with pytest.raises(SourceError, match="silent almost everywhere"):
        samples_of(WordTrack(clips, [tmp_path / "zeros.wav"], 10.0, Reader(), seed=1))


def test_background_is_split_by_file(folders: Folders) -> None:
    sounds = files_of(folders.background)
    chosen, judged = material.split_background(sounds, 0.33, 1)
    assert sorted([*chosen, *judged]) == sounds
    assert len(chosen) == 2
    assert material.split_background(sounds[::-1], 0.33, 1) == (chosen, judged)
    assert any(material.split_background(sounds, 0.33, seed)[0] != chosen for seed in range(2, 6))
    assert material.split_background(sounds, 0.0, 1)[0] == []
    with pytest.raises(OptionError, match="1 file of background"):
        material.split_background(sounds[:1], 0.33, 1)


def test_rows_of_a_table_are_chosen_by_columns(folders: Folders) -> None:
    clips = material.clips_of(folders.table, {"split": "test"})
    assert [(clip.file.name, clip.start, clip.end) for clip in clips] == [(f"w{n}.wav", 0.5, 0.9) for n in (1, 3, 5)]
    with pytest.raises(SourceError, match="none of its 6 rows has split=valid"):
        material.clips_of(folders.table, {"split": "valid"})
    with pytest.raises(OptionError, match="is a folder"):
        material.clips_of(folders.words, {"split": "test"})
    assert material.parsed_where("a=b, c=d") == {"a": "b", "c": "d"}
    with pytest.raises(OptionError, match="expected COLUMN=VALUE"):
        material.parsed_where("a")


# --- the card ---


class ToneDetector:
    """Scores the amplitude of the tone in each 50 ms: 0.1 for the words, 0.3 for the tones of the background."""

    name, word, version = "tone", "tone", "1"
    step = lead = 0.05
    usual: float | None = 0.2
    bottom, top, scale, wait = 0.0, 1.0, PROBABILITY, 0.0

    def __init__(self) -> None:
        self.rest = np.zeros(0, dtype=np.float32)

    def push(self, samples: np.ndarray) -> np.ndarray:
        held = np.concatenate([self.rest, samples])
        size = round(self.step * RATE)
        count = len(held) // size
        self.rest = held[count * size :]
        wave = np.exp(2j * np.pi * TONE * np.arange(size) / RATE)
        found: np.ndarray = np.abs(held[: count * size].reshape(count, size) @ wave) * 2 / size
        return found

    def finish(self) -> np.ndarray:
        self.rest = self.rest[:0]
        return np.zeros(0)


def tone_material(folders: Folders, **changes: Any) -> Material:
    chosen, judged = material.split_background(files_of(folders.background), 0.33, 1)
    clips = material.clips_of(folders.words, {})
    near = material.clips_of(folders.near, {})
    return Material(**({"word": "tone", "clips": clips, "choosing": chosen, "judged": judged, "near_misses": near}
                       | {"snr": (CLEAN, 20.0)} | changes))  # fmt: skip


@pytest.fixture(scope="module")
def tone_card(folders: Folders) -> Card:
    return score([ToneDetector(), ToneDetector()], tone_material(folders), threshold=0.05).card


def test_the_card_counts_exactly(tone_card: Card) -> None:
    (given, own), (chosen, _) = (detector.judged for detector in tone_card.detectors)
    assert (given.origin, own.origin, chosen.origin) == (GIVEN, OWN, CHOSEN)
    hours = 4 * 6 / 3600
    for judged in (given, own):  # each of the four files has one tone
        assert (judged.alarms.count, judged.alarms.hours) == (4, pytest.approx(hours))
        assert (judged.alarms.low, judged.alarms.high) == pytest.approx(poisson(4, hours))
        assert judged.near_misses is not None
        assert (judged.near_misses.count, judged.near_misses.of) == (1, 2)
    assert [missed.missed.count for missed in given.words] == [0, 0]
    assert [missed.missed.count for missed in own.words] == [6, 6]
    assert own.words[0].delay_median is None
    assert given.words[0].delay_median == pytest.approx(-0.35, abs=0.051), "the first whole step in the tone of 0.4 s"
    assert chosen.choosing is not None
    assert (chosen.choosing.count, chosen.choosing.hours) == (0, pytest.approx(2 * 6 / 3600))
    assert chosen.threshold > 0.3


def test_the_curve_falls_and_ends_without_alarms(tone_card: Card) -> None:
    for detector in tone_card.detectors:
        rates = [point.alarms.per_hour for point in detector.curve]
        missed = [point.missed["clean"].share for point in detector.curve]
        assert rates == sorted(rates, reverse=True)
        assert missed == sorted(missed)
        assert rates[-1] == 0


def test_a_short_background_is_told(tone_card: Card) -> None:
    text = "\n".join(described(tone_card))
    assert "too short for 0.5 alarms an hour" in text
    assert "0.5 an hour need 6.0 h" in text
    assert "6 words, 2 near misses" in text
    json.dumps(tone_card.as_json(), allow_nan=False)


def test_the_picture_is_legible(tone_card: Card) -> None:
    assert_legible(card_figure(tone_card))


# --- a run ---


@dataclass
class MadeUp:
    """What a run keeps about its training."""

    settings: dict[str, Any]
    names: Vocabulary
    kind: str = "features"
    fingerprint: str = "0" * 64


def made_run(folder: Path, names: Sequence[str] = ("hey",), rate: int = RATE) -> RunFolder:
    torch.manual_seed(1)
    features = feature_settings("default", rate)
    vocabulary = Vocabulary((*names, "unknown", "silence"))
    arguments = {"input_size": features.size, "classes": len(vocabulary), "hidden_size": 8, "layers": 1, "filters": 2}
    run = RunFolder.create(
        folder, recipe="keyword_recognition", settings={}, model={"name": "spotter", "arguments": arguments},
        store=MadeUp({"features": asdict(features)}, vocabulary), resume=False,
    )  # fmt: skip
    run.save_weights(build_model("spotter", arguments))
    return run


@pytest.mark.parametrize("rate", [RATE, 8000])
def test_scores_of_a_run_do_not_depend_on_the_blocks(tmp_path: Path, rate: int) -> None:
    detector = SpotterDetector(made_run(tmp_path / "run", rate=rate))
    samples = hiss(3, 1)
    (whole,) = record([detector], [samples])
    (cut,) = record([detector], np.array_split(samples, [1, 5000, 5001, 30000]))
    assert len(whole.scores) == pytest.approx(3.0 / detector.step, abs=4)
    np.testing.assert_allclose(cut.scores, whole.scores, atol=1e-5)


def test_a_run_of_several_words_needs_the_one(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", ("hey", "ho"))
    with pytest.raises(OptionError, match="knows hey, ho; choose one with --word"):
        SpotterDetector(run)
    with pytest.raises(OptionError, match="did you mean hey"):
        SpotterDetector(run, "heyy")
    keep_spotting(run.path, Spotting({"ho": 0.7}))
    assert (SpotterDetector(run, "ho").usual, SpotterDetector(run, "hey").usual) == (0.7, None)


def test_the_command_writes_card_cuts_and_threshold(command: Command, folders: Folders, tmp_path: Path) -> None:
    run = made_run(tmp_path / "run").path
    keep_spotting(run, Spotting({}, {"hey": 0.6}))
    options = ("--positives", folders.table, "--where", "split=test", "--background", folders.background,
               "--near-misses", folders.near, "--snr", "clean,10", "--per-hour", "600")  # fmt: skip
    out, cuts = tmp_path / "cards" / "hey", tmp_path / "cuts"
    done = command("seqaudio", "alarms", run, *options, "--out", out, "--cut", cuts, "--keep", "--json")
    assert done.returncode == 0, done.stderr
    card = json.loads(done.stdout)
    assert json.loads((out / "card.json").read_text(encoding="utf-8")) == card
    assert (out / "card.png").stat().st_size > 10_000
    assert (out / "card.md").read_text(encoding="utf-8").startswith('# Scorecard of "hey"')
    assert (card["word"], card["material"]["words"]["clips"]) == ("hey", 3)
    assert card["material"]["background"]["judged"]["files"] == 4
    judged = card["detectors"][0]["judged"][0]
    kept = spotting_of(RunFolder(run))
    assert (kept.thresholds, kept.seconds) == ({"hey": pytest.approx(judged["threshold"])}, {"hey": 0.6})
    assert len(list((cuts / "judged").glob("*.wav"))) == judged["alarms"]["count"] > 0
    negatives = sorted((cuts / "choosing").iterdir())
    assert negatives
    for file in negatives:
        assert soundfile.info(file).duration <= 2.0
        assert 0 <= float(file.name[:6]) <= 1
    assert_refused(command("seqaudio", "alarms", run, *options, "--out", out), "card.json exists; give --force")
    assert_refused(command("seqaudio", "alarms", run, *options, "--out", out, "--force", "--cut", cuts), "not an empty")
    bad = tmp_path / "x.md"
    assert_refused(command("seqaudio", "alarms", run, *options[:-4], "--snr", "loud", "--out", bad), "--snr 'loud'")
    again = command("seqaudio", "alarms", run, *options, "--snr", "clean", "--threshold", "0.2", "--out", bad)
    assert again.returncode == 0, again.stderr
    assert {file.suffix for file in tmp_path.glob("x.*")} == {".json", ".md", ".png"}
    assert "6 h for judging" not in again.stdout
    assert "for choosing" not in again.stdout, "nothing is to be chosen, so all background judges"
