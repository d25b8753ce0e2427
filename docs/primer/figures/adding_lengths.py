"""Draw at which length each cell stops learning the adding problem."""

from __future__ import annotations

from pathlib import Path

from _study import gradient_figures, published_adding, study

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of recipes/gradient_flow/figures.py


def draw(language: str, out: Path) -> None:
    """Write adding_lengths.png into a folder."""
    result = published_adding()
    gradient_figures().draw_adding(result, study().adding.names(result), out / "adding_lengths.png", language)
