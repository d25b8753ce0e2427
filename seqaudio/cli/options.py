"""Command lines of all scripts and commands: parse the options, run, print an error in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from seqaudio import extensions, progress, terminal
from seqaudio.cli.grouped_help import parse
from seqaudio.cli.memory import out_of_memory
from seqaudio.cli.outputs import without_names
from seqaudio.cli.repeat import with_options_of_run
from seqaudio.errors import SeqAudioError
from seqaudio.interruption import exit_status_of, sigterm_as_ctrl_c

Config = TypeVar("Config")

BROKEN_PIPE = 128 + 13  # the shell's exit status for SIGPIPE
HELP = """Anywhere among the options:
  --use FILE   first run a Python file of yours, such as one that registers cells; repeatable
  --quiet      show no progress
  --debug      show the traceback of an error"""


class Shared(NamedTuple):
    """Options that every script and command has, anywhere among its own."""

    use: list[Path]
    quiet: bool
    debug: bool

    def words(self) -> list[str]:
        """The options as command-line arguments."""
        files = [f"{extensions.OPTION}={file}" for file in self.use]
        return [*files, *["--quiet"] * self.quiet, *["--debug"] * self.debug]


def take_shared(arguments: Sequence[str]) -> tuple[Shared, list[str]]:
    """Split arguments into the shared options and all others. Raises OptionError for a `--use` without a file."""
    rest, use = extensions.take_option(arguments)
    own = [argument for argument in rest if argument not in ("--quiet", "--debug")]
    return Shared(use, "--quiet" in rest, "--debug" in rest), own


def exit_status(action: Callable[[], None], debug: bool = False) -> int:
    """Run an action and return its exit status.

    It is 0, or 2 after an error in the input, an error of the operating system, or too little memory; the error is one
    line on stderr. Other errors, and with `debug` these too, are raised. Ctrl-C gives 130, SIGTERM 143, as in a shell.
    """
    with terminal.shown_streams():
        return _exit_status(action, debug)


def _exit_status(action: Callable[[], None], debug: bool) -> int:
    try:
        with sigterm_as_ctrl_c():
            action()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as `head`, has closed it
        terminal.discard(sys.stdout)  # else the interpreter prints an error at exit
        return BROKEN_PIPE
    except (SeqAudioError, OSError, MemoryError, RuntimeError) as error:
        message = out_of_memory(error) if isinstance(error, MemoryError | RuntimeError) else _message(error)
        if debug or not message:
            raise
        terminal.complain(f"error: {' '.join(message.split())}")
        return 2
    except KeyboardInterrupt as interrupt:
        terminal.complain(f"interrupted {interrupt}".strip())
        return exit_status_of(interrupt)
    return 0


def _message(error: SeqAudioError | OSError) -> str:
    return str(error) if isinstance(error, SeqAudioError) else _system_message(error)


def _system_message(error: OSError) -> str:
    """The path and the operating system's message; empty where the error was raised by Python code, a defect."""
    if error.strerror is None:
        return ""
    place = error.filename if error.filename2 is None else error.filename2  # filename2: the target of a move
    where = "" if place is None else f"{place if isinstance(place, int) else os.fsdecode(place)}: "
    return f"{where}{error.strerror}; fix this, or choose another path"


def run(
    config: Callable[..., Config],
    main: Callable[[Config], None],
    description: str | None = None,
    arguments: Sequence[str] | None = None,
    program: str | None = None,
) -> None:
    """Parse a command line into the frozen dataclass `config`, call `main` with it, and exit.

    The files of `--use` are run after the options are parsed, before `main`. Exit status: 0, or 2 for a bad option or
    input.

    Args:
        description: of the help text; the docstring of the module of `main` by default.
        arguments: those of this process by default.
        program: its name in the help text; that of this process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    doc = description if description is not None else sys.modules[main.__module__].__doc__

    def action() -> None:
        shared, own = take_shared(given)
        progress.quiet = shared.quiet
        own = without_names(config, with_options_of_run(config, own))
        with terminal.colours():
            parsed = parse(config, own, f"{(doc or '').strip()}\n\n{HELP}", program)
        for file in shared.use:
            extensions.use(file)
        main(parsed)

    sys.exit(exit_status(action, debug="--debug" in given))
