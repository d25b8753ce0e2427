"""Time a keyword spotter on a stream, on one core: samples to features to probabilities, and an hour without drift.

    python benchmarks/streaming.py [--json] [--minutes 60]

The model is `spotter` in the size of the preset `base` (GRU of two layers, 549,428 parameters, 12 labels) with random
weights, which take as long as trained ones; its frames are 40 log-mel energies of 40 ms, every 20 ms. The stream is
seeded noise at changing levels, with digital silence in it.

    real_time_factor            seconds of processor time a second of sound, in blocks of 80 ms (four frames): 0.01 is
                                1 % of a core; the median of 15 rounds in which the sizes of blocks take turns
    real_time_factor_20_ms ...  the same in blocks of another size
    clock_vs_processor          time by the clock / processor time, in blocks of 80 ms: 1 on a machine that is idle
    hour_vs_whole               largest difference of a logit between an hour in blocks of 80 ms, and all its frames in
                                one call
    hour_vs_fresh               the same for the last ten minutes, and a stream that begins a minute before them: what
                                was heard before leaves no trace
    state_growth, memory_flat   numbers in the state, and resident memory, after the hour / after its first five minutes
                                (memory on Linux only)
    largest_state               greatest magnitude of any number in the state during the hour

Times in milliseconds (`p50_80_ms`, `p99_80_ms`, ...) are by the clock, for one block, whatever else the machine does.

For comparison, published and not measured here: voxrt-kws 0.1.0, a streaming Conformer of 636,000 parameters, states
0.33 ms for 32 ms of sound, a factor of 0.0103.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seqaudio.features import FeatureExtractor, FeatureSettings, StreamingExtractor, feature_settings
from seqaudio.models import SpotterModel
from seqaudio.state import State, tensors

LABELS, HIDDEN = 12, 200
BLOCKS = {"20_ms": 0.02, "80_ms": 0.08, "200_ms": 0.2, "1_s": 1.0}  # seconds
USUAL = "80_ms"  # the size of blocks that `real_time_factor` is for
ROUNDS, ROUND = 15, 8  # seconds of sound a round
SETTLED = 5  # minutes until memory has settled
FORGOTTEN = 1  # minutes after which a stream has forgotten how it began
PIECE = 10  # minutes at the end of the hour

parser = argparse.ArgumentParser(description="Time a keyword spotter on a stream")
parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
parser.add_argument("--minutes", type=int, default=60, help="length of the long stream, at least 12 (default 60)")


class Stream:
    """Samples to probabilities, in blocks of any size."""

    def __init__(self, model: SpotterModel, settings: FeatureSettings) -> None:
        self.model = model
        self.extractor = StreamingExtractor(settings)
        self.state = model.initial_state(1)

    def push(self, samples: np.ndarray) -> tuple[Tensor, Tensor]:
        """The next samples [n] -> logits and probabilities [t, C] after each frame that is complete now."""
        frames = self.extractor.push(samples)
        if not len(frames):
            return frames.new_zeros(0, LABELS), frames.new_zeros(0, LABELS)
        logits, self.state = self.model(frames[:, None], state=self.state)
        return logits[:, 0], logits[:, 0].softmax(dim=-1)


def noise(minute: int, settings: FeatureSettings) -> np.ndarray:
    """A minute of noise, [N] float32: its level changes every half second, a tenth of it is digital silence."""
    draw = np.random.default_rng([1, minute])
    level = 10 ** draw.uniform(-4, -0.5, size=120) * (draw.random(120) > 0.1)
    samples = draw.standard_normal(60 * settings.sample_rate, dtype=np.float32)
    return (samples * np.repeat(level, settings.sample_rate // 2)).astype(np.float32)


def cut(samples: np.ndarray, seconds: float, settings: FeatureSettings) -> Iterator[np.ndarray]:
    """Blocks of so many seconds."""
    size = round(seconds * settings.sample_rate)
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def speed(model: SpotterModel, settings: FeatureSettings) -> tuple[dict[str, float], dict[str, float]]:
    """Real-time factors and quantiles of the time of a block, for each size; the sizes take turns."""
    factors: dict[str, list[float]] = {name: [] for name in BLOCKS}
    clock: dict[str, list[float]] = {name: [] for name in BLOCKS}
    samples = noise(0, settings)[: ROUND * settings.sample_rate]
    for round_number in range(ROUNDS + 1):
        for name, seconds in BLOCKS.items():
            stream, times = Stream(model, settings), []
            begun = time.process_time()
            for block in cut(samples, seconds, settings):
                start = time.perf_counter()
                stream.push(block)
                times.append(1000 * (time.perf_counter() - start))
            if round_number:  # the first is a warm-up
                factors[name].append((time.process_time() - begun) / ROUND)
                clock[name] += times
    ratios = {"real_time_factor": statistics.median(factors[USUAL])}
    ratios |= {f"real_time_factor_{name}": statistics.median(factors[name]) for name in BLOCKS if name != USUAL}
    by_clock = statistics.fmean(clock[USUAL]) / 1000 / BLOCKS[USUAL]
    ratios["clock_vs_processor"] = by_clock / statistics.fmean(factors[USUAL])
    absolute = {}
    for name, times in clock.items():
        absolute |= {f"p{share}_{name}": float(np.percentile(times, share)) for share in (50, 99)}
    return ratios, absolute


def resident() -> float:
    """Mebibytes of this process in memory; NaN where the system is not Linux."""
    status = Path("/proc/self/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found.group(1)) / 1024 if found else float("nan")


def numbers(state: State) -> int:
    """The number of numbers in a state."""
    return sum(tensor.numel() for tensor in tensors(state))


def long_stream(model: SpotterModel, settings: FeatureSettings, minutes: int) -> dict[str, float]:
    """Differences and growth over a long stream in blocks of the usual size."""
    stream = Stream(model, settings)
    per_minute = round(60 / settings.frame_shift)
    logits = torch.zeros(minutes * per_minute, LABELS)  # all at once, so that memory does not grow by them
    count, largest, settled = 0, 0.0, (0, 0.0)
    for minute in range(minutes):
        for block in cut(noise(minute, settings), BLOCKS[USUAL], settings):
            new, _ = stream.push(block)
            logits[count : count + len(new)] = new
            count += len(new)
        largest = max(largest, *(float(tensor.abs().max()) for tensor in tensors(stream.state)))
        if minute + 1 == SETTLED:
            settled = numbers(stream.state), resident()
    end = numbers(stream.state), resident()
    frames = FeatureExtractor(settings)(torch.from_numpy(np.concatenate([noise(n, settings) for n in range(minutes)])))
    whole, _ = model(frames[:, None])
    start = (minutes - PIECE - FORGOTTEN) * per_minute
    fresh, _ = model(frames[start:, None])
    known = start + FORGOTTEN * per_minute
    return {
        "hour_vs_whole": float((logits[:count] - whole[:, 0]).abs().max()),
        "hour_vs_fresh": float((logits[known:count] - fresh[known - start :, 0]).abs().max()),
        "state_growth": end[0] / settled[0],
        "memory_flat": end[1] / settled[1],
        "largest_state": largest,
    }


def main(options: argparse.Namespace) -> None:
    """Measure and print."""
    if options.minutes < PIECE + FORGOTTEN + 1:
        raise SystemExit(f"--minutes {options.minutes}, expected at least {PIECE + FORGOTTEN + 1}")
    torch.set_num_threads(1)
    torch.manual_seed(1)
    settings = feature_settings("keywords+kind=log_mel")
    model = SpotterModel(settings.size, LABELS, hidden_size=HIDDEN).eval()
    model.set_normalisation(torch.full((settings.size,), -8.0), torch.full((settings.size,), 5.0))
    with torch.inference_mode():
        ratios, absolute = speed(model, settings)
        ratios |= long_stream(model, settings, options.minutes)
    if options.json:
        print(json.dumps({"ratios": ratios, "absolute": absolute}))
        return
    print(f"{model.parameter_count():,} parameters, one thread, torch {torch.__version__}")
    print(f"  {'block':<8} {'real-time factor':>17} {'p50':>9} {'p99':>9}")
    for name in BLOCKS:
        factor = ratios["real_time_factor" if name == USUAL else f"real_time_factor_{name}"]
        p50, p99 = absolute[f"p50_{name}"], absolute[f"p99_{name}"]
        print(f"  {name.replace('_', ' '):<8} {factor:17.4f} {p50:6.2f} ms {p99:6.2f} ms")
    print(f"  by the clock {ratios['clock_vs_processor']:.2f} times as long as by the processor")
    print(f"{options.minutes} minutes in blocks of {USUAL.replace('_', ' ')}")
    print(f"  largest difference from the whole {ratios['hour_vs_whole']:.2g}")
    print(f"  from a stream that begins {PIECE + FORGOTTEN} minutes before the end {ratios['hour_vs_fresh']:.2g}")
    size = numbers(model.initial_state(1))
    print(f"  state: {size} numbers, {ratios['state_growth']:g} times those after {SETTLED} minutes")
    print(f"  greatest magnitude in it: {ratios['largest_state']:.3g}")
    print(f"  memory: {ratios['memory_flat']:.3f} times that after {SETTLED} minutes")


if __name__ == "__main__":
    main(parser.parse_args())
