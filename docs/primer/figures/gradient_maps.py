"""Gradients as heat maps: step against lag, unit against lag."""

from __future__ import annotations

from pathlib import Path

from _study import gradient_figures, measured

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of recipes/gradient_flow/figures.py


def draw(language: str, out: Path) -> None:
    """Write gradient_maps.png into a folder."""
    gradient_figures().draw_maps(measured("flow"), out / "gradient_maps.png", language)
