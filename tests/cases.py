"""Find the small inputs that show faults: the folder `cases` beside the corpora, or where SEQAUDIO_CASES leads.

Each of `audio/`, `midi/` and `adversary/` there has an `index.tsv`: name, command, right behaviour. A test says which
row it shows by `case_file("midi", "pedal_hold.mid")`; `test_case_rows.py` finds rows that no test shows.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("audio", "midi", "adversary")


def cases_folder() -> Path:
    """The folder of all cases; without it the test is skipped."""
    corpora = Path(os.environ.get("SEQAUDIO_DATA", ROOT.parent / "shared" / "data"))
    folder = Path(os.environ.get("SEQAUDIO_CASES", corpora.parent / "cases"))
    if not folder.is_dir():
        pytest.skip("the cases are not here; SEQAUDIO_CASES names their folder")
    return folder


def with_command(folder: Path) -> dict[str, str]:
    """The environment in which scripts find this project's `seqaudio`, which is put into a folder that is made."""
    folder.mkdir()
    program = folder / "seqaudio"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m seqaudio.cli.main "$@"\n')
    program.chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def case_file(kind: str, name: str) -> Path:
    """The input of a row, a file or a folder that tests read and never write to; without it the test is skipped."""
    path = cases_folder() / kind / name
    if not path.exists():
        pytest.skip(f"no case {kind}/{name}")
    return path
