"""The `seqaudio` command. The module of a subcommand is imported when it is called."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from seqaudio.cli.options import exit_status, run, take_shared
from seqaudio.errors import FolderError, OptionError
from seqaudio.interruption import end_with_parent
from seqaudio.version import __version__

SCRIPTS = {
    "prepare": "make a store of a corpus: recordings, MIDI, tables or text",
    "train": "train a model on a store: one recipe for each task",
    "evaluate": "measure a run beside its baselines",
}
COMMANDS = {
    "wake": "make a wake-word detector from nothing, in minutes",
    "recognize": "recognise the keywords in each recording",
    "transcribe": "write down what is said in recordings, files or live sound",
    "listen": "print keywords as they are heard, from a microphone or stdin",
    "wyoming": "serve wake words to Home Assistant",
    "serve": "a page in the browser",
    "record": "record words of your own, from a microphone or stdin",
    "generate": "write new music as MIDI, sound and picture, or new text",
    "harmonize": "write three voices to a melody, or other voices of a chorale",
    "fill": "write new bars into a piece, between those that stay",
    "judge": "judge generated music beside held-out music, with a check for copies",
    "score": "measure how surprising pieces of music are to a model, event by event",
    "forecast": "continue a series beyond its end, as a table and a picture",
    "export": "write a model for other programs, as ONNX or C",
    "ngram": "make an n-gram language model of a text",
    "render": "turn MIDI into sound and a piano roll",
    "show": "draw a recording's waveform and features",
    "models": "list the trained models in the package",
    "info": "describe a store, a run, a MIDI file or a recording; list the cells",
    "check": "check whether a store is fit for training",
    "sweep": "train a grid of runs",
    "compare": "test whether runs differ by more than their seeds",
    "alarms": "score a keyword detector on a stream: missed words, false alarms",
    "probe": "measure how far back gradients reach",
    "doctor": "check the installation",
    "demo": "hear and see everything in a few minutes",
    "completion": "print tab completion for a shell",
}

# commands that share a line: the map fits a screen of 24 lines
AT_THE_END = (
    ("sweep", "compare"),
    ("recognize", "wyoming"),
    ("listen", "serve"),
    ("export", "probe"),
    ("check", "ngram"),
    ("render", "show"),
    ("demo", "models"),
    ("doctor", "completion"),
)

PACKAGE = Path(__file__).parents[1]
MAP = """seqaudio {version}: recurrent networks for speech and music; seqaudio COMMAND --help lists options
  recordings, MIDI ── prepare ──> store ── train ──> run ── evaluate, recognize, listen, generate
{commands}"""


def overview() -> str:
    """The text that `seqaudio` prints without arguments: a map and all commands, on one screen."""
    known = SCRIPTS | COMMANDS
    last = {", ".join(pair): "; ".join(known.pop(name) for name in pair) for pair in AT_THE_END}
    commands = "".join(f"  {name:<11} {what}\n" for name, what in (known | last).items())
    return MAP.format(version=__version__, commands=commands)


def main(arguments: Sequence[str]) -> None:
    """Run one command and exit."""
    sys.exit(exit_status(lambda: dispatch(arguments), debug="--debug" in arguments))


def dispatch(arguments: Sequence[str]) -> None:
    """Run one command. Raises OptionError for an unknown name, FolderError where the current folder was removed."""
    try:
        Path.cwd()
    except FileNotFoundError:  # torch itself ends the process there
        raise FolderError("the current folder was removed; cd to another one") from None
    shared, own = take_shared(arguments)
    if not own or own[0] in ("-h", "--help"):
        print(overview(), end="")
        return
    name, *rest = own
    rest += shared.words()  # after the command's own arguments, the first of which may be a name
    if name == "--version":
        print(__version__)
    elif name in SCRIPTS:
        from seqaudio.cli.scripts import run_script

        run_script(name, rest)
    elif name in COMMANDS:
        module = import_module(f"seqaudio.cli.{name}")
        run(module.Config, module.main, module.__doc__, rest, program=f"seqaudio {name}")
    else:
        from seqaudio.registry import did_you_mean

        raise OptionError(f"no command is called {name!r}; {did_you_mean(name, [*SCRIPTS, *COMMANDS])}")


def entry() -> None:
    """The console script."""
    end_with_parent()
    main(sys.argv[1:])


if __name__ == "__main__":
    with contextlib.suppress(FileNotFoundError):  # the current folder was removed
        if sys.path[:1] == [str(Path.cwd())] and Path.cwd() != PACKAGE.parent:
            del sys.path[0]  # `python -m` puts the current folder first: a torch.py there is not ours
    entry()
