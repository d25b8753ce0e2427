"""What every script and command does with its options: parse them, run, turn an error into one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from seqaudio import extensions, progress
from seqaudio.cli.grouped_help import parse
from seqaudio.cli.repeat import with_options_of_run
from seqaudio.errors import SeqAudioError

Config = TypeVar("Config")

ENOUGH = 128 + 13  # as shells tell of SIGPIPE
INTERRUPTED = 130  # the shell's status for Ctrl-C
HELP = """Anywhere among the options:
  --use FILE   first run a Python file of yours, which registers cells; repeatable
  --quiet      leave out progress
  --debug      show where an error comes from"""


class Shared(NamedTuple):
    """The options that every script and command understands, anywhere among its own."""

    use: list[Path]
    quiet: bool
    debug: bool

    def words(self) -> list[str]:
        """The same as arguments."""
        files = [f"{extensions.OPTION}={file}" for file in self.use]
        return [*files, *["--quiet"] * self.quiet, *["--debug"] * self.debug]


def take_shared(arguments: Sequence[str]) -> tuple[Shared, list[str]]:
    """The shared options and all other arguments. Raises OptionError for a `--use` without a file."""
    rest, use = extensions.take_option(arguments)
    own = [argument for argument in rest if argument not in ("--quiet", "--debug")]
    return Shared(use, "--quiet" in rest, "--debug" in rest), own


def guarded(action: Callable[[], None], debug: bool = False) -> int:
    """Run an action; 0, or 2 with one line on stderr for an error that a user can mend, or that the system reports."""
    try:
        action()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads what is printed, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter would complain at its end
        return ENOUGH
    except (SeqAudioError, OSError) as error:
        told = str(error) if isinstance(error, SeqAudioError) else _told_by_system(error)
        if debug or not told:
            raise
        print(f"error: {' '.join(told.split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"interrupted {interrupt}".strip(), file=sys.stderr)
        return INTERRUPTED
    return 0


def _told_by_system(error: OSError) -> str:
    """What the system said against which path; empty for an error that a program made up, which is a defect."""
    if error.strerror is None:
        return ""
    place = error.filename if error.filename2 is None else error.filename2  # of a move: where to
    where = "" if place is None else f"{place if isinstance(place, int) else os.fsdecode(place)}: "
    return f"{where}{error.strerror}, says the system; mend that, or choose another path"


def run(
    config: Callable[..., Config],
    main: Callable[[Config], None],
    description: str | None = None,
    arguments: Sequence[str] | None = None,
    program: str | None = None,
) -> None:
    """Make the command line of a frozen dataclass, call `main` with what was given, and exit.

    The files of `--use` are run before `main` and after the options were understood. Exit status: 0, or 2 for a bad
    option or input.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    doc = description if description is not None else sys.modules[main.__module__].__doc__

    def action() -> None:
        shared, own = take_shared(given)
        progress.quiet = shared.quiet
        own = with_options_of_run(config, own)
        parsed = parse(config, own, f"{(doc or '').strip()}\n\n{HELP}", program)
        for file in shared.use:
            extensions.use(file)
        main(parsed)

    sys.exit(guarded(action, debug="--debug" in given))
