"""One process at a time writes to a folder; kills free it; SIGTERM saves as Ctrl-C does; a killed sweep ends whole."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_build_store import FEATURES, NumberToFrames, bytes_of, make_items
from test_real_folders import run_case, tree
from test_sweep import TINY

from cases import case_file, with_command
from conftest import ROOT, Command, assert_refused
from seqaudio import locks
from seqaudio.cli.options import exit_status
from seqaudio.errors import FolderError, InUseError, RunError
from seqaudio.interruption import Interrupted, interruptible
from seqaudio.locks import LOCK, is_held, locked
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.run_folder import claim_run

no_posix = pytest.mark.skipif(os.name == "nt", reason="signals and FIFOs of POSIX")
HERE = socket.gethostname()


def left_by(pid: int, host: str = HERE) -> str:
    return f"{locks.FIRST_WORDS}: process {pid} on {host} since 2026-01-01 00:00:00 UTC\n"


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


# --- one lock ---


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "run" / LOCK
    with locked(file, "run", file.parent):
        assert is_held(file)
        with (
            pytest.raises(InUseError, match=rf"the run {file.parent} is in use by process {os.getpid()} on .* since 2"),
            locked(file, "run", file.parent),
        ):
            raise AssertionError
        assert is_held(file)
    assert not file.exists()
    assert not is_held(file)
    with locked(file, "run", file.parent):
        pass


def test_what_a_killed_process_left_is_taken_over_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, pid = tmp_path / LOCK, ended_process()
    file.write_text(left_by(pid))
    with locked(file, "run", tmp_path):
        assert f"process {os.getpid()} on" in file.read_text()
    assert f"was left by process {pid} on" in (said := capsys.readouterr().err)
    assert "taken over" in said
    assert len(said.splitlines()) == 1
    file.write_text(left_by(5, "elsewhere"))
    with locked(file, "run", tmp_path):
        assert "elsewhere since" in (said := capsys.readouterr().err)
        assert "cannot be seen from here" in said
    for torn in ("", "\0" * 40, "seqaudio lo", left_by(5)[:30]):
        file.write_text(torn)
        with locked(file, "run", tmp_path):
            assert is_held(file)


@no_posix
def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    file = tmp_path / LOCK
    code = f"""
import time; from pathlib import Path; from seqaudio.locks import locked
with locked(Path({str(file)!r}), "run", Path({str(tmp_path)!r})):
    print("held", flush=True); time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InUseError, match=f"process {process.pid}"), locked(file, "run", tmp_path):
            raise AssertionError
        process.kill()
    assert file.exists()
    assert not is_held(file)
    with locked(file, "run", tmp_path):
        pass


@no_posix
@pytest.mark.parametrize("kind", ["a text", "a folder", "a link", "a pipe"])
def test_a_file_of_the_user_is_no_lock(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "store.lock"
    if kind == "a text":
        file.write_text("precious")
    elif kind == "a folder":
        file.mkdir()
    elif kind == "a link":
        (tmp_path / "thesis.txt").write_text("precious")
        file.symlink_to("thesis.txt")
    else:
        os.mkfifo(file)
    with pytest.raises(FolderError, match="not a lock of seqaudio"), locked(file, "store", tmp_path):
        raise AssertionError
    assert file.is_dir() or file.is_fifo() or file.read_text() == "precious"


@no_posix
def test_without_locks_of_the_file_system_the_text_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", none)
    file = tmp_path / LOCK
    with locked(file, "run", tmp_path), pytest.raises(InUseError), locked(file, "run", tmp_path):
        raise AssertionError
    file.write_text(left_by(ended_process(), locks._host()))
    with locked(file, "run", tmp_path):
        pass
    file.write_text(left_by(1, "elsewhere"))
    with pytest.raises(InUseError, match=f"if that machine is gone, remove {file}"), locked(file, "run", tmp_path):
        raise AssertionError


def test_of_many_that_come_at_once_one_is_in(tmp_path: Path) -> None:
    file, inside, most, entered = tmp_path / LOCK, [0], [0], [0]
    guard = threading.Lock()

    def come() -> None:
        mine = 0
        while mine < 10:
            try:
                with locked(file, "run", tmp_path):
                    with guard:
                        inside[0] += 1
                        most[0] = max(most[0], inside[0])
                        entered[0] += 1
                    time.sleep(0.0005)
                    with guard:
                        inside[0] -= 1
                    mine += 1
            except InUseError:
                time.sleep(0.0005)

    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert entered[0] == 60
    assert not file.exists()


# --- preparations ---


@pytest.mark.parametrize("options", [{}, {"force": True}, {"update": True}])
def test_a_second_preparation_into_one_store_is_refused(options: dict[str, bool], tmp_path: Path) -> None:
    items = make_items(tmp_path / "in", 12)
    if options:
        build_store(tmp_path / "store", items[:9], NumberToFrames(), FEATURES)
    with locked(tmp_path / "store.lock", "store", tmp_path / "store"):
        before = tree(tmp_path)
        with pytest.raises(InUseError, match=f"process {os.getpid()}"):
            build_store(tmp_path / "store", items, NumberToFrames(), FEATURES, **options)
        assert tree(tmp_path) == before
    build_store(tmp_path / "store", items, NumberToFrames(), FEATURES, **options)
    assert not (tmp_path / "store.lock").exists()


@pytest.mark.slow
def test_two_preparations_at_once_leave_a_whole_store(tmp_path: Path, data_folder: Path) -> None:
    script, table = case_file("audio", "two_at_once.sh"), data_folder / "speech" / "fsdd" / "index.tsv"
    done = subprocess.run(
        ["bash", script, table, tmp_path / "OUT"],
        env=with_command(tmp_path / "bin"),
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    assert done.stderr.count("is in use by process") == 1
    assert done.stdout.count("arrow True") == 3


@dataclass(frozen=True)
class TerminatedOnce:
    """As `NumberToFrames`, but the process gets SIGTERM at the tenth input, once."""

    mark: Path

    def __call__(self, item: Item) -> list[Row]:
        if item.id == "010" and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGTERM)
        return NumberToFrames()(item)

    def __repr__(self) -> str:
        return repr(NumberToFrames())


@no_posix
def test_sigterm_keeps_what_a_preparation_has_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = make_items(tmp_path / "in", 24)
    process = TerminatedOnce(tmp_path / "mark")
    assert exit_status(lambda: build_store(tmp_path / "store", items, process, FEATURES, chunk=4) and None) == 143
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "interrupted what is finished is kept; give the same command again to go on"
    assert len(list((tmp_path / "store.partial").glob("chunk-*.json"))) >= 2
    build_store(tmp_path / "store", items, process, FEATURES, chunk=4)
    build_store(tmp_path / "fresh", items, NumberToFrames(), FEATURES)
    assert bytes_of(tmp_path / "store") == bytes_of(tmp_path / "fresh")


# --- signals ---


@no_posix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.usefixtures("control_c")
def test_a_signal_ends_a_command_with_the_status_of_a_shell(number: signal.Signals, status: int) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert exit_status(lambda: (os.kill(os.getpid(), number), time.sleep(5))[0]) == status
    assert signal.getsignal(signal.SIGTERM) == before


@no_posix
@pytest.mark.usefixtures("control_c")
def test_a_training_notes_the_first_signal_and_ends_where_it_comes_again() -> None:
    with interruptible() as came:
        assert not came()
        signal.raise_signal(signal.SIGTERM)
        assert came() == signal.SIGTERM
        signal.raise_signal(signal.SIGINT)  # from a sweep that got SIGTERM too
        assert came() == signal.SIGTERM
        with pytest.raises(Interrupted) as second:
            signal.raise_signal(signal.SIGINT)
        assert second.value.number == signal.SIGINT


# --- runs ---


def train(command: Command, run: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return command("seqaudio", "train", "memory_tasks", "--run", run, *TINY, *options)


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_training_of_one_run_is_refused(resume: bool, tmp_path: Path, command: Command) -> None:
    run = tmp_path / "run"
    if resume:
        assert train(command, run).returncode == 0
    with locked(run / LOCK, "run", run):
        before = tree(run)
        assert_refused(train(command, run, *["--resume"] * resume), f"in use by process {os.getpid()}")
        assert tree(run) == before
    assert train(command, run, *["--resume"] * resume).returncode == 0
    assert not (run / LOCK).exists()


@pytest.mark.parametrize("left", [[], [LOCK], [LOCK, "config.json.partial"]])
def test_a_run_that_was_killed_before_it_began_is_begun_again(
    left: list[str], tmp_path: Path, command: Command
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in left:
        (run / name).write_text(left_by(ended_process()) if name == LOCK else "{")
    assert_refused(train(command, run, "--resume"), "no config.json", "leave out --resume")
    done = train(command, run)
    assert done.returncode == 0, done.stderr
    assert ("taken over" in done.stderr) == (LOCK in left)
    assert (run / "results.json").is_file()


def test_a_folder_of_the_user_is_no_run_that_was_killed(tmp_path: Path, command: Command) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("precious")
    assert_refused(train(command, tmp_path / "run"), "exists")
    assert tree(tmp_path / "run").keys() == {"thesis.txt"}
    with pytest.raises(RunError, match="no such folder"), claim_run(tmp_path / "missing", True):
        raise AssertionError
    assert not (tmp_path / "missing").exists()


@pytest.mark.slow
def test_two_resumed_at_once_end_as_one_that_never_stopped(tmp_path: Path, data_folder: Path) -> None:
    run_case(case_file("adversary", "make_base.sh"), None, tmp_path, data_folder, tmp_path / "base")
    said = run_case(case_file("adversary", "resume-twice.sh"), None, tmp_path, data_folder)
    assert "second rc=2" in said
    assert "first rc=0" in said
    assert "is in use by process" in said
    assert "same weights" in said
    assert "60 lines" in said


# --- sweeps ---

LONG = ("--length", "60", "--steps", "4000", "--check-every", "10", "--hidden-size", "8", "--device=cpu")


@contextmanager
def sweep_in_work(out: Path) -> Iterator[subprocess.Popen[str]]:
    """A sweep whose first run has trained for an epoch; what is left of it is killed in the end."""
    words = ("sweep", "memory_tasks", "--seeds", "0", "--out", str(out), "--", *LONG)
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "seqaudio.cli.main", *words], cwd=ROOT, stderr=subprocess.PIPE, text=True
            )
        )
        stack.callback(process.kill)
        deadline = time.monotonic() + 120
        metrics = out / "seed-0" / "metrics.jsonl"
        while not (metrics.is_file() and metrics.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert metrics.stat().st_size
        yield process


def wait_until_free(lock: Path) -> None:
    deadline = time.monotonic() + 60
    while is_held(lock) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_held(lock), "the training of a killed sweep goes on"


@no_posix
def test_a_killed_sweep_takes_its_training_along_which_saves_first(tmp_path: Path, command: Command) -> None:
    run = tmp_path / "seed-0"
    with sweep_in_work(tmp_path) as process:
        other = command("seqaudio", "sweep", "memory_tasks", "--seeds", "1", "--out", tmp_path, "--", *LONG)
        assert_refused(other, f"the sweep {tmp_path} is in use by process {process.pid}")
        assert is_held(run / LOCK)
        checkpoints = set((run / "resume").glob("*.json"))
        process.kill()
        process.wait()
        wait_until_free(run / LOCK)
    assert set((run / "resume").glob("*.json")) - checkpoints, "it saved"
    assert not (run / "results.json").exists()
    assert not is_held(tmp_path / LOCK)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, len(lines) + 1))


@no_posix
@pytest.mark.slow
def test_sigterm_ends_a_sweep_after_its_training_has_saved(tmp_path: Path) -> None:
    with sweep_in_work(tmp_path) as process:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert said.splitlines()[-1] == "interrupted in seed-0; give the same command again to resume"
    assert list(tmp_path.rglob(LOCK)) == []
