"""Gradient against lag: nets with gates, beside simple ones."""

from __future__ import annotations

from pathlib import Path

from _study import measured

from seqaudio.evaluation.gradient_flow_figures import draw_flow

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of seqaudio.evaluation.gradient_flow_figures


def draw(language: str, out: Path) -> None:
    """Write gradient_flow_gated.png into a folder."""
    draw_flow(measured("flow"), out / "gradient_flow_gated.png", language, ("simple", "gated"))
