"""List the trained models that come with seqaudio, or print the card of one: data, licence, figures, use.

Example: seqaudio models
         seqaudio models digits

A model is used by its name, wherever a run is: seqaudio recognize digits hello.wav
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro

from seqaudio.errors import OptionError
from seqaudio.files import json_text, read_plain_text
from seqaudio.registry import did_you_mean
from seqaudio.trained import card_of, packaged
from seqaudio.trained.cards import PAGE, Card

HEAD = ("name", "what it is", "licence", "commercial use", "figure", "size")


@dataclass(frozen=True)
class Config:
    """The model, or none for the list of all."""

    name: tyro.conf.Positional[str | None] = None  # model whose card is printed; by default all are listed
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the table, or a card."""
    models = packaged()
    if config.name is None:
        cards = {name: described(folder) for name, folder in models.items()}
        print(json_text({"models": list(cards.values())}) if config.json else "\n".join(table_of(models)))
        return
    if config.name not in models:
        raise OptionError(f"no model is called {config.name!r}; {did_you_mean(config.name, list(models))}")
    folder = models[config.name]
    print(json_text(described(folder)) if config.json else read_plain_text(folder / PAGE).rstrip())


def described(folder: Path) -> dict[str, Any]:
    """Name, folder, size and card of a model, as JSON."""
    return {"name": folder.name, "path": str(folder), "bytes": size_of(folder)} | asdict(card(folder))


def table_of(models: dict[str, Path]) -> list[str]:
    """The table of models, line by line."""
    from seqaudio.evaluation.tables import table

    rows = []
    for name, folder in models.items():
        one = card(folder)
        figure = str(one.figures[0]) if one.figures else ""
        rows.append((name, one.title, one.licence, one.use, figure, f"{size_of(folder) / 1000:,.0f} kB"))
    return list(table(HEAD, rows))


def card(folder: Path) -> Card:
    """The card of a packaged model. Raises OptionError where it has none."""
    if (found := card_of(folder)) is None:
        raise OptionError(f"{folder}: has no card; install seqaudio again")
    return found


def size_of(folder: Path) -> int:
    """Bytes of all files of a model."""
    return sum(file.stat().st_size for file in folder.iterdir())
