"""What every script and command does with its options: parse them, run, turn an error into one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from seqaudio import progress
from seqaudio.errors import SeqAudioError

Config = TypeVar("Config")

INTERRUPTED = 130  # the shell's status for Ctrl-C


def guarded(action: Callable[[], None], debug: bool = False) -> int:
    """Run an action; 0, or 2 with one line on stderr for an error that a user can mend."""
    try:
        action()
    except SeqAudioError as error:
        if debug:
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"interrupted {interrupt}".strip(), file=sys.stderr)
        return INTERRUPTED
    return 0


def run(
    config: Callable[..., Config],
    main: Callable[[Config], None],
    description: str | None = None,
    arguments: Sequence[str] | None = None,
    program: str | None = None,
) -> None:
    """Make the command line of a frozen dataclass, call `main` with what was given, and exit.

    Anywhere among the options, `--debug` shows the traceback of an error and `--quiet` leaves out progress. Exit
    status: 0, or 2 for a bad option or input.
    """
    import tyro

    given = list(sys.argv[1:] if arguments is None else arguments)
    debug, progress.quiet = "--debug" in given, "--quiet" in given
    given = [argument for argument in given if argument not in ("--debug", "--quiet")]
    doc = description if description is not None else sys.modules[main.__module__].__doc__
    parsed = tyro.cli(config, args=given, description=doc, prog=program)
    sys.exit(guarded(lambda: main(parsed), debug))
