"""Listen to a day of sound by a run in torch, onnxruntime and C: the same words at the same times, in constant memory?

    python benchmarks/day.py RUN --words FOLDER [--hours 24] [--json]

RUN spots keywords in streams. FOLDER has WAV or FLAC files at its sample rate in folders by word. The day is made up,
minute by minute from fixed seeds: noise at -65 to -45 dB of full scale, and six recordings at random places and levels.
Samples have 16 bits, which all three read: torch in blocks of a second by `Spotter`, onnxruntime and C by the files
that `seqaudio export` writes, a hop at a call. A hit of one side is that of another if it is of the same word and its
peak is less than two hops away. Two sides run at once.

    differing         hits of onnxruntime and C that torch does not have, and the reverse
    memory_growth     largest memory at the end / after the first hour (or tenth), the largest of the three sides
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import soundfile
import torch

from seqaudio.cli.main import main as seqaudio
from seqaudio.decoding.spotting import Hit, Spotter
from seqaudio.run_folder import RunFolder

SIDES = ("torch", "onnx", "c")
MINUTE = 60  # seconds
WORDS = 6  # a minute


class OnnxSpotter(Spotter):
    """A spotter whose logits come from an exported step."""

    def load(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        about = self.session.get_modelmeta().custom_metadata_map
        self.hop, self.warm_up = int(about["hop"]), int(about["warm_up"])
        self.state = np.frombuffer(base64.b64decode(about["initial_state"]), dtype="<f4")[None]
        self.rest, self.calls = np.zeros(0, dtype=np.float32), 0

    def push(self, samples: np.ndarray) -> list[Hit]:
        samples = np.concatenate([self.rest, samples])
        hops = len(samples) // self.hop
        self.rest, logits = samples[hops * self.hop :], []
        for part in samples[: hops * self.hop].reshape(hops, 1, self.hop):
            output, self.state = self.session.run(["output", "stateN"], {"input": part, "state": self.state})
            self.calls += 1
            if self.calls > self.warm_up:
                logits.append(output)
        if not logits:
            return []
        shares = torch.from_numpy(np.concatenate(logits)).double().softmax(dim=-1).numpy()
        return self._hits(self._averages.push(shares))


def minutes(folder: Path, rate: int, hours: float) -> Iterator[np.ndarray]:
    """The day in minutes of int16 samples."""
    files = sorted([*folder.glob("[!_]*/*.wav"), *folder.glob("[!_]*/*.flac")])
    words = [
        soundfile.read(file, dtype="float32") for file in files
    ]  # before the start: memory growth is the sides' own
    for minute in range(round(hours * 60)):
        draw = np.random.default_rng(minute)
        sound = 10 ** (draw.uniform(-65, -45) / 20) * draw.standard_normal(MINUTE * rate).astype(np.float32)
        for number in draw.choice(len(files), WORDS):
            samples, found = words[number]
            if found != rate or len(samples) > MINUTE * rate / 2:
                raise SystemExit(
                    f"error: {files[number]}: {len(samples)} samples at {found} Hz, expected words at {rate} Hz"
                )
            start = draw.integers(0, len(sound) - len(samples))
            sound[start : start + len(samples)] += 10 ** (draw.uniform(-20, 0) / 20) * samples
        yield np.clip(np.round(32767 * sound), -32768, 32767).astype(np.int16)


def listened(side: str, run: Path, folder: Path, files: Path, hours: float) -> dict[str, Any]:
    """Hits [seconds of the peak, word] of a side, its seconds, and its largest memory in MiB early and at the end."""
    spotter = (OnnxSpotter if side == "onnx" else Spotter)(RunFolder(run))
    settings = spotter.settings
    early, start, first = max(1, round(min(60, hours * 6))), time.process_time(), 0.0
    hits: list[tuple[float, str]] = []
    torch.set_num_threads(1)
    if side == "c":
        with (files / "hits").open("w+b") as told:
            program = subprocess.Popen([files / "kws"], stdin=subprocess.PIPE, stdout=told)
            status = Path(f"/proc/{program.pid}/status")
            for number, samples in enumerate(minutes(folder, settings.sample_rate, hours), 1):
                assert program.stdin is not None
                program.stdin.write(samples.tobytes())
                peak = int(status.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) / 1024
                first = peak if number == early else first
            program.communicate()
            told.seek(0)
            for line in told.read().decode().splitlines():
                seconds, word, _ = line.split("\t")
                hits.append((float(seconds), word))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"hits": hits, "seconds": used.ru_utime + used.ru_stime, "early": first, "end": peak}
    if isinstance(spotter, OnnxSpotter):
        spotter.load(files / "kws.onnx")
    making = 0.0
    for number, (block, spent) in enumerate(_timed(minutes(folder, settings.sample_rate, hours)), 1):
        making += spent
        for second in np.split(block.astype(np.float32) / 32768, MINUTE):
            hits += [(hit.end + spotter.about.delay, hit.keyword) for hit in spotter.push(second)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        first = peak if number == early else first
    return {"hits": hits, "seconds": time.process_time() - start - making, "early": first, "end": peak}


def _timed(blocks: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, float]]:
    while True:
        start = time.process_time()
        block = next(blocks, None)
        if block is None:
            return
        yield block, time.process_time() - start


def differing(one: list[Any], other: list[Any], near: float) -> int:
    """Hits of either that the other does not have."""
    alone = 0
    for hits, others in ((one, other), (other, one)):
        times: dict[str, np.ndarray] = {}
        for word in {word for _, word in others}:
            times[word] = np.array([seconds for seconds, found in others if found == word])
        alone += sum(1 for seconds, word in hits if word not in times or np.abs(times[word] - seconds).min() > near)
    return alone


def main() -> None:
    """Listen and print."""
    parser = argparse.ArgumentParser(description="A day of sound in torch, onnxruntime and C")
    parser.add_argument("run", type=Path, nargs="?", help="run of keyword_recognition, trained on streams")
    parser.add_argument("--words", type=Path, help="folder of recordings in folders by word")
    parser.add_argument("--hours", type=float, default=24.0, help="length of the day (default 24)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run is None or given.words is None:
        print("the day is skipped: it needs a run and --words FOLDER", file=sys.stderr)
        return
    if given.side:
        print(json.dumps(listened(given.side, given.run, given.words, given.files, given.hours)))
        return
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        written = ["--out", str(files / "kws.onnx"), "--c", str(files / "kws.c")]
        subprocess.run([sys.executable, "-m", seqaudio.__module__, "export", str(given.run), *written], check=True)
        command = ["gcc", "-O2", "-std=c99", "-DSEQAUDIO_MAIN", str(files / "kws.c"), "-o", str(files / "kws"), "-lm"]
        subprocess.run(command, check=True)
        same = [sys.executable, __file__, str(given.run), "--words", str(given.words), "--hours", str(given.hours)]

        def found(side: str) -> dict[str, Any]:
            done = subprocess.run(
                [*same, "--side", side, "--files", folder], stdout=subprocess.PIPE, text=True, check=True
            )
            result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return result

        with ThreadPoolExecutor(2) as pool:
            sides = dict(zip(SIDES, pool.map(found, SIDES), strict=True))
    near = 2 * Spotter(RunFolder(given.run)).settings.frame_shift
    ratios = {"memory_growth": max(side["end"] / side["early"] for side in sides.values())}
    absolute: dict[str, float] = {"hits": len(sides["torch"]["hits"])}
    for name in ("onnx", "c"):
        absolute[f"differing_{name}"] = differing(sides["torch"]["hits"], sides[name]["hits"], near)
    for name, side in sides.items():
        absolute |= {f"{name}_processor_seconds": side["seconds"], f"{name}_MiB": side["end"]}
    if given.json:
        print(json.dumps({"ratios": ratios, "absolute": absolute}))
        return
    for key, value in (absolute | ratios).items():
        print(f"  {key:<26} {value:10.3f}")


if __name__ == "__main__":
    main()
