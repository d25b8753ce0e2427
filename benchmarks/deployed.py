"""One step of trained models in torch, onnxruntime, C and JavaScript: difference, accuracy, words, bytes, time.

    python benchmarks/deployed.py RUN [RUN ...] [--clips 100] [--json FILE]
        [--positives CLIPS ... --background SOUND ... --snr clean,10 --minutes 60]

A side is the trained model over whole sequences (torch), its own step (torch step), or what `seqaudio export` writes,
in float and with --int8. All sides read the same sequences, sound with 16 bits.

    difference   largest from torch over so many sequences, as a share of the largest output where that is above 1: the
                 positives and cuts of 2 s from the background, or the beginnings of rows of the validation split; what
                 is missing is made up
    figure       on the validation split of the run's store: accuracy of clips, %; units wrong, %; nats a token; error
                 in deviations; from the frames of the store, of 400 rows at most
    missed       words of a track of `seqaudio alarms`, in background at each ratio, by a run that spots one keyword,
                 with its own threshold. Recordings that it was trained on are left out. Hits are those of each side's
                 own rule: `Spotter` in blocks of 50 hops, `main` of the C file, `Listener`; that of
                 `Spotter` on the logits of onnxruntime. Torch's own step, the slowest, does not hear the tracks
    alarms       on the track of background alone, an hour at most
    texts        of a recogniser, greedily decoded, that are those of `seqaudio transcribe`, of the recordings
    bytes        of the file; of C weights and tables; of torch the weights. state: bytes
    us           microseconds of a step on one core, the median of 300; in C the mean of 3,000; of torch, over whole
                 sequences, the mean. rtf: the same / the time that a step hears
"""

from __future__ import annotations

import argparse
import itertools
import json
import operator
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch

from seqaudio.cli.recognize import list_files
from seqaudio.decoding.greedy import best_path, collapse
from seqaudio.decoding.spotting import Hit, Spotter
from seqaudio.decoding.transcription import Transcriber, spelling_of
from seqaudio.evaluation.alarms.material import RATE, Reader, clips_of, split_background
from seqaudio.evaluation.alarms.scoring import AFTER
from seqaudio.evaluation.alarms.track import BackgroundTrack, Place, WordTrack
from seqaudio.evaluation.ratios import parsed_ratios, ratio_name
from seqaudio.evaluation.tables import table
from seqaudio.export import ExportStep, checking, export_step
from seqaudio.export.c_file import FLAGS, c_source, compiled, run_program, to_pcm
from seqaudio.export.checking import OnnxRunner, Runner, difference, expected, finished, run_steps
from seqaudio.export.js_file import js_source, run_node
from seqaudio.export.measuring import Validation
from seqaudio.export.onnx_file import onnx_bytes
from seqaudio.export.writing import microseconds
from seqaudio.features import StreamingExtractor
from seqaudio.models import EventModel, ForecastModel, Recogniser, SpotterModel
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.transcripts import SPACE

CUT = 2.0  # seconds of background that are a clip
CALLS = 100  # of a made-up sequence
HOPS = 50  # in a block of a track
TIMED_IN_C, TIMED = 3000, 300  # calls
BLOCK = 16000  # samples that torch hears at once
C_TIMER = """
#include "step.c"
#include <stdio.h>
#include <time.h>
static step net;
static {kind} input[step_INPUT];
static float output[step_OUTPUT];
int main(void) {{
    unsigned seed = 1;
    step_reset(&net);
    clock_t start = clock();
    for (int call = 0; call < {calls}; call++) {{
        for (int i = 0; i < step_INPUT; i++) {{ seed = seed * 1664525u + 1013904223u; input[i] = {draw}; }}
        step_step(&net, input, output);
    }}
    printf("%.3f", 1e6 * (double) (clock() - start) / CLOCKS_PER_SEC / {calls});
    return 0;
}}
"""
JS_TIMER = """
import { readFileSync } from "node:fs";
import { initialState, step } from "./step.mjs";
const inputs = JSON.parse(readFileSync(0, "utf8")), times = [];
let state = initialState();
for (let call = 0; call < 3000; call++) {
    const start = performance.now();
    state = step(inputs[call % inputs.length], state).state;
    times.push(performance.now() - start);
}
console.log(1000 * times.slice(-300).sort((one, other) => one - other)[150]);
"""
JS_ROWS = """
import { readFileSync } from "node:fs";
import { about, initialState, step } from "./step.mjs";
const all = JSON.parse(readFileSync(0, "utf8")).map((inputs) => {
    let state = initialState();
    return inputs.map((input) => {
        const found = step(input, state);
        state = found.state;
        return Array.from(found.output);
    });
});
process.stdout.write(JSON.stringify(all));
"""
JS_HITS = """
import { readFileSync } from "node:fs";
import { about, Listener } from "./step.mjs";
const pcm = readFileSync(0), listener = new Listener(), hits = [];
for (let at = 0; at + 2 * about.hop <= pcm.length; at += 2 * about.hop) {
    const samples = Float32Array.from({ length: about.hop }, (_, i) => pcm.readInt16LE(at + 2 * i) / 32768);
    hits.push(...listener.push(samples));
}
hits.push(...listener.finish());
console.log(JSON.stringify(hits.map(({ seconds, label }) => [seconds, label])));
"""
Hits = list[tuple[float, str]]  # seconds of the peak, word


class StepSpotter(Spotter):
    """The rule of `Spotter` on logits of a step in another program."""

    def begin(self, runner: Runner, step: ExportStep) -> StepSpotter:
        self.runner, self.exported = runner, step
        self.calls, self.flat = 0, step.initial.numpy()
        return self

    def push(self, samples: np.ndarray) -> list[Hit]:
        about, logits = self.exported.about, []
        for part in samples[: len(samples) // about.hop * about.hop].reshape(-1, 1, about.hop):
            output, self.flat = self.runner(part, self.flat)
            self.calls += 1
            if self.calls > about.warm_up:
                logits.append(output)
        if not logits:
            return []
        return self._hits(self._averages.push(torch.from_numpy(np.concatenate(logits)).double().softmax(-1).numpy()))


def hits_of(spotter: Spotter, pcm: np.ndarray) -> Hits:
    """The hits of a spotter in int16 samples, in blocks of some hops."""
    block, found = HOPS * spotter.settings.hop_samples, []
    for start in range(0, len(pcm), block):
        found += spotter.push(pcm[start : start + block].astype(np.float32) / 32768)
    return [(hit.end + spotter.about.delay, hit.keyword) for hit in found]


class Side(ABC):
    """A step in one form. Sequences are inputs [calls, ...]; outputs those of all calls that count."""

    name: str

    def __init__(self, run: RunFolder, step: ExportStep, int8: bool, folder: Path) -> None:
        self.run, self.step, self.int8, self.folder = run, step, int8, folder
        self.size = (run.path / "model.safetensors").stat().st_size
        self.open()

    @abstractmethod
    def open(self) -> None:
        """Make what the outputs come from."""

    @abstractmethod
    def outputs(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Of each sequence from the initial state on."""

    def hits(self, pcm: np.ndarray) -> Hits | None:
        """The hits in int16 samples; None for a side that does not hear tracks."""
        return None

    @abstractmethod
    def time(self) -> float:
        """Microseconds of a step."""


class Whole(Side):
    """The trained model over a sequence at once; its features as a stream."""

    name = "torch"

    def open(self) -> None:
        self.model: Any = self.run.model().eval()

    @torch.no_grad()
    def outputs(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self._output(one) for one in sequences]

    def _output(self, inputs: np.ndarray) -> np.ndarray:
        step, model = self.step, self.model
        if not isinstance(model, SpotterModel | EventModel | Recogniser | ForecastModel) or getattr(model, "window", 0):
            return expected(step, inputs)  # has no outputs of each step of a sequence
        frames = torch.tensor(inputs)
        if step.front_end is not None:
            frames = StreamingExtractor(step.front_end.settings).push(frames.ravel())
            frames = frames[: (len(inputs) - step.about.warm_up) * step.front_end.count]
        if not isinstance(model, EventModel):
            frames = frames.reshape(-1, 1, model.input_size)
        return step.in_units(model(frames, state=step.model_start)[0]).numpy()

    def hits(self, pcm: np.ndarray) -> Hits:
        return hits_of(Spotter(self.run), pcm)

    def time(self) -> float:
        one = next(made_up(self.step))
        start = time.perf_counter()
        self.outputs([one] * 10)
        return 1e5 * (time.perf_counter() - start) / len(one)


class Step(Side):
    """The model's own step in torch."""

    name = "torch step"

    def open(self) -> None:
        self.runner: Runner = self._by_torch

    @torch.no_grad()
    def _by_torch(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        output, after = self.step(torch.from_numpy(inputs), torch.from_numpy(state))
        return output.numpy(), after.numpy()

    def outputs(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [run_steps(self.runner, self.step, one) for one in sequences]

    def time(self) -> float:
        return microseconds(self.runner, self.step)


class Onnx(Step):
    """In onnxruntime."""

    name = "ONNX"

    def open(self) -> None:
        content = onnx_bytes(self.step, self.step.graph(), self.int8)
        self.runner, self.size = OnnxRunner(content), len(content)

    def hits(self, pcm: np.ndarray) -> Hits:
        return hits_of(StepSpotter(self.run).begin(self.runner, self.step), pcm)


class C(Side):
    """Compiled by gcc."""

    name = "C"

    def open(self) -> None:
        source = c_source(self.step, self.step.graph(), "step", self.int8)
        self.program, self.size = compiled(source.text, self.folder), source.flash

    def outputs(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        shape = self.step.graph().results["output"].shape
        return [run_program(self.program, self.step, one).reshape(-1, *shape) for one in sequences]

    def hits(self, pcm: np.ndarray) -> Hits:
        told = finished([str(self.program)], input=pcm.tobytes()).stdout.decode().splitlines()
        return [(float(seconds), word) for seconds, word, _ in (line.split("\t") for line in told)]

    def time(self) -> float:
        if self.step.example.is_floating_point():
            kind, draw = "float", "(float) (int32_t) seed / 2147483648.0f"
        else:
            kind, draw = "int32_t", "(int32_t) (seed >> 8) % step_LABELS"
        text = C_TIMER.format(kind=kind, draw=draw, calls=TIMED_IN_C)
        (self.folder / "timer.c").write_text(text, encoding="utf-8")
        finished(["gcc", *FLAGS, str(self.folder / "timer.c"), "-o", str(self.folder / "timer"), "-lm"])
        return float(finished([str(self.folder / "timer")]).stdout)


class JavaScript(Side):
    """In node."""

    name = "JavaScript"

    def open(self) -> None:
        self.text = js_source(self.step, self.step.graph(), self.int8)
        self.size = len(self.text.encode())

    def outputs(self, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
        shape = self.step.graph().results["output"].shape
        rows = [one.reshape(len(one), -1).tolist() for one in sequences]
        found = json.loads(run_node(self.text, JS_ROWS, json.dumps(rows).encode()))
        return [np.array(one, dtype=np.float32).reshape(-1, *shape)[self.step.about.warm_up :] for one in found]

    def hits(self, pcm: np.ndarray) -> Hits:
        return [(seconds, word) for seconds, word in json.loads(run_node(self.text, JS_HITS, pcm.tobytes()))]

    def time(self) -> float:
        one = next(made_up(self.step))
        return float(run_node(self.text, JS_TIMER, json.dumps(one.reshape(len(one), -1).tolist()).encode()))


SIDES: tuple[tuple[type[Side], bool], ...] = (
    (Whole, False), (Step, False), (Onnx, False), (Onnx, True), (C, False), (C, True), (JavaScript, False),
    (JavaScript, True),
)  # fmt: skip


def made_up(step: ExportStep) -> Iterator[np.ndarray]:
    """Sequences without end: noise that rises and falls, ids, or values; of sound in 16 bits."""
    shape, model = (CALLS, *step.example.shape), step.model
    for number in range(1 << 20):
        draw = np.random.default_rng(number)
        noise = draw.standard_normal(shape).astype(np.float32)
        if step.about.hop:
            loud = 10 ** (-2.5 + 1.5 * np.sin(np.arange(CALLS) / 7.3 + number))
            yield as_pcm(noise * loud.reshape(-1, 1, 1).astype(np.float32))
        elif not step.example.is_floating_point():
            yield draw.integers(0, len(step.about.labels), shape)
        else:
            yield np.asarray(model.mean) + np.asarray(model.std) * noise  # type: ignore[arg-type]  # buffers


def as_pcm(samples: np.ndarray) -> np.ndarray:
    """Samples as all sides read them."""
    rounded: np.ndarray = to_pcm(samples).astype(np.float32) / 32768
    return rounded


class Sound:
    """The recordings and tracks for a run that hears."""

    def __init__(self, run: RunFolder, step: ExportStep, given: argparse.Namespace) -> None:
        self.rate, self.reader, self.given = step.about.sample_rate, Reader(), given
        trained_on = run.settings.get("speech_folder") or []
        trained = {Path(str(file)).resolve() for file in trained_on if isinstance(trained_on, list)}
        found = list_files(tuple(given.background)) if given.background else []
        files = [file for file in found if file.resolve() not in trained]
        self.judged = split_background(files, 0.33, 1)[1] if files else []
        self.words = [clip for source in given.positives for clip in clips_of(source, {})]

    def clips(self, step: ExportStep) -> Iterator[np.ndarray]:
        """Sequences of positives, then of cuts from the background, each of whole calls."""
        for clip in self.words:
            yield self._calls(step, self.reader.read(clip.file))
        for file in self.judged:
            samples = self.reader.read(file)
            middle = max(0, len(samples) // 2 - int(CUT * RATE / 2))
            yield self._calls(step, samples[middle : middle + int(CUT * RATE)])

    def _calls(self, step: ExportStep, samples: np.ndarray) -> np.ndarray:
        samples = self._at_rate(samples)
        calls = len(samples) // step.about.hop
        return as_pcm(samples[: calls * step.about.hop]).reshape(calls, *step.example.shape)

    def _at_rate(self, samples: np.ndarray) -> np.ndarray:
        found: np.ndarray = soxr.resample(samples, RATE, self.rate) if self.rate != RATE else samples
        return found

    def word_tracks(self) -> Iterator[tuple[str, np.ndarray, list[Place]]]:
        """Name, samples and words of the track of each ratio."""
        for snr in parsed_ratios(self.given.snr):
            track = WordTrack(self.words, self.judged, snr, self.reader, 1)
            samples = np.concatenate(list(track))
            yield ratio_name(snr), to_pcm(self._at_rate(samples)), track.places

    def background(self) -> np.ndarray:
        """Samples of the background alone."""
        most, parts, count = int(self.given.minutes * 60 * RATE), [], 0
        for block in BackgroundTrack(self.judged, self.reader, 1):
            parts.append(block)
            count += len(block)
            if count >= most:
                break
        return to_pcm(self._at_rate(np.concatenate(parts)[:most]))


def missed(hits: Hits | None, places: Sequence[Place], word: str) -> int | str:
    """Words without a hit from their start to a second after their end."""
    if hits is None:
        return "-"
    times = np.array([seconds for seconds, found in hits if found == word])
    return sum(not np.any((times >= place.start) & (times <= place.end + AFTER)) for place in places)


def measured(path: Path, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures of a run."""
    run = RunFolder(path)
    step = export_step(run)
    place = given.store or Path(str(run.settings["store"]))
    valid = Validation(step, run, Store(place)) if place.is_dir() else None
    sound = Sound(run, step, given) if step.about.hop else None
    known = sound.clips(step) if sound else (one[:CALLS] for one in (valid.sequences if valid is not None else ()))
    clips = list(itertools.islice(known, given.clips))
    recorded, more = len(clips), made_up(step)
    clips += itertools.islice(more, given.clips - recorded)
    tracks, background, word = [], None, ""
    if sound and isinstance(step.model, SpotterModel) and len(step.about.thresholds) == 1:
        (word,) = step.about.thresholds
        tracks = list(sound.word_tracks()) if sound.words and sound.judged else []
        background = sound.background() if sound.judged else None
    texts: list[str] = []
    if step.about.kind == "text" and recorded:
        spelling, transcriber = spelling_of(run), Transcriber(run)
        texts = [SPACE.join(one.text for one in transcriber.utterances([clip.ravel()])) for clip in clips[:recorded]]
    about = {
        "run": path.name, "clips": given.clips, "recorded": recorded, "state": 4 * step.initial.numel(),
        "words": len(tracks[0][2]) if tracks else 0,
        "hours": 0.0 if background is None else len(background) / step.about.sample_rate / 3600,
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    answers: list[np.ndarray] = []
    for number, (kind, int8) in enumerate(SIDES):
        side = opened(kind, run, step, int8, folder / f"{number}")
        found = side.outputs(clips)
        answers = answers or found
        row: dict[str, Any] = {"side": f"{kind.name}{', int8' * int8}", "bytes": side.size}
        row["difference"] = max(
            difference(one.ravel(), other.ravel()) for one, other in zip(found, answers, strict=True)
        )
        if texts:
            heard = [spelling.text(unit.unit for unit in collapse(best_path(one[:, 0]))) for one in found[:recorded]]
            row["texts"] = f"{sum(map(operator.eq, heard, texts))} of {recorded}"
        if valid is not None:
            frames = opened(kind, run, valid.step, int8, folder / f"{number}f")
            row["figure"] = valid.score([one[:, 0] for one in frames.outputs(valid.sequences)])
        for name, pcm, places in tracks:
            row[f"missed {name}"] = missed(side.hits(pcm), places, word)
        if background is not None:
            hits = side.hits(background)
            row["alarms"] = "-" if hits is None else sum(one == word for _, one in hits)
        row["us"] = side.time()
        if step.about.hop:
            row["rtf"] = row["us"] / 1e6 / (step.about.hop / step.about.sample_rate)
        rows.append(row)
        print(json.dumps(row), file=sys.stderr)
    about["figure"] = "" if valid is None else valid.told([row["figure"] for row in rows[:1]], ["torch"])
    return about | {"sides": rows}


def opened(kind: type[Side], run: RunFolder, step: ExportStep, int8: bool, folder: Path) -> Side:
    """A side with a folder of its own."""
    folder.mkdir()
    return kind(run, step, int8, folder)


def shown(found: dict[str, Any]) -> Iterator[str]:
    """The lines of a run's table."""
    forms = {"difference": "{:.1e}", "figure": "{:.2f}", "bytes": "{:,}", "us": "{:,.0f}", "rtf": "{:.4f}"}
    if "nats" in found["figure"] or "deviations" in found["figure"]:
        forms["figure"] = "{:.4f}"
    names = [name for name in found["sides"][0] if name != "side"]
    parts = [
        f"{found['run']}: {found['clips']} sequences, {found['recorded']} of them real",
        f"state {found['state']:,} bytes",
        *([found["figure"]] if found["figure"] else []),
        *([f"{found['words']} words, {found['hours']:.2f} h of background"] if found["hours"] else []),
    ]
    yield "; ".join(parts)
    rows = [[row["side"], *(forms.get(name, "{}").format(row[name]) for name in names)] for row in found["sides"]]
    yield from table(("", *names), rows)
    yield ""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="A trained model's step in torch, onnxruntime, C and JavaScript")
    parser.add_argument("runs", type=Path, nargs="*", help="run folders")
    parser.add_argument("--store", type=Path, help="whose validation split is used; by default that of the training")
    parser.add_argument("--clips", type=int, default=100, help="sequences that are compared (default 100)")
    parser.add_argument("--positives", type=Path, nargs="*", default=[], help="clips of the word: folders or tables")
    parser.add_argument("--background", type=Path, nargs="*", default=[], help="sound without the word")
    parser.add_argument("--snr", default="clean,10", help="of the words above the background (default clean,10)")
    parser.add_argument("--minutes", type=float, default=60.0, help="of background at most (default 60)")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    given = parser.parse_args()
    if not given.runs:
        print("skipped: it needs a run that can be exported", file=sys.stderr)
        return
    torch.set_num_threads(1)
    checking.SECONDS = 3600  # a program may hear an hour
    found = []
    for path in given.runs:
        with tempfile.TemporaryDirectory() as folder:
            found.append(measured(path, given, Path(folder)))
        print("\n".join(shown(found[-1])), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
