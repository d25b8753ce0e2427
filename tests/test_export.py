"""One step in onnxruntime, C and JavaScript gives torch's outputs; what cannot stream is refused in one line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from conftest import RATE, ROOT, Command, assert_refused, spoken
from seqaudio.cells import CELLS
from seqaudio.decoding.spotting import Spotter
from seqaudio.errors import OptionError, RunError
from seqaudio.export import ExportStep, checking
from seqaudio.export import writing as writing_module
from seqaudio.export.c_file import c_source, compiled, run_program, to_pcm, torch_answers, write_c
from seqaudio.export.checking import OnnxRunner, difference, examples, expected, largest_difference, run_steps
from seqaudio.export.front_end import FrontEnd
from seqaudio.export.js_file import js_source, run_module, run_node, write_js
from seqaudio.export.onnx_file import onnx_bytes
from seqaudio.export.steps import About
from seqaudio.export.trace import trace
from seqaudio.export.writing import write_onnx
from seqaudio.features import StreamingExtractor, feature_settings
from seqaudio.models import build_model
from seqaudio.run_folder import RunFolder

SPOTTING = "log_mel+frame_length=0.04+frame_shift=0.02+sample_rate=8000+mels=20"
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")


def made(name: str, features: str = "", **arguments: Any) -> ExportStep:
    """The step of an untrained model, with weights of usual size."""
    torch.manual_seed(3)
    front_end = None
    if features:
        settings = feature_settings(features)
        front_end = FrontEnd(settings, arguments.get("subsampling", 3) if name == "recogniser" else 1)
        arguments["input_size"] = settings.size
    model = build_model(name, {"hidden_size": 16} | arguments).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)
    if front_end is not None:
        model.mean.fill_(-7.0)
        model.std.fill_(4.0)
    size = arguments.get("classes", arguments.get("vocabulary_size", 3))
    labels = tuple(f"label{number}" for number in range(size))
    kind = {"spotter": "keywords", "keyword": "keywords", "recogniser": "text", "events": "tokens"}.get(
        name, "forecast"
    )
    about = About(kind, "logits", labels, model=name, thresholds=dict.fromkeys(labels, 0.5))
    if front_end is None:
        example = torch.zeros(1, dtype=torch.int64) if kind == "tokens" else torch.zeros(1, model.input_size)
        return ExportStep(model, about, example, model.initial_state(1))
    about = replace(
        about,
        warm_up=front_end.warm_up,
        sample_rate=front_end.settings.sample_rate,
        hop=front_end.hop,
        window=front_end.settings.window_samples,
    )
    return ExportStep(model, about, torch.zeros(1, front_end.hop), model.initial_state(1), front_end)


STEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "spotter": (SPOTTING, {"classes": 4, "layers": 1, "filters": 4}),
    "spotter without filters": (SPOTTING, {"classes": 4, "layers": 2, "filters": 0, "cell": "lstm"}),
    "keyword": ("keywords+sample_rate=8000+mels=20+deltas=2", {"classes": 3, "layers": 1}),
    "recogniser": ("asr+sample_rate=8000+mels=24", {
        "classes": 6, "bidirectional": False, "centring": "loudness", "filters": 3, "layers": 1}),
    "recogniser of deltas": ("asr+sample_rate=8000+mels=16+deltas=1+normalise=sliding+normalise_frames=30", {
        "classes": 6, "bidirectional": False, "centring": "running", "layers": 1}),
    "events": ("", {"vocabulary_size": 20, "embedding_size": 8, "tied": True, "variational": True, "dropout": 0.2}),
    "forecaster": ("", {"input_size": 3, "output_size": 3, "horizon": 2, "targets": [0, 1, 2], "cell": "lstm"}),
    "forecaster of windows": ("", {
        "input_size": 2, "output_size": 2, "targets": [0, 1], "window": 5, "level": "standard", "apart": True}),
}  # fmt: skip


@pytest.fixture(scope="module", params=list(STEPS))
def step(request: pytest.FixtureRequest) -> ExportStep:
    features, arguments = STEPS[request.param]
    return made(request.param.split()[0], features, **arguments)


def test_onnxruntime_gives_torchs_outputs_over_sequences_of_several_lengths(step: ExportStep) -> None:
    runner = OnnxRunner(onnx_bytes(step, step.graph()))
    for inputs in examples(step):
        answers = expected(step, inputs)
        assert len(answers) == len(inputs) - step.about.warm_up
        np.testing.assert_allclose(run_steps(runner, step, inputs), answers, atol=1e-4 * max(1, np.abs(answers).max()))


def test_two_clips_in_a_row_do_not_know_of_each_other(step: ExportStep) -> None:
    runner = OnnxRunner(onnx_bytes(step, step.graph()))
    one, two, _ = examples(step)
    alone = run_steps(runner, step, two)
    run_steps(runner, step, one)
    np.testing.assert_array_equal(run_steps(runner, step, two), alone)


@needs_gcc
def test_the_compiled_c_gives_torchs_outputs(step: ExportStep, tmp_path: Path) -> None:
    program = compiled(c_source(step, step.graph(), "step").text, tmp_path)
    for inputs in list(examples(step))[:2]:
        answers = torch_answers(step, inputs)
        found = run_program(program, step, inputs)
        np.testing.assert_allclose(found, answers, atol=1e-4 * max(1, np.abs(answers).max()))


@needs_node
def test_the_javascript_gives_torchs_outputs(step: ExportStep) -> None:
    text = js_source(step, step.graph())
    for inputs in list(examples(step))[:2]:
        answers = expected(step, inputs)
        found = run_module(text, inputs).reshape(answers.shape)
        np.testing.assert_allclose(found, answers, atol=1e-4 * max(1, np.abs(answers).max()))


@needs_node
def test_a_step_in_javascript_changes_neither_its_input_nor_its_state() -> None:
    step = made("forecaster", **STEPS["forecaster"][1])
    program = """
        import { about, initialState, step } from "./step.mjs";
        const input = [1, 2, 3], before = initialState(), first = step(input, before), again = step(input, before);
        const messages = [];
        for (const [values, state] of [[[1], before], [input, [0]]])
            try { step(values, state); } catch (error) { messages.push(error.message); }
        console.log(JSON.stringify([[...first.output], [...again.output], [...before], about.state_size, messages]));
    """
    first, again, before, size, messages = json.loads(run_node(js_source(step, step.graph()), program, b""))
    assert first == again
    assert before == step.initial.ravel().tolist()
    assert len(before) == size
    assert messages == ["input of 1, expected 3", f"state of 1, expected {size}"]


def test_eight_bits_stay_near_and_are_smaller() -> None:
    step = made("spotter", SPOTTING, classes=4, layers=2, hidden_size=64)
    graph = step.graph()
    in_float, eight = (onnx_bytes(step, graph, int8) for int8 in (False, True))
    assert len(eight) < 0.55 * len(in_float)
    assert 0 < largest_difference(OnnxRunner(eight), step) < 0.1
    # the front end stays as it was: no table of it is an integer matrix
    matrices = [t for t in onnx.load_from_string(eight).graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert sorted(tuple(t.dims) for t in matrices) == [*[(64, 192)] * 4, (160, 64)]


@needs_gcc
def test_c_in_eight_bits_stays_near(tmp_path: Path) -> None:
    step = made("spotter", SPOTTING, classes=4, layers=2, hidden_size=64)
    graph = step.graph()
    source, in_float = (c_source(step, graph, "kws", int8) for int8 in (True, False))
    assert source.flash < 0.4 * in_float.flash
    program, inputs = compiled(source.text, tmp_path), next(examples(step))
    assert 0 < difference(run_program(program, step, inputs), torch_answers(step, inputs)) < 0.1


@needs_node
def test_javascript_in_eight_bits_has_the_weights_of_onnx() -> None:
    step = made("spotter", SPOTTING, classes=4, layers=2, hidden_size=64)
    graph, inputs = step.graph(), next(examples(step))
    found = run_module(js_source(step, graph, int8=True), inputs)
    onnx_found = run_steps(OnnxRunner(onnx_bytes(step, graph, int8=True)), step, inputs)[:, 0]
    # onnxruntime rounds what is multiplied too, so each is as far from torch as both from each other
    assert 0 < difference(found, expected(step, inputs)[:, 0]) < 0.1
    assert difference(found, onnx_found) < 0.1


SMALL = "log_mel+frame_length=0.04+frame_shift=0.02+sample_rate=16000+high=5800"


def test_a_small_spotter_in_eight_bits_has_at_most_a_third_of_the_bytes() -> None:
    step = made("spotter", SMALL, classes=12, layers=2, hidden_size=76, filters=16)
    graph = step.graph()
    in_float, eight = (
        (
            len(onnx_bytes(step, graph, int8)),
            c_source(step, graph, "kws", int8).flash,
            len(js_source(step, graph, int8)),
        )
        for int8 in (False, True)
    )
    assert [3 * size <= whole for size, whole in zip(eight, in_float, strict=True)] == [True] * 3


@pytest.mark.parametrize("features", ["", "+fft_points=450"])
def test_tables_that_a_file_computes_are_those_of_the_model(features: str) -> None:
    step = made("spotter", SPOTTING + features, classes=4, layers=1, filters=4)
    computed = [value for value in step.graph().constants() if value.cosines is not None]
    assert len(computed) == 4
    for value in computed:
        assert value.cosines is not None
        np.testing.assert_array_equal(value.cosines.values(), value.constant)
        np.testing.assert_array_equal(value.cosines.transposed().values(), value.constant.T)
    assert largest_difference(OnnxRunner(onnx_bytes(step, step.graph())), step) < 1e-5


def test_a_file_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = made("forecaster", **STEPS["forecaster"][1])
    graph = step.graph()
    with torch.no_grad():
        step.model.readout.bias.add_(0.01)
    with pytest.raises(RunError, match="differs from torch"):
        write_onnx(step, graph, tmp_path / "a.onnx")
    if shutil.which("gcc"):
        with pytest.raises(RunError, match="differs from torch"):
            write_c(step, graph, tmp_path / "a.c")
    if shutil.which("node"):
        with pytest.raises(RunError, match="differs from torch"):
            write_js(step, graph, tmp_path / "a.js")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(writing_module, "TIMED", 2)
    assert "difference" in write_onnx(step, step.graph(), tmp_path / "a.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"]


@pytest.mark.parametrize("cell", list(CELLS))
def test_every_cell_is_a_graph(cell: str) -> None:
    step = made("events", vocabulary_size=12, embedding_size=6, hidden_size=8, cell=cell)
    assert largest_difference(OnnxRunner(onnx_bytes(step, step.graph())), step, [next(examples(step))]) < 1e-4


FEATURES = [
    "default", "hello_edge+normalise=sliding+normalise_frames=5", "default+deltas=2+delta_width=3",
    "log_mel+fft_points=450+spectrum=magnitude+decibels=true+sample_rate=16000",
    "default+energy=true+pre_emphasis=0.97+remove_mean=true+window=povey+lifter=22",
]  # fmt: skip


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("features", FEATURES)
def test_frames_are_those_of_a_stream(features: str, count: int) -> None:
    settings = feature_settings(features)
    front_end = FrontEnd(settings, count)
    samples = torch.from_numpy(np.random.default_rng(0).standard_normal(front_end.hop * 20).astype(np.float32)) / 10
    state, frames = front_end.initial_state(), []
    for part in samples.split(front_end.hop):
        found, state = front_end(part[None], state)
        frames.append(found[0])
    ours = torch.cat(frames[front_end.warm_up :])
    whole = StreamingExtractor(settings).push(samples)
    assert 0 < len(ours) <= len(whole)
    torch.testing.assert_close(ours, whole[: len(ours)], atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("features", ["librosa", "kaldi", "default+normalise=utterance"])
def test_features_of_whole_recordings_are_refused(features: str) -> None:
    with pytest.raises(OptionError, match="needs the whole recording"):
        FrontEnd(feature_settings(features))


def test_an_operation_without_translation_is_named() -> None:
    with pytest.raises(RunError, match="cumsum"):
        trace(lambda x: (x.cumsum(0),), {"x": torch.ones(3)}, ["y"])


def test_integers_in_the_state_are_refused() -> None:
    with pytest.raises(RunError, match="integers"):
        made_phrases()


def made_phrases() -> ExportStep:
    model = build_model("phrases", phrase_arguments()).eval()
    return ExportStep(model, About("tokens", "logits", ()), torch.zeros(1, dtype=torch.int64), model.initial_state(1))


def phrase_arguments() -> dict[str, Any]:
    return {"vocabulary_size": 12, "bar": 3, "steps": [4, 4], "lags": [1, 2], "embedding_size": 4, "hidden_size": 8}


# --- the command ---


@pytest.fixture(scope="module")
def hey(command: Command, spotting_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a trained spotter."""
    folder = tmp_path_factory.mktemp("export")
    outputs = ("--out", folder / "kws.onnx", "--c", folder / "kws.c", "--js", folder / "kws.js")
    done = command("seqaudio", "export", spotting_run, *outputs)
    assert (done.returncode, done.stderr) == (0, "")
    programs = sum(shutil.which(name) is not None for name in ("gcc", "node"))
    assert done.stdout.count("difference from torch") == 1 + programs
    assert "multiply-adds a call" in done.stdout
    return folder


def test_the_metadata_says_what_a_user_needs(hey: Path) -> None:
    about = {entry.key: entry.value for entry in onnx.load(hey / "kws.onnx").metadata_props}
    assert json.loads(about["labels"]) == ["one", "three", "two", "silence"]
    assert (about["sample_rate"], about["hop"], about["window"], about["warm_up"]) == ("8000", "160", "320", "1")
    assert set(json.loads(about["thresholds"])) == {"one", "two", "three"}
    parts = sorted(json.loads(about["state"]).values())
    assert parts[0][0] == 0
    assert parts[-1][0] + np.prod(parts[-1][1]) == int(about["state_size"])
    assert about["output"] == "logits"


def test_int8_is_compared_on_validation(command: Command, spotting_run: Path, tmp_path: Path) -> None:
    done = command("seqaudio", "export", spotting_run, "--out", tmp_path / "kws.onnx", "--int8")
    assert (done.returncode, done.stderr) == (0, "")
    found = re.search(r"accuracy ([\d.]+) % in float, ([\d.]+) % in int8", done.stdout)
    assert found, done.stdout
    assert abs(float(found[1]) - float(found[2])) <= 10, "one clip of ten"
    assert re.search(r"[\d,]+ bytes in int8, [\d,]+ in float", done.stdout)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "nothing to write"),
        (("--out", "kws.pb"), "expected a name that ends in .onnx"),
        (("--c", "kws.onnx"), "expected a name that ends in .c"),
        (("--js", "kws.ts"), "expected a name that ends in .js or .mjs"),
    ],
)
def test_wrong_options_are_one_line(
    command: Command, word_run: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    assert_refused(command("seqaudio", "export", word_run, *options, folder=tmp_path), words)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_named(
    command: Command, word_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqaudio.export.onnx_file.find_spec", lambda name: None if name == "onnxruntime" else True)
    done = command("seqaudio", "export", word_run, "--out", tmp_path / "kws.onnx")
    assert_refused(done, "onnxruntime not installed; pip install onnx onnxruntime (in a clone: ")


def bidirectional(run: Path, place: Path) -> Path:
    """A run whose recorded model is bidirectional."""
    shutil.copytree(run, place)
    config = json.loads((place / "config.json").read_text())
    config["model"]["arguments"]["bidirectional"] = True
    (place / "config.json").write_text(json.dumps(config))
    from seqaudio.tensors import save_tensors

    model = build_model(config["model"]["name"], config["model"]["arguments"])
    save_tensors(place / "model.safetensors", model.state_dict())
    return place


def test_a_bidirectional_model_is_refused(command: Command, word_run: Path, tmp_path: Path) -> None:
    run = bidirectional(word_run, tmp_path / "both")
    assert_refused(command("seqaudio", "export", run, "--out", tmp_path / "kws.onnx"), "bidirectional")
    assert not (tmp_path / "kws.onnx").exists()


def said_words() -> np.ndarray:
    """Three words in quiet noise."""
    samples = 1e-3 * np.random.default_rng(0).standard_normal(7 * RATE)
    for place, word in enumerate((1, 0, 2)):
        part = spoken(word, 1, 2)
        samples[(1 + 2 * place) * RATE :][: len(part)] += part
    return to_pcm(samples)


LISTEN = """
import { readFileSync } from "node:fs";
import { Listener } from "./step.mjs";
const { samples, lengths } = JSON.parse(readFileSync(0, "utf8"));
const listener = new Listener(), runs = [];
for (const length of lengths) {
    const hits = [];
    for (let at = 0; at < samples.length; at += length) hits.push(...listener.push(samples.slice(at, at + length)));
    runs.push([...hits, ...listener.finish()]);
    listener.begin();
}
console.log(JSON.stringify(runs));
"""


def heard_in_node(module: Path, samples: np.ndarray, lengths: tuple[int, ...]) -> list[Any]:
    """What the listener of a module hears, in blocks of each of these lengths."""
    content = json.dumps({"samples": samples.tolist(), "lengths": lengths})
    found: list[Any] = json.loads(run_node(module.read_text(), LISTEN, content.encode()))
    return found


@needs_node
def test_the_listener_of_javascript_hears_what_listen_hears_in_blocks_of_any_length(
    hey: Path, spotting_run: Path
) -> None:
    samples = (said_words() / 32768).astype(np.float32)
    spotter = Spotter(RunFolder(spotting_run))
    hits = [*spotter.push(samples), *spotter.finish()]
    runs = heard_in_node(hey / "kws.js", samples, (len(samples), 1000, 37))
    assert runs[0] == runs[1] == runs[2]
    assert [hit["label"] for hit in runs[0]] == [hit.keyword for hit in hits] == ["two", "one", "three"]
    for found, hit in zip(runs[0], hits, strict=True):
        assert found["confidence"] == pytest.approx(hit.confidence, abs=0.002)
        assert abs(found["seconds"] - hit.at) < 0.5
    assert heard_in_node(hey / "kws.js", samples[:333], (333,)) == [[]]


@needs_node
@needs_gcc
def test_the_listener_of_javascript_has_the_numbers_of_the_c_program(hey: Path, tmp_path: Path) -> None:
    pcm = said_words()
    program = compiled((hey / "kws.c").read_text(), tmp_path)
    said = subprocess.run([str(program)], input=pcm.tobytes(), capture_output=True, check=True)
    (hits,) = heard_in_node(hey / "kws.js", (pcm / 32768).astype(np.float32), (512,))
    rows = [line.split("\t") for line in said.stdout.decode().splitlines()]
    assert [(f"{hit['seconds']:.2f}", hit["label"]) for hit in hits] == [(row[0], row[1]) for row in rows]
    assert [hit["confidence"] for hit in hits] == pytest.approx([float(row[2]) for row in rows], abs=0.0011)


@needs_node
@pytest.mark.parametrize("name", ["keyword", "recogniser of deltas"])
def test_clips_and_units_are_heard_too(name: str, tmp_path: Path) -> None:
    step = made(name.split()[0], STEPS[name][0], **STEPS[name][1])
    inputs = next(examples(step))
    if name != "keyword":  # so that half of the steps are blank
        answers = expected(step, inputs)[:, 0]
        with torch.no_grad():
            step.model.output.bias[0] += float(np.median(answers.max(axis=-1) - answers[:, 0]))
    (tmp_path / "a.js").write_text(js_source(step, step.graph()))
    (heard,) = heard_in_node(tmp_path / "a.js", inputs.ravel(), (100,))
    best = expected(step, inputs)[:, 0].argmax(axis=-1)
    if name == "keyword":
        labels = [f"label{best[-1]}"]
    else:
        before = np.concatenate([[0], best[:-1]])
        labels = [f"label{unit}" for unit in best[(best != 0) & (best != before)]]
    assert [one["label"] for one in heard] == labels != []


@needs_gcc
@needs_node
@pytest.mark.parametrize("options", [(), ("--int8",)])
def test_the_programs_hear_the_words_that_listen_hears(
    command: Command, spotting_run: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    pcm = said_words()
    files = ("--c", tmp_path / "kws.c", "--js", tmp_path / "kws.js")
    done = command("seqaudio", "export", spotting_run, *files, *options)
    assert done.returncode == 0, done.stderr
    program = compiled((tmp_path / "kws.c").read_text(), tmp_path)
    said = subprocess.run([str(program)], input=pcm.tobytes(), capture_output=True, check=True)
    spotter = Spotter(RunFolder(spotting_run))
    hits = [*spotter.push((pcm / 32768).astype(np.float32)), *spotter.finish()]
    rows = [line.split("\t") for line in said.stdout.decode().splitlines()]
    assert [row[1] for row in rows] == [hit.keyword for hit in hits] == ["two", "one", "three"]
    for row, hit in zip(rows, hits, strict=True):
        assert float(row[2]) == pytest.approx(hit.confidence, abs=0.02 if options else 0.002)
        assert abs(float(row[0]) - hit.at) < 0.5
    (heard,) = heard_in_node(tmp_path / "kws.js", (pcm / 32768).astype(np.float32), (512,))
    assert [found["label"] for found in heard] == [hit.keyword for hit in hits]
    half = subprocess.run([str(program)], input=pcm.tobytes()[:333], capture_output=True, check=True)
    assert half.stdout == b"", "two hops and a part of one: too few for a word"


# --- docs/deploying.md ---

BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8"), re.DOTALL)


def sound(place: Path) -> np.ndarray:
    """A clip of tones as a WAV, of hops without a rest."""
    import soundfile

    samples = to_pcm(np.sin(np.arange(50 * 160) / 7.0) * np.linspace(0, 0.5, 50 * 160))
    soundfile.write(place, samples, 8000, subtype="PCM_16")
    return samples


@pytest.fixture
def deployed(hey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("kws.onnx", "kws.c", "kws.js"):
        shutil.copy(hey / name, tmp_path)
    sound(tmp_path / "clip.wav")
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def test_the_python_of_the_page_runs(deployed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (text for kind, text in BLOCKS if kind == "python")
    assert len(code.splitlines()) <= 40
    assert set(re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE)) == {
        "base64", "json", "numpy", "onnxruntime", "soundfile"}  # fmt: skip
    exec(compile(code, "deploying.md", "exec"), {})
    assert "one" in capsys.readouterr().out


@needs_gcc
def test_the_c_of_the_page_compiles(deployed: Path) -> None:
    (code,) = (text for kind, text in BLOCKS if kind == "c")
    (deployed / "own.c").write_text(code)
    command = ["gcc", "-O2", "-Wall", "-Werror", "-std=c99", "own.c", "-o", "own", "-lm"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""
    done = subprocess.run(["./own"], input=to_pcm(np.zeros(1600)).tobytes(), capture_output=True, check=False)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 9, "of ten hops the first does not count"


@needs_node
def test_the_javascript_of_the_page_runs(deployed: Path) -> None:
    (code,) = (text for kind, text in BLOCKS if kind == "js")
    (deployed / "own.js").write_text(code)
    (deployed / "package.json").write_text('{"type": "module"}')  # which older versions of node want
    done = subprocess.run(["node", "own.js"], input=said_words().tobytes(), capture_output=True, check=False)
    assert done.stderr == b""
    lines = done.stdout.decode().splitlines()
    assert [line.split()[1] for line in lines[:-1]] == ["two", "one", "three"]
    assert set(json.loads(lines[-1])) == {"one", "two", "three", "silence"}


def test_a_program_that_hangs_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SECONDS", 0.2)
    with pytest.raises(RunError, match=r"sleep took more than 0\.2 s"):
        checking.finished(["sleep", "5"])
