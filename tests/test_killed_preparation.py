"""The real command, killed at moments that a seed draws, and given again: nothing is lost, no byte differs."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_build_store import bytes_of

from conftest import RATE, ROOT, Command, spoken


def corpus(folder: Path, count: int) -> Path:
    for number in range(count):
        path = folder / ("yes", "no")[number % 2] / f"{number:04d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, spoken(number % 2, number % 3, number), RATE)
    (folder / "no" / "bad.wav").write_text("no sound")
    return folder


SCRIPT = "data_prep/audio_folder.py"


def options(source: Path, out: Path, workers: int) -> list[str]:
    return [f"--source={source}", f"--out={out}", f"--sample-rate={RATE}", f"--workers={workers}", "--quiet"]


def kill_and_repeat(tmp_path: Path, command: Command, count: int, moments: int, workers: int) -> int:
    """Kill at `moments` and repeat until the command ends by itself; how often there was a start to go on from."""
    source = corpus(tmp_path / "in", count)
    started = time.monotonic()
    script = [sys.executable, str(ROOT / SCRIPT)]
    subprocess.run([*script, *options(source, tmp_path / "whole", workers)], check=True, capture_output=True)
    whole = time.monotonic() - started
    draw = np.random.default_rng(0)
    gone_on = 0
    for moment in range(moments):
        out = tmp_path / f"store {moment}"
        process = subprocess.Popen([*script, *options(source, out, workers)], stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(0.2, 1.0) * whole)
        process.kill()
        process.wait()
        gone_on += any((tmp_path / f"store {moment}.partial").glob("chunk-*.json"))
        again = command(SCRIPT, *options(source, out, workers))
        # killed in its last instant it had finished, and the command says so
        assert again.returncode == 0 or f"{out} exists" in again.stderr
        assert bytes_of(out) == bytes_of(tmp_path / "whole"), moment
        assert not (tmp_path / f"store {moment}.partial").exists()
    return gone_on


def test_a_command_that_is_killed_goes_on_and_ends_in_equal_bytes(tmp_path: Path, command: Command) -> None:
    kill_and_repeat(tmp_path, command, 300, moments=2, workers=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_command_that_is_killed_at_twenty_moments_ends_in_equal_bytes(tmp_path: Path, command: Command) -> None:
    assert kill_and_repeat(tmp_path, command, 3000, moments=20, workers=2) >= 3
