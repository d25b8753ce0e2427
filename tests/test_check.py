"""`seqaudio check`: every fault that is built into a store is found, and nothing is said against a sound one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import RATE, Command, assert_refused, spoken
from legibility import assert_legible, words
from seqaudio.checking import Finding, Level, Report, check_store, draw_report, report_figure
from seqaudio.errors import StoreError
from seqaudio.features import FeatureSettings
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.prepare.speech.recordings import ExtractFeatures, Keep, speech_description
from seqaudio.store import SPLITS, Normalisation, Store, StoreDescription

ROWS = {"train": 60, "valid": 20, "test": 200}  # of each of two labels


@dataclass(frozen=True)
class Frames:
    """Frames drawn from the number that the item's text gives; as many as that says too."""

    def __call__(self, item: Item) -> list[Row]:
        number, steps = map(int, item.text.split())
        frames = np.random.default_rng(number).normal(size=(steps, 3)).astype(np.float32)
        return [Row(item.id, frames, steps / 100, remark=item.condition)]


def sound_items() -> list[Item]:
    """Two labels, as many of each; no voice in two splits; nothing twice."""
    return [
        Item(f"{split}/{label}/{n}.wav", None, f"{split}-{label}-{n}", split, label, f"{number} 100", f"{split}{n % 5}")
        for number, (split, label, n) in enumerate(
            (split, label, n) for split, count in ROWS.items() for label in ("yes", "no") for n in range(count)
        )
    ]


def report_on(tmp_path: Path, items: Iterable[Item]) -> Report:
    description = StoreDescription("features", {"features": {"kind": "random"}})
    return check_store(build_store(tmp_path / "store", list(items), Frames(), description, force=True))


def finding(report: Report, subject: str) -> Finding:
    (found,) = (found for found in report.findings if found.subject == subject)
    return found


def changed(change: Callable[[Item], dict[str, str]]) -> list[Item]:
    return [Item(**(item.__dict__ | change(item))) for item in sound_items()]


def test_nothing_is_said_against_a_sound_store(tmp_path: Path) -> None:
    report = report_on(tmp_path, sound_items())
    assert {found.subject: found.level for found in report.findings if found.level > Level.GOOD} == {}
    assert report.verdict == "fit to train on"


def test_a_copy_in_another_split_is_a_leak_whatever_its_name(tmp_path: Path) -> None:
    number = {item.id: item.text for item in sound_items()}["train-yes-3"]
    report = report_on(tmp_path, changed(lambda item: {"text": number} if item.id == "test-yes-7" else {}))
    leaks = finding(report, "leaks")
    assert (leaks.level, leaks.examples) == (Level.FAULT, ("train/train-yes-3 = test/test-yes-7",))
    assert "1 sequence is in more than one split, with 1 row of the test split" in leaks.verdict
    assert report.verdict == "not fit to train on as it is: 1 fault"
    assert finding(report, "duplicates").level is Level.GOOD


def test_copies_within_a_split_and_quarrels_over_their_label_are_told(tmp_path: Path) -> None:
    same = changed(lambda item: {"text": "5 100"} if item.id in ("train-yes-5", "train-yes-9") else {})
    assert finding(report_on(tmp_path, same), "duplicates").verdict.startswith("1 of 560 rows are copies")
    quarrel = changed(lambda item: {"text": "5 100"} if item.id in ("train-yes-5", "train-no-9") else {})
    found = finding(report_on(tmp_path, quarrel), "duplicates")
    assert (found.level, found.examples) == (Level.WARNING, ("train-yes-5 (yes) = train-no-9 (no)",))


def test_labels_without_training_rows_are_a_fault(tmp_path: Path) -> None:
    report = report_on(tmp_path, changed(lambda item: {"label": "maybe"} if item.id == "test-no-0" else {}))
    balance = finding(report, "balance")
    assert (balance.level, balance.examples) == (Level.FAULT, ("maybe",))


def test_labels_that_a_split_lacks_are_named(tmp_path: Path) -> None:
    report = report_on(tmp_path, (item for item in sound_items() if not item.id.startswith("valid-no")))
    assert finding(report, "balance").examples == ("no (valid)",)


def test_uneven_and_rare_labels_are_warned_of(tmp_path: Path) -> None:
    rare = (item for item in sound_items() if not (item.id.startswith("train-no") and int(item.id[9:]) >= 5))
    report = report_on(tmp_path, rare)
    assert finding(report, "balance").level is Level.WARNING
    assert "5 (no) to 60 (yes)" in finding(report, "balance").verdict
    assert finding(report, "amount").examples == ("no (5)",)
    assert report.verdict == "can be trained on, with care: 2 warnings"


@pytest.mark.parametrize("missing", ["train", "valid"])
def test_a_missing_split_is_a_fault_and_a_missing_test_a_note(tmp_path: Path, missing: str) -> None:
    report = report_on(tmp_path, (item for item in sound_items() if item.split != missing))
    assert finding(report, "amount").level is Level.FAULT
    assert missing in finding(report, "amount").verdict
    report = report_on(tmp_path, (item for item in sound_items() if item.split != "test"))
    assert finding(report, "precision").level is Level.NOTE


def test_one_label_is_nothing_to_tell_apart(tmp_path: Path) -> None:
    report = report_on(tmp_path, (item for item in sound_items() if item.label == "yes"))
    assert "one label (yes)" in finding(report, "amount").verdict
    assert finding(report, "amount").level is Level.FAULT


@pytest.mark.parametrize(("count", "level", "margin"), [(200, Level.GOOD, "2.9"), (20, Level.WARNING, "9.3")])
def test_the_precision_of_a_score_is_told(tmp_path: Path, count: int, level: Level, margin: str) -> None:
    few = (item for item in sound_items() if item.split != "test" or int(item.id.split("-")[2]) < count)
    found = finding(report_on(tmp_path, few), "precision")
    # 1.96 sqrt(0.9 * 0.1 / N) for N = 400 and 40
    assert found.level is level
    assert f"an accuracy of 90 % on {2 * count} test rows is uncertain by {margin} points" in found.verdict


def test_known_and_unknown_voices_are_told_apart(tmp_path: Path) -> None:
    report = report_on(tmp_path, changed(lambda item: {"speaker": "ann"} if item.id.endswith("-0") else {}))
    found = finding(report, "speakers")
    assert (found.level, found.examples) == (Level.WARNING, ("ann",))
    assert "1 of 6 speakers of the test split are also in training" in found.verdict
    only_valid = changed(lambda item: {"speaker": "ann"} if item.id in ("train-yes-0", "valid-no-0") else {})
    assert finding(report_on(tmp_path, only_valid), "speakers").level is Level.NOTE
    nobody = finding(report_on(tmp_path, changed(lambda item: {"speaker": ""})), "speakers")
    assert nobody.verdict.startswith("speakers are unknown")


def test_unusual_lengths_and_rows_without_steps_are_named(tmp_path: Path) -> None:
    long = changed(lambda item: {"text": "9999 2000"} if item.id == "train-no-1" else {})
    found = finding(report_on(tmp_path, long), "durations")
    assert (found.level, found.examples) == (Level.WARNING, ("train-no-1 (20.00 s)",))
    empty = changed(lambda item: {"text": "9999 0"} if item.id == "train-no-1" else {})
    found = finding(report_on(tmp_path, empty), "durations")
    assert (found.level, found.examples) == (Level.FAULT, ("train-no-1",))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_a_fault(tmp_path: Path, value: float) -> None:
    @dataclass(frozen=True)
    class Damaged(Frames):
        def __call__(self, item: Item) -> list[Row]:
            (row,) = super().__call__(item)
            if item.id == "valid-yes-3":
                row.sequence[5, 1] = value
            return [row]

    store = build_store(tmp_path / "store", sound_items(), Damaged(), StoreDescription("features", {}))
    found = finding(check_store(store), "numbers")
    assert (found.level, found.examples) == (Level.FAULT, ("valid-yes-3",))


def test_statistics_that_are_no_numbers_are_a_fault(tmp_path: Path) -> None:
    store = report_on(tmp_path, sound_items()).contents.store
    assert finding(check_store(store), "numbers").level is Level.GOOD
    store.normalisation = Normalisation((0.0, np.inf, 0.0), (1.0, np.nan, 1.0), 6000)
    found = finding(check_store(store), "numbers")
    assert found.level is Level.FAULT
    assert "store.json" in found.verdict


def test_transcribed_speech_is_counted_in_hours(tmp_path: Path) -> None:
    report = report_on(tmp_path, changed(lambda item: {"label": ""}))
    assert {"balance", "precision"}.isdisjoint(found.subject for found in report.findings)
    assert "0.0 hours of transcribed speech" in finding(report, "amount").verdict


def test_kinds_without_checks_are_refused(tmp_path: Path) -> None:
    series = StoreDescription("series", {})
    store = build_store(tmp_path / "store", sound_items()[:3], Frames(), series)
    with pytest.raises(StoreError, match="a store of series, expected a store of audio, features, tokens, roll"):
        check_store(store)


# recordings


@pytest.fixture
def recordings(tmp_path: Path) -> list[Item]:
    """Words, one of them silent, one clipped."""
    folder = tmp_path / "in"
    folder.mkdir()
    items = []
    for number in range(24):
        samples = spoken(number % 2, number % 4, number)
        if number == 3:
            samples *= 0.0005
        if number == 6:
            samples = np.clip(samples * 30, -1, 1)
        path = folder / f"{number}.wav"
        soundfile.write(path, samples, RATE)
        items.append(Item(path.name, path, path.name, SPLITS[number % 3], ("no", "yes")[number % 2]))
    return items


def prepared(tmp_path: Path, items: list[Item], keep: Keep) -> Store:
    settings = FeatureSettings(sample_rate=RATE)
    process, description = ExtractFeatures(settings, keep=keep), speech_description(settings, keep)
    return build_store(tmp_path / keep, items, process, description)


@pytest.mark.parametrize("keep", ["features", "samples"])
def test_silent_and_clipped_recordings_are_found_in_both_kinds(
    tmp_path: Path, recordings: list[Item], keep: Keep
) -> None:
    report = check_store(prepared(tmp_path, recordings, keep))
    silent, clipped = finding(report, "silent"), finding(report, "clipped")
    assert (silent.level, silent.examples) == (Level.WARNING, ("3.wav",))
    assert (clipped.level, clipped.examples) == (Level.NOTE, ("6.wav",))


def test_what_an_earlier_version_did_not_note_is_not_called_good(tmp_path: Path, recordings: list[Item]) -> None:
    store = prepared(tmp_path, recordings, "features")
    (store.path / "inputs.tsv").unlink()
    report = check_store(store)
    assert finding(report, "silent").level is finding(report, "clipped").level is Level.NOTE
    assert finding(report, "silent").verdict.startswith("unknown")


def test_clips_labelled_silence_may_be_silent(tmp_path: Path, recordings: list[Item]) -> None:
    items = [Item(**(item.__dict__ | {"label": "silence"})) if item.id == "3.wav" else item for item in recordings]
    assert finding(check_store(prepared(tmp_path, items, "samples")), "silent").level is Level.GOOD


def test_refused_inputs_are_told(tmp_path: Path, recordings: list[Item]) -> None:
    recordings[5].file.write_text("no sound")
    found = finding(check_store(prepared(tmp_path, recordings, "features")), "inputs")
    assert (found.level, found.examples) == (Level.WARNING, ("5.wav",))
    assert "23 kept, 1 refused (1 not_audio)" in found.verdict


# the figure and the command


@pytest.mark.parametrize("labels", [1, 2, 60])
def test_the_figure_is_legible_and_holds_every_finding(tmp_path: Path, labels: int) -> None:
    named = [
        Item(**(item.__dict__ | {"label": f"label {number % labels}", "text": f"{number} {90 + number % 37}"}))
        for number, item in enumerate(sound_items())
    ]
    report = report_on(tmp_path, named)
    figure = report_figure(report)
    assert_legible(figure)
    text = " ".join(words(figure))
    for found in report.findings:
        assert f"{found.subject}: " in text
    assert report.verdict in text
    assert ("rarest of 60 labels" in text) == (labels == 60)


@pytest.mark.parametrize(
    "names", [("turn the lights on", "turn the lights off"), ("日本語の言葉", "日本語の音楽の言葉")]
)
def test_labels_that_are_too_long_stay_different(tmp_path: Path, names: tuple[str, str]) -> None:
    named = changed(lambda item: {"label": names[item.label == "yes"]})
    figure = report_figure(report_on(tmp_path, named))
    assert_legible(figure)
    drawn = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(set(drawn)) == 2
    assert all("□" not in label and "…" in label for label in drawn)


def test_equal_reports_are_equal_pictures(tmp_path: Path) -> None:
    report = report_on(tmp_path, sound_items())
    draw_report(report, tmp_path / "a.png")
    draw_report(report, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_command_tells_draws_and_fails_where_the_store_is_of_no_use(tmp_path: Path, command: Command) -> None:
    report_on(tmp_path, sound_items())
    picture = tmp_path / "check.png"
    done = command("seqaudio", "check", tmp_path / "store", "--png", picture)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "fit to train on"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert_refused(command("seqaudio", "check", tmp_path / "store", "--png", picture), "give --force")
    report_on(tmp_path, (item for item in sound_items() if item.split != "valid"))
    done = command("seqaudio", "check", tmp_path / "store", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["verdict"] == "not fit to train on as it is: 1 fault"


def test_a_damaged_ledger_is_one_line(tmp_path: Path, command: Command) -> None:
    report_on(tmp_path, sound_items())
    ledger = tmp_path / "store" / "ledger.tsv"
    ledger.write_text(ledger.read_text() + "half a li")
    for name in ("check", "info"):
        assert_refused(command("seqaudio", name, tmp_path / "store"), "ledger.tsv: damaged", "prepare the store again")
