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


@dataclass(frozen=True)
class Config:
    """The model, or none for the list of all."""

    name: tyro.conf.Positional[str | None] = None  # model whose card is printed; by default all are listed
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the list, or a card."""
    models = packaged()
    if config.name is None:
        cards = {name: described(folder) for name, folder in models.items()}
        print(json_text({"models": list(cards.values())}) if config.json else "\n".join(listed(models)))
        return
    if config.name not in models:
        raise OptionError(f"no model is called {config.name!r}; {did_you_mean(config.name, list(models))}")
    folder = models[config.name]
    print(json_text(described(folder)) if config.json else read_plain_text(folder / PAGE).rstrip())


def described(folder: Path) -> dict[str, Any]:
    """Name, folder, size and card of a model, as JSON."""
    return {"name": folder.name, "path": str(folder), "bytes": size_of(folder)} | asdict(card(folder))


def listed(models: dict[str, Path]) -> list[str]:
    """Three lines a model: name and what it is, its key figure, what may be done with it."""
    width = max(map(len, models), default=0) + 2
    lines = []
    for name, folder in models.items():
        one = card(folder)
        lines.append(f"{name:<{width}}{one.title}")
        lines += [f"{'':{width}}{figure}" for figure in one.figures[:1]]
        use = f"licence {one.licence}, commercial use: {one.use}, {size_of(folder) / 1000:,.0f} kB"
        lines.append(f"{'':{width}}{use}")
    return [*lines, "seqaudio models NAME prints the card of one"]


def card(folder: Path) -> Card:
    """The card of a packaged model. Raises OptionError where it has none."""
    if (found := card_of(folder)) is None:
        raise OptionError(f"{folder}: has no card; install seqaudio again")
    return found


def size_of(folder: Path) -> int:
    """Bytes of all files of a model."""
    return sum(file.stat().st_size for file in folder.iterdir())
