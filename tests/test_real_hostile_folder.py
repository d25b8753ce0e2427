"""Modules in the current folder: a child process imports nothing of what a user's folder happens to hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cases import case_file
from conftest import ROOT


def run_beside(folder: Path, module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The console script in a folder that holds a module of that name, which leaves a mark when it is run."""
    (folder / module).write_text('open("EXECUTED", "w")\n', encoding="utf-8")
    code = "import sys; sys.path.remove(''); from seqaudio.cli.main import entry; entry()"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert not (folder / "EXECUTED").exists()
    return done


@pytest.mark.timeout(120)
def test_trainings_of_a_sweep_run_no_module_of_the_current_folder(tmp_path: Path) -> None:
    case_file("adversary", "cwd-code-sweep.sh")
    small = ("--steps", "3", "--check-every", "3", "--length", "10", "--hidden-size", "2")
    done = run_beside(tmp_path, "torch.py", "sweep", "memory_tasks", "--seeds", "1", "--out", "sw", "--", *small)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(120)
def test_workers_run_no_module_of_the_current_folder(tmp_path: Path, word_folder: Path) -> None:
    case_file("adversary", "cwd-code-workers.sh")
    prepare = ("prepare", "audio_folder", "--source", word_folder, "--out", "o", "--workers", "2")
    done = run_beside(tmp_path, "pickle.py", *prepare)
    assert done.returncode == 0, done.stderr
