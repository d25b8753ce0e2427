"""Gradient against lag: linear nets beside theory, and simple nets."""

from __future__ import annotations

from pathlib import Path

from _study import gradient_figures, measured

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of recipes/gradient_flow/figures.py


def draw(language: str, out: Path) -> None:
    """Write gradient_flow.png into a folder."""
    gradient_figures().draw_flow(measured("flow"), out / "gradient_flow.png", language, ("linear", "simple"))
