"""Gradients as heat maps: step against lag, unit against lag."""

from __future__ import annotations

from pathlib import Path

from _study import measured

from seqaudio.evaluation.gradient_flow_figures import draw_maps

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of seqaudio.evaluation.gradient_flow_figures


def draw(language: str, out: Path) -> None:
    """Write gradient_maps.png into a folder."""
    draw_maps(measured("flow"), out / "gradient_maps.png", language)
