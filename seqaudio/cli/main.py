"""The `seqaudio` command: uses what the scripts made. Each command's room is imported when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import seqaudio
from seqaudio.cli.options import run

COMMANDS = {
    "info": "what a store holds",
    "recognize": "the keyword in each recording",
    "generate": "new music as MIDI",
}

MAP = """seqaudio {version}: recurrent networks for speech and music

  recordings ── data_prep/*.py ─┐
                                ├─> store ── recipes/*/train.py ──> run ──> seqaudio recognize | generate
  MIDI ──────── data_prep/*.py ─┘                 evaluate.py ─────> results.json

Commands (seqaudio COMMAND --help tells its options):
{commands}
"""


def overview() -> str:
    """The map of one screen that `seqaudio` alone prints."""
    commands = "\n".join(f"  {name:<11}{what}" for name, what in COMMANDS.items())
    return MAP.format(version=seqaudio.__version__, commands=commands)


def main(arguments: Sequence[str]) -> None:
    """Run one command and exit."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(overview(), end="")
        sys.exit(0)
    name, *rest = arguments
    if name == "--version":
        print(seqaudio.__version__)
        sys.exit(0)
    if name not in COMMANDS:
        from seqaudio.registry import did_you_mean

        print(f"error: no command is called {name!r}; {did_you_mean(name, list(COMMANDS))}", file=sys.stderr)
        sys.exit(2)
    room = import_module(f"seqaudio.cli.{name}")
    run(room.Config, room.main, arguments=rest, program=f"seqaudio {name}")


def entry() -> None:
    """The console script."""
    main(sys.argv[1:])


if __name__ == "__main__":
    entry()
