"""Memory: batches of long clips, rows that are too long for one, and what is told where it does not suffice."""

from __future__ import annotations

import errno
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from cases import case_file
from conftest import RATE, ROOT, Command, assert_refused
from seqaudio.batching import PaddedBatches, labelled_clips
from seqaudio.batching.clips import check_frames
from seqaudio.cli.memory import out_of_memory
from seqaudio.cli.options import exit_status
from seqaudio.errors import OptionError
from seqaudio.store import Store

TRAIN = "recipes/keyword_recognition/train.py"


def test_short_clips_are_batched_as_without_a_bound(word_store: Path) -> None:
    store = Store(word_store)
    clips = labelled_clips(store, store["train"], store.names)
    free, bound = (PaddedBatches(clips, 16, seed=1, max_steps=most) for most in (None, 65_536))
    assert [free.rows(epoch) for epoch in range(3)] == [bound.rows(epoch) for epoch in range(3)]
    assert len(free) == len(bound)
    check_frames(clips, int(clips.lengths.max()))


def test_a_row_that_is_longer_than_a_batch_is_named(command: Command, word_store: Path, tmp_path: Path) -> None:
    store = Store(word_store)
    clips = labelled_clips(store, store["train"], store.names)
    longest = int(clips.lengths.argmax())
    with pytest.raises(OptionError, match="--batch-frames"):
        check_frames(clips, int(clips.lengths.max()) - 1)
    done = command(TRAIN, "--store", word_store, "--run", tmp_path / "run", "--batch-frames", "10")
    assert_refused(done, store["train"].ids[longest], "expected at most the 10 of a batch")
    assert not (tmp_path / "run").exists()


def test_a_recorder_that_was_not_stopped_is_named(command: Command, tmp_path: Path) -> None:
    folder = case_file("audio", "clips")
    (tmp_path / "words").mkdir()
    for label in ("one", "two"):
        (tmp_path / "words" / label).mkdir()
        for file in sorted((folder / label).iterdir()):
            (tmp_path / "words" / label / file.name).write_bytes(file.read_bytes())
    noise = 500 * np.random.default_rng(0).standard_normal(RATE * 900)
    soundfile.write(tmp_path / "words" / "two" / "forgot_to_stop.wav", noise.astype("int16"), RATE)
    options = ("--valid-percent", "0", "--test-percent", "0", "--sample-rate", RATE)
    out = tmp_path / "store"
    done = command("seqaudio", "prepare", "audio_folder", "--source", tmp_path / "words", "--out", out, *options)
    assert done.returncode == 0, done.stderr
    store = Store(out)
    with pytest.raises(OptionError, match=r"two/forgot_to_stop\.wav \(900 s\) has 89,998 frames"):
        check_frames(labelled_clips(store, store["train"], store.names), 65_536)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
def test_the_large_cases_train_in_bounded_memory_or_name_the_file(process: Command, tmp_path: Path) -> None:
    before, sys.argv = sys.argv, ["make_big.py", str(tmp_path)]
    try:
        runpy.run_path(str(case_file("audio", "make_big.py")))
    finally:
        sys.argv = before
    told = {}
    for name in ("one_long", "with_background"):
        store, run = tmp_path / f"{name}-store", tmp_path / f"{name}-run"
        options = ("--source", tmp_path / name, "--out", store, "--sample-rate", "8000")
        done = process("seqaudio", "prepare", "audio_folder", *options)
        assert done.returncode == 0, done.stderr
        limited = f"ulimit -v 9500000; exec {sys.executable} {ROOT / TRAIN} --store {store} --run {run} --epochs 1"
        told[name] = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False, cwd=ROOT)
    assert_refused(told["one_long"], "forgot_to_stop.wav (900 s)")
    assert told["with_background"].returncode == 0, told["with_background"].stderr


def fail(error: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


ERRORS = [
    (
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 5529600000 bytes."),
        "5.15 GiB",
    ),
    (
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1024 bytes. Error code 12"),
        "1 KiB",
    ),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a capacity of"), "2.00 GiB"),
    (MemoryError("Unable to allocate 1.04 GiB for an array with shape (74993, 29, 128)"), "1.04 GiB"),
    (MemoryError("malloc of size 2097152 failed"), "2 MiB"),
    (MemoryError("std::bad_alloc"), ""),
    (RuntimeError("std::bad_alloc"), ""),
    (MemoryError(), ""),
]


@pytest.mark.parametrize(("error", "size"), ERRORS)
def test_too_little_memory_is_one_line(capsys: pytest.CaptureFixture[str], error: BaseException, size: str) -> None:
    assert exit_status(fail(error)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: not enough memory" + (f" for {size};" if size else ";"))
    assert told.count("\n") == 1


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("memory")])
def test_other_errors_are_raised(error: Exception) -> None:
    assert out_of_memory(error) == ""
    with pytest.raises(type(error)):
        exit_status(fail(error))


def test_an_allocation_that_fails_is_one_line_with_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(lambda: torch.empty(1 << 52) and None) == 2
    assert "not enough memory for 16 PiB" in capsys.readouterr().err
    assert exit_status(lambda: np.ones(1 << 52) and None) == 2
    assert "not enough memory for 32.0 PiB" in capsys.readouterr().err


def test_errno_is_still_that_of_the_system(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(fail(OSError(errno.ENOSPC, "No space left on device", "x"))) == 2
    assert "No space left" in capsys.readouterr().err
