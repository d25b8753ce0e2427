"""A command run inside the test's own process, which saves the seconds that a new one takes to import torch.

What it prints, its exit status and what it leaves on disk are those of a process of its own. What would outlive it in
this one (folder, arguments, environment, signal handlers, generators, threads of torch, what a file of `--use` has
registered) is put back. Kills, Ctrl-C, closed streams and what the end of an interpreter does need a process: the
fixture `process`.
"""

from __future__ import annotations

import io
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from seqaudio import extensions, progress
from seqaudio.cli.main import entry
from seqaudio.registry import Registry

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_in_process(program: Path | None, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of the project, or `seqaudio` where `program` is None, from a folder."""
    argv = [str(program or "seqaudio"), *arguments]
    with ExitStack() as stack:
        stack.enter_context(_put_back(folder, argv))
        out, err = (stack.enter_context(_stream(number)) for number in (1, 2))
        status = _status_of(lambda: _start(program))
        sys.stdout.flush()
        sys.stderr.flush()
        texts = [file.seek(0) or file.read().decode() for file in (out, err)]
    return subprocess.CompletedProcess(argv, status, *texts)


def _start(program: Path | None) -> None:
    if program is None:
        sys.modules["__main__"] = ModuleType("__main__")  # else workers would import pytest as theirs
        entry()
    else:
        sys.path.insert(0, str(program.parent))
        runpy.run_path(str(program), run_name="__main__")


def _status_of(action: Callable[[], None]) -> int:
    """The exit status that the interpreter would give, after printing what it would print."""
    try:
        action()
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001  # as the interpreter does
        traceback.print_exc()
        return 1
    return 0


@contextmanager
def _stream(number: int) -> Iterator[io.BufferedRandom]:
    """Stream 1 or 2 of the process and its `sys` name, into a file."""
    name = {1: "stdout", 2: "stderr"}[number]
    before = getattr(sys, name)
    before.flush()
    kept = os.dup(number)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), number)
        # never closed: a logger that was made meanwhile may keep it, and then writes where this process writes
        setattr(
            sys,
            name,
            io.TextIOWrapper(
                io.FileIO(number, "w", closefd=False), "utf-8", before.errors, write_through=True, newline="\n"
            ),
        )
        try:
            yield file
        finally:
            setattr(sys, name, before)
            os.dup2(kept, number)
            os.close(kept)


@contextmanager
def _put_back(folder: Path, argv: list[str]) -> Iterator[None]:
    """Folder and arguments as given, warnings as Python shows them; everything as it was afterwards."""
    main_module = sys.modules["__main__"]
    place, path, given, environment = Path.cwd(), sys.path[:], sys.argv, dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    threads, quiet, used = torch.get_num_threads(), progress.quiet, dict(extensions._used)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = _show_warning
        os.chdir(folder)
        sys.argv = argv
        try:
            yield
        finally:
            os.chdir(place)
            sys.argv, sys.path[:], sys.modules["__main__"] = given, path, main_module
            os.environ.clear()
            os.environ.update(environment)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            torch.set_rng_state(states[0])
            np.random.set_state(states[1])
            random.setstate(states[2])
            torch.set_num_threads(threads)
            progress.quiet = quiet
            forget_own_files(used)


def forget_own_files(keep: Mapping[str, extensions.Extension]) -> None:
    """Leave of the files that `--use` has run those to keep, and what the others have registered unregistered."""
    gone = {f"seqaudio_extension_{sha256[:12]}" for sha256 in extensions._used.keys() - keep.keys()}
    extensions._used.clear()
    extensions._used.update(keep)
    rooms = [module for name, module in sys.modules.items() if name.startswith("seqaudio.")]
    for registry in {value for room in rooms for value in vars(room).values() if isinstance(value, Registry)}:
        for name in list(registry):
            if registry[name].__module__ in gone:
                del registry._entries[name]


def _show_warning(message, category, filename, lineno, file=None, line=None):  # type: ignore[no-untyped-def]
    print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=sys.stderr)
