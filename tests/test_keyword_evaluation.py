"""Answers to clips are those of each row alone; figures about them are right; noise and streams do what they say."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from conftest import RATE, Command, assert_refused
from made_up import frame_store
from seqaudio.augmentation.spectra import DECIBELS, active_frames
from seqaudio.batching import Clips, LabelledSequences, PaddedBatches, labelled_clips
from seqaudio.errors import OptionError
from seqaudio.evaluation.clip_scores import ClipScores, mean_interval
from seqaudio.evaluation.comparison import better_when, smallest_step
from seqaudio.evaluation.intervals import wilson
from seqaudio.evaluation.keywords import Guesses, chosen_thresholds, label_probabilities
from seqaudio.evaluation.metrics import evaluate
from seqaudio.evaluation.noisy_clips import noisy_clips
from seqaudio.evaluation.padded_clips import NOISE, PadClip, Padding, parsed_seconds
from seqaudio.evaluation.ratios import CLEAN, parsed_ratios
from seqaudio.evaluation.results import read_results
from seqaudio.evaluation.streamed import HOUR, heard_in_three_ways
from seqaudio.features import FeatureSettings
from seqaudio.features.presets import feature_settings
from seqaudio.models import KeywordModel, SpotterModel
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.vocabulary import Vocabulary

EVALUATE = "recipes/keyword_recognition/evaluate.py"
SETTINGS = feature_settings("spotting", RATE)


def test_guesses_are_those_of_each_row_alone(tmp_path: Path) -> None:
    store = frame_store(tmp_path)
    train = store["train"]
    torch.manual_seed(3)
    model = KeywordModel(4, 2, hidden_size=6, layers=1).eval()
    sequences = LabelledSequences(train, store.names.encode(train.labels))
    probabilities = label_probabilities(model, sequences, store.names, FeatureSettings())
    guesses = Guesses(sequences.labels, probabilities.argmax(axis=1))
    for row in range(len(train)):
        logits, _ = model(torch.tensor(train.sequence(row))[:, None], torch.tensor(train.lengths[row : row + 1]))
        assert guesses.guess[row] == logits.argmax()
    assert guesses.accuracy() == evaluate(model, PaddedBatches(sequences, 7))["accuracy"]


def test_conditions_are_told_apart() -> None:
    guesses = Guesses(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 1]))
    assert guesses.by_condition(["clean", "clean", "noisy", "clean"]) == {"clean": (2 / 3, 3), "noisy": (0.0, 1)}
    assert guesses.by_condition(["clean"] * 4) == {}


# --- scores ---

TRUTH = np.array([0, 0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [[0.9, 0.1, 0, 0], [0.6, 0.4, 0, 0], [0.2, 0.8, 0, 0], [0.1, 0.9, 0, 0], [0, 0.7, 0.3, 0], [0.6, 0, 0.4, 0]]
)


def test_precision_and_recall_are_counted_by_label() -> None:
    no, yes, maybe, never = ClipScores.of(TRUTH, PROBABILITIES, ["no", "yes", "maybe", "never"]).labels
    assert (no.recall, no.clips, no.precision, no.answers) == (2 / 3, 3, 2 / 3, 3)
    assert (yes.recall, yes.clips, yes.precision, yes.answers) == (1.0, 2, 2 / 3, 3)
    assert (maybe.recall, maybe.clips, maybe.answers, math.isnan(maybe.precision)) == (0.0, 1, 0, True)
    assert (never.clips, never.answers) == (0, 0)
    assert not any("never" in line for line in ClipScores.of(TRUTH, PROBABILITIES, ["a", "b", "c", "never"]).table())


def test_calibration_error_is_the_mean_gap_of_confidence_and_accuracy() -> None:
    scores = ClipScores.of(TRUTH, PROBABILITIES, ["no", "yes", "maybe", "never"])
    assert [part.answers for part in scores.bins] == [2, 1, 1, 2]  # 0.6, 0.7, 0.8, 0.9
    assert scores.calibration_error == pytest.approx((2 * 0.1 + 0.3 + 0.8 + 2 * 0.1) / 6)
    certain = ClipScores.of(np.array([0, 1]), np.eye(2), ["a", "b"])
    assert certain.calibration_error == 0.0


def test_intervals_hold_the_shares_and_narrow_with_clips() -> None:
    scores = ClipScores.of(TRUTH, PROBABILITIES, ["no", "yes", "maybe", "never"])
    assert scores.accuracy == wilson(4 / 6, 6)
    assert scores.summary(0.5)[0].startswith("  2 errors of 6 clips, 95 % interval")
    low, high = mean_interval([(0.9, 50), (0.7, 50)])
    assert 0.7 < low < 0.8 < high < 0.9
    lower, higher = mean_interval([(0.9, 5000), (0.7, 5000)])
    assert (higher - lower) == pytest.approx((high - low) / 10, rel=0.1)
    assert mean_interval([(0.9, 50)]) == pytest.approx(wilson(0.9, 50))
    assert mean_interval([(1.0, 10), (1.0, 10)])[1] == 1.0


def test_95_of_100_intervals_of_balanced_accuracy_hold_the_truth() -> None:
    draw = np.random.default_rng(0)
    shares, counts = np.array([0.95, 0.8, 0.6]), np.array([200, 40, 20])
    seen = draw.binomial(counts, shares, size=(400, 3)) / counts
    held = [
        low <= shares.mean() <= high
        for low, high in (mean_interval(list(zip(row, counts, strict=True))) for row in seen)
    ]
    assert 0.92 < np.mean(held) < 0.99


def test_balanced_accuracy_is_better_when_higher() -> None:
    assert better_when("balanced_accuracy") == "higher"
    assert better_when("calibration_error") == "lower"
    assert smallest_step("balanced_accuracy", 100) == 0.0


# --- noise and streams ---


@pytest.fixture(scope="module")
def stores(command: Command, word_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """A test set alone: some words as log-mel energies, as samples, and as MFCCs."""
    folder = tmp_path_factory.mktemp("few")
    for file in sorted(word_folder.glob("*/*_[01].wav")):
        (folder / "words" / "test" / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / "words" / "test" / file.parent.name)
    found = {}
    for name, options in {
        "energies": ("--features", "spotting"), "samples": ("--features", "spotting", "--keep", "samples"), "mfcc": (),
    }.items():  # fmt: skip
        out = folder / name
        done = command(
            "data_prep/audio_folder.py", "--source", folder / "words", "--out", out, "--sample-rate", str(RATE),
            *options,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found[name] = Store(out)
    return found


def clips_of(store: Store) -> Clips:
    return labelled_clips(store, store["test"], store.names)


def snr_of(clean: np.ndarray, noisy: np.ndarray) -> float:
    """Decibels of the word's mean frame above that of what was added."""
    first, end = active_frames(clean, SETTINGS)
    word = np.exp(clean[first:end].astype(np.float64)).sum(axis=1).mean()
    added = np.exp(noisy.astype(np.float64)).sum(axis=1).mean() - np.exp(clean.astype(np.float64)).sum(axis=1).mean()
    return float(np.log(word / added)) * DECIBELS


def test_noise_is_as_strong_as_asked(stores: dict[str, Store]) -> None:
    clips = clips_of(stores["energies"])
    rows = list(range(len(clips.lengths)))
    clean = clips(rows, 0)
    for snr in (0.0, 10.0):
        noisy = noisy_clips(clips, SETTINGS, snr)(rows, 0)
        found = [
            snr_of(clean.inputs[:length, row].numpy(), noisy.inputs[:length, row].numpy())
            for row, length in enumerate(clean.lengths.tolist())
        ]
        assert found == pytest.approx([snr] * len(rows), abs=0.05)
    assert noisy_clips(clips, SETTINGS, CLEAN) is clips


@pytest.mark.parametrize("kind", ["energies", "samples"])
def test_each_reading_has_the_same_noise_and_lower_ratios_more_of_it(stores: dict[str, Store], kind: str) -> None:
    clips = clips_of(stores[kind])
    rows = list(range(len(clips.lengths)))
    clean, changes = clips(rows, 0).inputs, []
    for snr in (0.0, 10.0, 20.0):
        noisy, again = (noisy_clips(clips, SETTINGS, snr)(rows, 0).inputs for _ in range(2))
        torch.testing.assert_close(noisy, again, rtol=0, atol=0)
        changes.append(float((noisy - clean).abs().mean()))
    assert changes[0] > 1.2 * changes[1] > 1.44 * changes[2] > 0


def test_noise_of_a_folder_is_used(stores: dict[str, Store], tmp_path: Path) -> None:
    time = np.arange(RATE) / RATE
    soundfile.write(tmp_path / "hum.wav", 0.3 * np.sin(2 * np.pi * 3000 * time).astype(np.float32), RATE)
    for kind in ("energies", "samples"):
        clips = clips_of(stores[kind])
        added = noisy_clips(clips, SETTINGS, 0.0, tmp_path)([0], 0).inputs - clips([0], 0).inputs
        raised = added[:, 0].mean(dim=0)
        assert raised.argmax() > SETTINGS.mels // 2
        assert raised[:10].abs().max() < 1.0


# --- thresholds, and clips within longer sound ---


def test_thresholds_divide_the_clips_of_a_word_from_others() -> None:
    labels = Vocabulary.from_labels(["no", "silence", "yes"])
    no, yes = labels.index("no"), labels.index("yes")
    truth = np.array([no] * 4 + [yes] * 4)
    highest = np.zeros((8, 3))
    highest[:4, no], highest[4:, no] = (0.9, 0.8, 0.7, 0.6), 0.2  # told apart by any: the highest is chosen
    highest[:4, yes], highest[4:, yes] = (0.42, 0.1, 0.1, 0.1), (0.9, 0.47, 0.46, 0.7)  # only by 0.45
    assert chosen_thresholds(highest, truth, labels) == {"no": 0.5, "yes": 0.45}
    highest[4:, yes] = (0.33, 0.34, 0.32, 0.31)  # only the lowest hears them
    assert chosen_thresholds(highest, truth, labels)["yes"] == 0.3


def test_times_are_read_and_refused() -> None:
    assert parsed_seconds("0.5, 2,10,2") == (0.5, 2.0, 10.0)
    assert parsed_seconds("") == ()
    for wrong in ("long", "0", "-1", "nan", "1000", ""):
        with pytest.raises(OptionError, match=f"--around '{wrong}', expected more than 0 and at most 600 s"):
            parsed_seconds(f"1,{wrong}")


def test_quiet_and_noise_lie_around_a_clip_and_not_under_it() -> None:
    clip = np.random.default_rng(0).uniform(2.0, 5.0, (30, SETTINGS.mels)).astype(np.float32)
    for noise in (False, True):
        whole = PadClip(SETTINGS, Padding(0.5, noise))(clip, 0, "row")
        around = np.concatenate([whole[:25], whole[-25:]])
        assert len(whole) == 80
        np.testing.assert_array_equal(whole[25:55], clip)
        if noise:
            below = np.log(np.exp(clip).sum(axis=1).mean() / np.exp(around).sum(axis=1).mean()) * DECIBELS
            assert below == pytest.approx(NOISE, abs=0.5)
        else:
            assert (around == np.float32(np.log(SETTINGS.floor))).all()


def test_clips_within_longer_sound_make_a_table(command: Command, spotting_run: Path, word_run: Path) -> None:
    done = command(EVALUATE, "--run", spotting_run, "--around", "0.5,2", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    details = told["details"]["around"]
    assert list(details) == ["0.5 s of quiet", "0.5 s of noise 20 dB below", "2 s of quiet", "2 s of noise 20 dB below"]
    assert all(accuracy >= told["metrics"]["accuracy"] - 0.1 for accuracy in details.values())
    done = command(EVALUATE, "--run", spotting_run, "--around", "2")
    assert "\n  2 s of noise 20 dB below    " in done.stdout
    assert_refused(command(EVALUATE, "--run", word_run, "--around", "2"), "--around needs a run", "--examples streams")


def test_ratios_are_read_and_refused() -> None:
    assert parsed_ratios("clean, 20,-5,20") == (CLEAN, 20.0, -5.0)
    assert parsed_ratios("") == ()
    for wrong in ("loud", "1000", "nan", "inf", ""):
        with pytest.raises(OptionError, match=f"--snr '{wrong}', expected clean or -50 to 100 dB"):
            parsed_ratios(f"clean,{wrong}")


def spotter(labels: Vocabulary) -> SpotterModel:
    torch.manual_seed(1)
    model = SpotterModel(SETTINGS.size, len(labels), hidden_size=8, layers=1, filters=2).eval()
    model.set_normalisation(torch.full((SETTINGS.size,), -6.0), torch.full((SETTINGS.size,), 3.0))
    return model


def test_a_spotter_answers_alike_whole_streamed_and_after_an_hour(stores: dict[str, Store]) -> None:
    clips = clips_of(stores["energies"])
    names = Vocabulary((*stores["energies"].names, "silence"))
    ways = heard_in_three_ways(spotter(names), clips, names, SETTINGS, ("silence",), seconds=300.0)
    assert ways["streamed"].difference < 1e-4
    assert ways["streamed"].accuracy == ways["whole"].accuracy
    assert 300 <= ways["hour"].seconds < 400
    assert ways["hour"].drift < 1e-3
    assert ways["hour"].clips == len(clips.lengths)
    assert 0 < ways["hour"].difference < 10


def test_a_model_of_whole_clips_drifts_in_a_stream_and_that_shows(stores: dict[str, Store]) -> None:
    clips, names = clips_of(stores["energies"]), stores["energies"].names
    torch.manual_seed(1)
    model = KeywordModel(SETTINGS.size, len(names), hidden_size=8, layers=1)
    model.set_normalisation(torch.full((SETTINGS.size,), -6.0), torch.full((SETTINGS.size,), 3.0))
    ways = heard_in_three_ways(model, clips, names, SETTINGS, seconds=60.0)
    assert ways["streamed"].difference < 1e-4
    assert ways["hour"].difference > 10 * ways["streamed"].difference
    both = KeywordModel(SETTINGS.size, len(names), hidden_size=8, layers=1, bidirectional=True)
    with pytest.raises(OptionError, match="bidirectional"):
        heard_in_three_ways(both, clips, names, SETTINGS)


# --- the recipe ---


def test_a_test_set_of_its_own_is_evaluated_with_the_statistics_of_the_run(
    command: Command, word_run: Path, stores: dict[str, Store], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(word_run, tmp_path / "run"))
    alone = stores["mfcc"]
    assert list(alone.counts) == ["test"] and alone.normalisation is None
    done = command(EVALUATE, "--run", run, "--store", alone.path, "--split", "test", "--streamed", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    metrics, details = printed["metrics"], printed["details"]
    assert metrics["accuracy"] > 0.9, "words of the training, by its statistics"
    assert metrics["count"] == 24
    assert printed["baselines"]["5-nearest-neighbours"]["accuracy"] > 0.9
    low, high = details["accuracy_interval"]
    assert low < metrics["accuracy"] <= high
    assert sum(score["clips"] for score in details["labels"].values()) == 24
    assert set(details["streamed"]) == {"whole", "streamed", "hour"}
    assert details["streamed"]["hour"]["seconds"] >= HOUR
    assert details["streamed"]["whole"]["accuracy"] == metrics["accuracy"]
    assert (run / "figures" / f"reliability_{alone.path.name}.png").stat().st_size > 5000
    found = read_results(run)
    assert (found["test"], found["test_details"], found["test_reads"]) == (metrics, details, 1)

    assert command(EVALUATE, "--run", run, "--split", "test").returncode == 0
    figures = {path.name: path.read_bytes() for path in (run / "figures").iterdir()}
    assert command(EVALUATE, "--run", run, "--store", alone.path, "--split", "test").returncode == 0
    assert {path.name: path.read_bytes() for path in (run / "figures").iterdir()} == figures, "its own figures stay"
    assert command(EVALUATE, "--run", run, "--split", "valid").returncode == 0
    assert figures.items() <= {path.name: path.read_bytes() for path in (run / "figures").iterdir()}.items()
    found = read_results(run)
    own = RunFolder(run).config["store"]
    assert {name: one["test_reads"] for name, one in found["tests"].items()} == {own: 1, alone.fingerprint: 2}
    assert found["test"] == found["tests"][own]["test"] != metrics, "another test set does not take its place"
    assert found["tests"][alone.fingerprint]["test"] == metrics
    told = command("seqaudio", "info", run).stdout
    assert f"test of {alone.path.name}, read 2 times: accuracy" in told


def test_precision_and_recall_are_printed(command: Command, word_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(word_run, tmp_path / "run"))
    done = command(EVALUATE, "--run", run)
    assert done.returncode == 0, done.stderr
    assert "95 % interval of the accuracy" in done.stdout
    assert "expected calibration error" in done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines() if line.endswith(tuple("0123456789"))][-3:] == [
        "one", "three", "two",
    ]  # fmt: skip
    refused = command(EVALUATE, "--run", run, "--snr", "clean,10")
    assert_refused(refused, "--keep samples")
    assert_refused(command(EVALUATE, "--run", run, "--noise-folder", tmp_path), "--snr")


def test_noise_makes_a_table(command: Command, word_folder: Path, word_run: Path, tmp_path: Path) -> None:
    run, out = Path(shutil.copytree(word_run, tmp_path / "run")), tmp_path / "samples"
    done = command(
        "data_prep/audio_folder.py", "--source", word_folder, "--out", out, "--sample-rate", str(RATE), "--keep",
        "samples", "--valid-percent", "20", "--test-percent", "20",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = command(EVALUATE, "--run", run, "--store", out, "--snr", "clean,20,-20", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    by_snr = printed["details"]["by_snr"]
    assert list(by_snr) == ["clean", "20 dB", "-20 dB"]
    assert by_snr["clean"]["accuracy"] == printed["metrics"]["accuracy"]
    assert by_snr["-20 dB"]["nats_per_clip"] > by_snr["clean"]["nats_per_clip"]
