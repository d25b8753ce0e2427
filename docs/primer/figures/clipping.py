"""A training that explodes, one that crawls, and one with clipped gradients."""

from __future__ import annotations

from pathlib import Path

from _study import gradient_figures, measured

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of recipes/gradient_flow/figures.py


def draw(language: str, out: Path) -> None:
    """Write clipping.png into a folder."""
    gradient_figures().draw_clipping(measured("clipping"), out / "clipping.png", language)
