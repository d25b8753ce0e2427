"""Pack trained runs as the models that come with seqaudio, with cards whose figures are measured on the packed models.

    SEQAUDIO_DATA=DATA recipes/trained_models/pack.py --runs runs

RUNS has a folder a model, as the scripts beside this one make them. Each figure of a card is what its commands print.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro

from seqaudio.cli.options import run
from seqaudio.errors import SeqAudioError
from seqaudio.export.packing import pack
from seqaudio.json_files import checked, read_json
from seqaudio.progress import say
from seqaudio.trained import Card, Figure

CARDS = Path(__file__).with_name("cards.json")  # the value of each figure is measured
RECIPES = Path(__file__).parent.parent


@dataclass(frozen=True)
class Config:
    """The runs, and which of them to pack."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()  # of models; all by default
    runs: Path = Path("runs")  # folder with a run for each


def main(config: Config) -> None:
    """Pack each model, measure it, and pack it with what was measured."""
    cards = {name: checked(Card, card) for name, card in read_json(CARDS).items()}
    for name in config.names or cards:
        card = cards[name]
        pack(config.runs / name, name, replace(card, figures=()))
        figures = tuple(replace(figure, value=measured(figure)) for figure in card.figures)
        place = pack(config.runs / name, name, replace(card, figures=figures))
        say(f"{place}: {'; '.join(map(str, figures))}")


def measured(figure: Figure) -> float:
    """The value that the commands of a figure print, run by a shell in an empty folder beside the recipes.

    Raises SeqAudioError with the last line of a command that fails.
    """
    with TemporaryDirectory() as place:
        here = Path(place, "here")
        here.mkdir()
        (here / "recipes").symlink_to(RECIPES)
        for name, arguments in (("python", ""), ("seqaudio", " -m seqaudio.cli.main")):
            program = Path(place, name)
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        search = os.pathsep.join([place, os.environ["PATH"]])
        environment = os.environ | {"PATH": search, "PYTHONPATH": str(RECIPES.parent)}
        for line in figure.commands:
            done = subprocess.run(
                line, shell=True, cwd=here, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SeqAudioError(f"{line}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
    found = json.loads(done.stdout.splitlines()[-1])
    for key in figure.key.split("."):
        found = found[int(key)] if isinstance(found, list) else found[key]
    return float(found)


if __name__ == "__main__":
    run(Config, main)
