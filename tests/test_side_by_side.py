"""Work side by side: results, whose lines are whose, errors in one line, Ctrl-C once for all, a killed parent."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT
from seqaudio.cli.side_by_side import side_by_side
from seqaudio.errors import OptionError, SeqAudioError

UNIX = pytest.mark.skipif(sys.platform == "win32", reason="a console of Windows sends Ctrl-C to all its processes")
# two works that save as a training does: they begin a file, and end it when Ctrl-C comes, which takes a moment
SAVING = """
import functools, signal, sys, time
from pathlib import Path
from seqaudio.cli.side_by_side import side_by_side

def work(file):
    file.write_text("begun")
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.5)
        file.write_text("saved")
        raise

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts with it ignored
    try:
        side_by_side({name: functools.partial(work, Path(sys.argv[1]) / name) for name in ("one", "two")})
    except KeyboardInterrupt:
        print("stopped")
"""


def square(number: int) -> int:
    print(f"{number} squared")
    print("of", "it", end="", file=sys.stderr)  # a line without an end
    return number**2


def fail(error: Exception) -> None:
    raise error


def wait_for_ctrl_c(file: Path) -> None:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        file.write_text("saved")
        raise


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_and_lines_are_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    works = {"three": functools.partial(square, 3), "four": functools.partial(square, 4)}
    assert side_by_side(works) == {"three": 9, "four": 16}
    out, err = capfd.readouterr()
    assert sorted(out.splitlines()) == ["four: 4 squared", "three: 3 squared"]
    assert sorted(err.splitlines()) == ["four: of it", "three: of it"]


@UNIX
def test_an_error_of_one_is_raised_after_the_other_has_saved(tmp_path: Path) -> None:
    works = {
        "waits": functools.partial(wait_for_ctrl_c, tmp_path / "file"),
        "fails": functools.partial(fail, OptionError("--seed -1, expected 0 or more")),
    }
    with pytest.raises(OptionError, match=r"^--seed -1, expected 0 or more$"):
        side_by_side(works)


def test_a_defect_shows_where_it_was_raised() -> None:
    with pytest.raises(RuntimeError, match=r"test_side_by_side.py(.|\n)*ZeroDivisionError: of nothing"):
        side_by_side({"divides": functools.partial(fail, ZeroDivisionError("of nothing"))})


@UNIX
def test_a_process_that_is_killed_is_told_in_one_line() -> None:
    with pytest.raises(SeqAudioError, match=r"^the process of the words was killed by SIGKILL; give .* --workers 1"):
        side_by_side({"words": die})


def started(folder: Path) -> subprocess.Popen[str]:
    """The program above in a session of its own, with both works begun."""
    script = folder / "saving.py"
    script.write_text(SAVING)
    process = subprocess.Popen(
        [sys.executable, script, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    wait_for(folder, "begun")
    return process


def wait_for(folder: Path, text: str) -> None:
    files = [folder / "one", folder / "two"]
    deadline = time.monotonic() + 60
    while not all(file.is_file() and file.read_text() == text for file in files):
        assert time.monotonic() < deadline, f"not all are {text}"
        time.sleep(0.02)


@UNIX
@pytest.mark.parametrize("to_all", [True, False], ids=["as a terminal, to the whole group", "as kill, to one process"])
def test_ctrl_c_lets_both_save_once(to_all: bool, tmp_path: Path) -> None:
    process = started(tmp_path)
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("stopped\n", "")
    wait_for(tmp_path, "saved")


@UNIX
def test_both_save_when_their_parent_is_killed(tmp_path: Path) -> None:
    process = started(tmp_path)
    process.kill()
    process.wait()
    wait_for(tmp_path, "saved")
    process.communicate(timeout=60)
