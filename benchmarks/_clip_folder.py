"""Time and memory to prepare a folder of one-second clips, compared with a librosa loop that saves NumPy files.

    folder_vs_librosa   the loop's time / ours, for 20,000 WAV files of 16 kHz and 16 bits and 13 cepstra of 40 filters.
                        Ours uses two worker processes and also checks every file, hashes it, takes statistics of the
                        training split and syncs the store to the disk; the loop is one process, as people write it.
                        Start-up (imports, the first extraction, starting the workers) is excluded on both sides.
                        They take turns: a fifth of the files by the loop, then all of them by ours, five times. The
                        result is the median of the five ratios, which other load on the machine affects little.
    folder_vs_reading   files a second of ours / of a loop that reads each file's bytes (`Path.read_bytes`) and does
                        nothing else, in one process: below 1, as ours does that too. The files were just written or
                        read, so they come from the system's memory and not from the disk.
    memory_flat         peak memory of a preparation of 20,000 files / that of 2,000, each in its own process, minus the
                        memory before it: after the imports, with the list of inputs. 1 means that memory does not
                        depend on the number of files.

Every measurement runs in a fresh process. Linux only, for the memory.

    python benchmarks/_clip_folder.py parts FILES    microseconds of processor time a file in each part of a
                                                     preparation, in one process; timing itself takes some of it
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from _interleaved import ratio

from seqaudio import progress
from seqaudio.features import FeatureSettings
from seqaudio.prepare.engine import Item, build_store
from seqaudio.prepare.speech.recordings import ExtractFeatures, speech_description

FILES, SMALL = 20_000, 1_000
SPLITS = ("train",) * 8 + ("valid", "test")
WARM_UP = 64  # files
TURNS = 5
WORKERS = 2
SETTINGS = FeatureSettings()


def folder_ratios(small: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Ratios, and the measured milliseconds for all files and mebibytes. `small` takes fewer files."""
    count = SMALL if small else FILES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "clips", count)
        loop = Child("librosa", folder)
        ours = Child("seqaudio", folder)
        reading = Child("reading", folder)
        seconds: dict[str, list[float]] = {"loop": [], "ours": [], "reading": []}
        for turn in range(TURNS):
            first, last = (count * part // TURNS for part in (turn, turn + 1))
            seconds["loop"].append(TURNS * loop.ask(first, last))
            os.sync()  # ours waits for the disk, and should not wait for the files of the loop
            seconds["ours"].append(ours.ask(0, count))
            seconds["reading"].append(reading.ask(0, count))
        for child in (loop, ours, reading):
            child.end()
        memory = {files: peak_of(folder, files) for files in (count // 10, count)}
    ratios = {
        "folder_vs_librosa": ratio(seconds, "loop", "ours"),
        "folder_vs_reading": ratio(seconds, "reading", "ours"),
        "memory_flat": memory[count] / memory[count // 10],
    }
    names = {"ours": "seqaudio", "loop": "librosa", "reading": "reading"}
    absolute = {f"{name}_files_a_second": count / statistics.median(seconds[rival]) for rival, name in names.items()}
    absolute |= {f"memory_{files}_files_MiB": peak for files, peak in memory.items()}
    return ratios, absolute


def make_clips(folder: Path, count: int) -> None:
    """Write WAV files of one second of noise, no two alike."""
    folder.mkdir()
    noise = (0.1 * np.random.default_rng(0).standard_normal(16_000 + count)).astype(np.float32)
    for number in range(count):
        soundfile.write(folder / clip_name(number), noise[number : number + 16_000], 16_000)


def clip_name(number: int) -> str:
    return f"{number:05d}.wav"


class Child:
    """A program to compare, in a process of its own and warmed up; `ask` times it on a range of files."""

    def __init__(self, rival: str, folder: Path) -> None:
        command = [sys.executable, __file__, rival, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()

    def ask(self, start: int, end: int) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{start} {end}\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> float:
        assert self.process.stdout is not None
        return float(json.loads(self.process.stdout.readline()))

    def end(self) -> None:
        self.process.communicate()


def peak_of(folder: Path, files: int) -> float:
    """Mebibytes that `memory` prints in a fresh process."""
    command = [sys.executable, __file__, "memory", str(folder), str(files)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def items_of(folder: Path, count: int) -> list[Item]:
    """The first `count` clips, four fifths of them in training, with ten labels.

    Names are made, not listed from the folder: a longer list would leave free memory that the first chunk then reuses.
    """
    paths = [folder / "clips" / clip_name(number) for number in range(count)]
    return [
        Item(path.name, path, path.stem, SPLITS[number % 10], label=f"label {number // 10 % 10}")
        for number, path in enumerate(paths)
    ]


def serve_seqaudio(folder: Path) -> None:
    """Prepare stores with workers that are started once."""
    items = items_of(folder, sum(1 for _ in (folder / "clips").iterdir()))
    process, description = ExtractFeatures(SETTINGS), speech_description(SETTINGS)
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:

        def prepare(start: int, end: int) -> float:
            begun = time.perf_counter()
            build_store(folder / "store", items[start:end], process, description, force=True, executor=pool)
            return time.perf_counter() - begun

        ready: set[int] = set()
        while len(ready) < WORKERS:
            ready |= set(pool.map(extract_once, [str(path) for path in sorted((folder / "clips").iterdir())[:8]]))
        prepare(0, WARM_UP)
        answer(prepare)


def extract_once(path: str) -> int:
    """Load everything a worker needs; returns its process id."""
    ExtractFeatures(SETTINGS)(Item(path, Path(path), path, "train", label="yes"))
    time.sleep(0.05)
    return os.getpid()


def serve_librosa(folder: Path) -> None:
    """Load, extract, save, one file after the other."""
    import librosa

    paths = sorted((folder / "clips").iterdir())
    (folder / "numpy").mkdir()

    def loop(start: int, end: int) -> float:
        begun = time.perf_counter()
        for path in paths[start:end]:
            samples, rate = librosa.load(path, sr=None)
            cepstra = librosa.feature.mfcc(
                y=samples,
                sr=rate,
                n_mfcc=SETTINGS.coefficients,
                n_mels=SETTINGS.mels,
                fmin=SETTINGS.low,
                htk=True,
                norm=None,
                n_fft=SETTINGS.fft_size,
                win_length=SETTINGS.window_samples,
                hop_length=SETTINGS.hop_samples,
                center=False,
            )
            np.save(folder / "numpy" / f"{path.stem}.npy", cepstra)
        return time.perf_counter() - begun

    loop(0, WARM_UP)
    answer(loop)


def serve_reading(folder: Path) -> None:
    """Read the bytes of each file, one after the other."""
    paths = sorted((folder / "clips").iterdir())

    def loop(start: int, end: int) -> float:
        begun = time.perf_counter()
        for path in paths[start:end]:
            path.read_bytes()
        return time.perf_counter() - begun

    loop(0, WARM_UP)
    answer(loop)


class Parts:
    """Processor time of the parts of a preparation: of each call, without the calls of other parts within it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.local = threading.local()  # the parts that a thread is in, each with the time when it went on

    def time(self, part: str, owner: Any, *names: str) -> None:
        """Count the functions of these names, of a module or a class, as a part."""
        for name in names:
            setattr(owner, name, self.timed(part, getattr(owner, name)))

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            inside = self.local.__dict__.setdefault("inside", [])
            self.stop(inside)
            inside.append([part, time.thread_time()])
            try:
                return function(*arguments, **named)
            finally:
                self.stop(inside)
                inside.pop()
                if inside:
                    inside[-1][1] = time.thread_time()

        return call

    def stop(self, inside: list[list[Any]]) -> None:
        if inside:
            part, since = inside[-1]
            self.seconds[part] = self.seconds.get(part, 0.0) + time.thread_time() - since


def parts(count: int) -> None:
    """Print where the processor time of a preparation in this process goes."""
    from seqaudio.prepare.engine import build, chunks, merge, partial, rows
    from seqaudio.prepare.speech import recordings

    timed = Parts()
    timed.time("list and cut into chunks", build, "_check_ids", "make_plan", "_chunks")
    timed.time("read", chunks, "read_small")
    chunks.hashlib = types.SimpleNamespace(sha256=timed.timed("hash", hashlib.sha256))  # type: ignore[assignment]
    timed.time("decode", recordings, "read_item")
    timed.time("check", recordings, "require_full_scale", "sound_faults")
    timed.time("extract", recordings, "extract_batch")
    timed.time("sums for normalisation", recordings, "statistics_of_each")
    timed.time("rows to Arrow", rows.RowWriter, "add")
    timed.time("write chunks", rows.RowWriter, "_write", "close")
    timed.time("write chunks", chunks, "put", "write_journal")
    timed.time("ledger, fingerprints", chunks, "ledger_line", "input_fingerprint", "_entered")
    timed.time("merge", merge.Merge, "add", "close")
    timed.time("hash and sync the store", merge._Shard, "_hash_and_sync")
    timed.time("hash and sync the store", merge.GrowingDigest, "close")
    timed.time("hash and sync the store", build, "sync")
    timed.time("move, remove chunks", partial.PartialStore, "move")
    process, description = ExtractFeatures(SETTINGS), speech_description(SETTINGS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder / "clips", count)
        items = items_of(folder, count)
        build_store(folder / "store", items[:WARM_UP], process, description, force=True)
        timed.seconds.clear()
        work = timed.timed("the rest", build_store)
        begun = time.process_time()
        work(folder / "store", items, process, description, force=True)
        whole = time.process_time() - begun
    for part, seconds in sorted(timed.seconds.items(), key=lambda pair: -pair[1]):
        print(f"{part:<26} {1e6 * seconds / count:6.1f}")
    print(f"{'in all':<26} {1e6 * whole / count:6.1f} microseconds a file")


def answer(work: Callable[[int, int], float]) -> None:
    """Print 0 when everything is loaded, then the seconds for each range of files that stdin gives."""
    print(0.0, flush=True)
    for line in sys.stdin:
        start, end = map(int, line.split())
        print(work(start, end), flush=True)


def memory(folder: Path, files: int) -> None:
    """Print the mebibytes that a preparation in this process takes at its peak."""
    importlib.import_module("seqaudio.features.extractor")  # with torch, which else is imported during the measurement

    items = items_of(folder, files)
    process, description = ExtractFeatures(SETTINGS), speech_description(SETTINGS)
    baseline = status("VmRSS")
    build_store(folder / "store", items, process, description, force=True)
    print(status("VmHWM") - baseline)


def status(field: str) -> float:
    """Mebibytes of this process: VmRSS is the resident set now, VmHWM its peak so far."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"/proc/self/status has no {field}; this benchmark needs Linux")
    return int(found[1]) / 1024


if __name__ == "__main__":
    progress.quiet = True
    if sys.argv[1] == "memory":
        memory(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1] == "parts":
        parts(int(sys.argv[2]))
    else:
        serve = {"seqaudio": serve_seqaudio, "librosa": serve_librosa, "reading": serve_reading}
        serve[sys.argv[1]](Path(sys.argv[2]))
