"""Gradient against lag: linear nets beside theory, and simple nets."""

from __future__ import annotations

from pathlib import Path

from _study import measured

from seqaudio.evaluation.gradient_flow_figures import draw_flow

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of seqaudio.evaluation.gradient_flow_figures


def draw(language: str, out: Path) -> None:
    """Write gradient_flow.png into a folder."""
    draw_flow(measured("flow"), out / "gradient_flow.png", language, ("linear", "simple"))
