"""Gradient against lag: nets with gates, beside simple ones."""

from __future__ import annotations

from pathlib import Path

from _study import gradient_figures, measured

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of recipes/gradient_flow/figures.py


def draw(language: str, out: Path) -> None:
    """Write gradient_flow_gated.png into a folder."""
    gradient_figures().draw_flow(measured("flow"), out / "gradient_flow_gated.png", language, ("simple", "gated"))
