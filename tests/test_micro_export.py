"""A wake word for microcontrollers: its features are the device's, its file answers as the model does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Command, assert_refused
from seqaudio.audio.recording import to_int16
from seqaudio.cli.wake import Config, check
from seqaudio.decoding.spotting import Spotter
from seqaudio.decoding.torch_logits import state_after_quiet
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.alarms.rivals import of_manifest
from seqaudio.export import micro_file
from seqaudio.export.micro_file import answers, manifest
from seqaudio.export.micro_net import INPUT, PER_UNIT, MicroNet, Ranges, write_net
from seqaudio.export.steps import unrolled
from seqaudio.features import FeatureSettings, feature_settings
from seqaudio.features.extraction import extract_frames
from seqaudio.models import SpotterModel
from seqaudio.models.pcan import noise_reduced
from seqaudio.run_folder import RunFolder
from seqaudio.vocabulary import Vocabulary

RATE = 16000
REGISTERED = {  # of ESPHome's micro_wake_word: register_streaming_ops_ in its streaming_model.cpp
    "call_once", "var_handle", "reshape", "read_variable", "strided_slice", "concatenation", "assign_variable",
    "conv_2d", "mul", "add", "mean", "fully_connected", "logistic", "quantize", "depthwise_conv_2d", "average_pool_2d",
    "max_pool_2d", "pad", "pack", "split_v",
}  # fmt: skip


def device_features(samples: np.ndarray) -> np.ndarray:
    """Frames [T, 40] of the package that ESPHome's features come in, in our units, every second one."""
    package = pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    found = list(package.MicroWakeWordFeatures().process_streaming(to_int16(samples).tobytes()))
    return np.concatenate(found)[::2, 0] / PER_UNIT


def sweep(seconds: float = 3.0, loudest: float = 0.3) -> np.ndarray:
    """Words as it were: tones that come and go, in noise."""
    draw = np.random.default_rng(5)
    t = np.arange(round(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * f * (t + 0.1 * np.sin(3 * t))) for f in (220, 660, 1500, 3100, 5200))
    gate = np.clip(np.sin(2 * np.pi * 1.3 * t), 0, 1) ** 2
    return (loudest * gate * tones / 5 + 0.003 * draw.standard_normal(len(t))).astype(np.float32)


@pytest.mark.parametrize("loudest", [0.02, 0.3])
def test_frames_are_those_of_the_device(loudest: float) -> None:
    samples = sweep(loudest=loudest)
    energies = torch.from_numpy(extract_frames(samples, feature_settings("micro")))[:, None]
    ours = noise_reduced(energies, 2.0, energies.new_zeros(1, 40))[0][:, 0].numpy()
    theirs = device_features(samples)[: len(ours)]
    ours = ours[: len(theirs)]
    assert np.abs(ours - theirs).mean() < 0.04, "four of the 256 steps of the device's integers"
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.98
    assert theirs.std() > 0.3, "the sound is heard"


def test_steps_chunks_and_resets_equal_the_whole() -> None:
    torch.manual_seed(0)
    model = SpotterModel(7, 3, hidden_size=6, filters=3, memory=0.0, pooling=4.0, pcan=2.0).double().eval()
    given = 3.0 * torch.randn(23, 2, 7, dtype=torch.float64) - 9.0
    lengths = torch.tensor([23, 11])
    with torch.no_grad():
        whole, after = model(given)
        state, steps = model.initial_state(2), []
        for frame in given:
            logits, state = model.step(frame, state)
            steps.append(logits)
        first, between = model(given[:9])
        rest, last = model(given[9:], state=between)
        padded, ends = model(given, lengths)
        short, end = model(given[:11, 1:])
        resets = torch.zeros(23, 2, dtype=torch.bool)
        resets[12] = True
        again, _ = model(given, resets=resets)
        alone, _ = model(given[12:])
    for found in (torch.stack(steps), torch.cat([first, rest])):
        torch.testing.assert_close(found, whole)
    for found in (state.level, last.level):
        torch.testing.assert_close(found, after.level)
    torch.testing.assert_close(padded[:11, 1:], short)
    torch.testing.assert_close(ends.level[1:], end.level)
    torch.testing.assert_close(again[12:], alone)


def net(
    labels: tuple[str, ...] = ("hey", "unknown", "silence"), settings: FeatureSettings | None = None, **changed: object
) -> MicroNet:
    """An untrained net with weights of usual size."""
    torch.manual_seed(3)
    arguments = {"hidden_size": 24, "filters": 8, "memory": 0.0, "pooling": 6.0, "pcan": 2.0} | changed
    model = SpotterModel(40, len(labels), **arguments).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for name, parameter in model.layers.named_parameters():
            parameter.mul_(2.0 if "weight" in name else 1.0)
        model.output.weight.mul_(20.0)
        if arguments["filters"]:
            model.filter_norm.running_mean.normal_(0, 0.3)
            model.filter_norm.running_var.uniform_(0.5, 2.0)
    copied = unrolled(model)
    assert isinstance(copied, SpotterModel)
    return MicroNet(copied, Vocabulary(labels), settings or feature_settings("micro"), "runs/hey")


def frames(count: int = 200) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    raw = (torch.rand(count, 40, generator=draw) * torch.rand(count, 1, generator=draw) * 255).round()
    return raw * INPUT[0] / PER_UNIT


def written(made: MicroNet, folder: Path, given: torch.Tensor) -> tuple[Path, object]:
    begun = state_after_quiet(made.model, made.settings, 1)
    content, arena = write_net(made, made.ranges(given, begun), begun, "test")
    (folder / "hey.tflite").write_bytes(content)
    (folder / "hey.json").write_text(json.dumps(manifest(made, 0.5, arena, "hey.tflite")))
    return folder / "hey.json", begun


@pytest.mark.parametrize(
    ("labels", "changed"),
    [
        (("hey", "unknown", "silence"), {}),
        (("silence", "unknown", "hey"), {"layers": 3, "pooling": 1.0}),
        (("unknown", "hey"), {"layers": 1, "pcan": 2.0, "learned_state": True}),
    ],
)
def test_the_file_answers_as_the_model_does(
    labels: tuple[str, ...], changed: dict[str, object], tmp_path: Path
) -> None:
    pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    made, given = net(labels, **changed), frames()
    file, begun = written(made, tmp_path, given)
    theirs, ours = answers(file, made, given), micro_file.expected(made, begun, given)
    assert np.abs(theirs - ours).mean() < 0.15 + 0.15 * ours.std()
    assert np.corrcoef(theirs, ours)[0, 1] > 0.97
    assert ours.std() > 0.5
    np.testing.assert_array_equal(answers(file, made, given), theirs)  # a new stream knows nothing of the last


def test_a_slow_state_arrives_where_8_bits_would_stand_still(tmp_path: Path) -> None:
    pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    made, given = net(("hey", "unknown"), layers=1, pooling=1.0), frames(1).expand(500, -1)
    (cell,) = made.cells
    cell.weight_hh[:] = cell.weight_ih[24:48] = cell.bias_ih[24:48] = 0.0  # it moves to where the input draws it
    cell.bias_hh[24:48] = 4.15  # by 4 / 256 of the way: 8 bits alone stand still an eighth from the end
    file, begun = written(made, tmp_path, given)
    theirs, ours = answers(file, made, given), micro_file.expected(made, begun, given)
    assert abs(ours[-1] - ours[0]) > 2.0
    assert np.abs(theirs - ours)[-50:].max() < 0.4


def test_only_operations_of_the_device_are_written(tmp_path: Path) -> None:
    from seqaudio.export.micro_net import _Writer

    made = net()
    writer = _Writer(made, Ranges(3.0, (-2.0, 2.0), [(8.0, 8.0), (8.0, 8.0)]))
    writer.write(state_after_quiet(made.model, made.settings, 1))
    used = {each.kind for program in (writer.main, writer.once) for each in program.operators}
    assert used <= REGISTERED
    assert {part.dtype for part in writer.main.tensors()} == {"int8", "uint8", "int32", "resource"}
    assert sum(each.kind == "var_handle" for each in writer.main.operators) <= 20, "variables of micro_wake_word"
    (given,), (told,) = writer.main.inputs, writer.main.outputs
    assert (given.shape, given.dtype, told.shape, told.dtype) == ((1, 2, 40), "int8", (1, 1), "uint8")


@pytest.mark.parametrize(
    ("labels", "changed", "told"),
    [
        (("hey", "ho", "unknown"), {}, "knows hey, ho, expected one word"),
        (("hey", "unknown"), {"filters": 0}, "--filters 0"),
        (("hey", "unknown"), {"cell": "lstm"}, "other cells than gru"),
        (("hey", "unknown"), {"pcan": 0.0}, "has other features"),
        (("hey", "unknown"), {"settings": feature_settings("spotting")}, "has other features"),
    ],
)
def test_what_does_not_fit_is_refused(labels: tuple[str, ...], changed: dict[str, object], told: str) -> None:
    with pytest.raises(RunError, match=told):
        net(labels, **changed)  # type: ignore[arg-type]


# --- the command ---


@pytest.fixture(scope="module")
def micro_run(command: Command, word_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A spotter of one of the words, the others unknown."""
    folder = tmp_path_factory.mktemp("micro")
    for name, label in (("one", "one"), ("two", "unknown"), ("three", "unknown")):
        for file in sorted((word_folder / name).iterdir()):
            (folder / "words" / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / "words" / label / f"{name}_{file.name}")
    done = command(
        "data_prep/audio_folder.py", "--source", folder / "words", "--out", folder / "store", "--features", "micro",
        "--sample-rate", str(RATE), "--valid-percent", "20", "--test-percent", "20",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    options = ("--store", folder / "store", "--run", folder / "run", "--pcan", "--epochs", "40", "--batch-size", "16")
    small = ("--hidden-size", "24", "--filters", "8", "--learning-rate", "1e-2", "--average", "0.97", "--device", "cpu")
    done = command("recipes/keyword_recognition/train.py", *options, *small)
    assert done.returncode == 0, done.stderr
    yield folder / "run"


def test_the_command_writes_a_file_and_its_manifest(command: Command, micro_run: Path, tmp_path: Path) -> None:
    package = pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    done = command("seqaudio", "export", micro_run, "--tflite", tmp_path / "one.tflite")
    assert (done.returncode, done.stderr) == (0, "")
    assert "log odds differ from the model's by" in done.stdout
    about = json.loads((tmp_path / "one.json").read_text())
    assert (about["wake_word"], about["model"], about["version"], about["type"]) == ("one", "one.tflite", 2, "micro")
    assert about["micro"]["sliding_window_size"] == 12
    model = package.MicroWakeWord.from_config(tmp_path / "one.json")
    assert (model.stride, model.probability_cutoff) == (2, about["micro"]["probability_cutoff"])
    again = command("seqaudio", "export", micro_run, "--tflite", tmp_path / "one.tflite")
    assert_refused(again, "exists; give --force")


def test_the_file_hears_what_the_model_hears(command: Command, micro_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    done = command("seqaudio", "export", micro_run, "--tflite", tmp_path / "one.tflite")
    assert done.returncode == 0, done.stderr
    detector, spotter = of_manifest(tmp_path / "one.json"), Spotter(RunFolder(micro_run))
    store_words = micro_run.parent / "words"
    highest = []
    for label in ("one", "unknown"):
        for file in sorted((store_words / label).iterdir())[:4]:
            from seqaudio.audio import read_audio

            samples = np.concatenate([np.zeros(RATE // 2), read_audio(file, RATE).samples, np.zeros(RATE // 2)])
            samples = (samples + 1e-3 * np.random.default_rng(1).standard_normal(len(samples))).astype(np.float32)
            scores = np.concatenate([detector.push(samples), detector.finish()])
            spotter.reset()
            spotter.push(samples)
            own = spotter.highest[spotter.labels.index("one")]
            highest.append((scores.max(), (np.log(own / (1 - own)) + 15) / 30))
    theirs, ours = np.array(highest).T
    assert np.abs(theirs - ours).mean() < 0.07, "two of the 30 log odds, by features that differ a little"
    assert ours[:4].min() > ours[4:].max()
    assert theirs[:4].min() > theirs[4:].max()


def test_other_runs_are_refused_in_one_line(
    command: Command, spotting_run: Path, word_run: Path, tmp_path: Path
) -> None:
    done = command("seqaudio", "export", spotting_run, "--tflite", tmp_path / "a.tflite")
    assert_refused(done, "has other features than microcontrollers; train with seqaudio wake --micro")
    done = command("seqaudio", "export", word_run, "--tflite", tmp_path / "a.tflite")
    assert_refused(done, "was trained on whole clips")
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    for content in ("{", "{}", '{"micro": {}, "model": "a.tflite", "wake_word": "a"}'):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(OptionError, match="expected the manifest"):
            of_manifest(tmp_path / "a.json")


def test_a_damaged_file_behind_a_manifest_is_refused(tmp_path: Path) -> None:
    package = pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    models = Path(package.__file__).parent / "models"
    about, whole = json.loads((models / "alexa.json").read_text()), (models / "alexa.tflite").read_bytes()
    (tmp_path / "a.json").write_text(json.dumps(about))
    file = tmp_path / "alexa.tflite"
    with pytest.raises(OptionError, match="No such file"):
        of_manifest(tmp_path / "a.json")
    for content, words in ((b"hello" * 9, "is no TFLite file"), (whole[:30_000], "is damaged")):
        file.write_bytes(content)
        with pytest.raises(OptionError, match=words):
            of_manifest(tmp_path / "a.json")
    file.write_bytes(whole)
    assert of_manifest(tmp_path / "a.json").step == pytest.approx(0.03)
    for name, value, words in (
        ("model", "/dev/zero", "is a device"),
        ("micro", about["micro"] | {"sliding_window_size": -1}, "micro.sliding_window_size is -1, expected 1 to"),
        ("micro", about["micro"] | {"probability_cutoff": 7}, "micro.probability_cutoff is 7, expected 0 to 1"),
        ("wake_word", [], "wake_word is"),
    ):
        (tmp_path / "a.json").write_text(json.dumps(about | {name: value}))
        with pytest.raises(OptionError, match=words):
            of_manifest(tmp_path / "a.json")


def test_a_file_that_differs_is_not_written(micro_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymicro_wakeword", reason="pymicro-wakeword is not installed")
    from seqaudio.store import Store

    monkeypatch.setattr(micro_file, "answers", lambda _, net, frames: np.full(len(frames), 14.0))
    with pytest.raises(RunError, match=r"differ from the model's by .* nothing was written"):
        micro_file.write_micro(RunFolder(micro_run), Store(micro_run.parent / "store"), tmp_path / "a.tflite")
    assert list(tmp_path.iterdir()) == []


def test_wake_refuses_what_a_device_cannot_hear(tmp_path: Path) -> None:
    for words, rate in ((("hey", "ho"), 16000), (("hey",), 8000)):
        with pytest.raises(OptionError, match="expected one word at 16000 Hz"):
            check(Config(words, tmp_path / "run", micro=True, sample_rate=rate))
