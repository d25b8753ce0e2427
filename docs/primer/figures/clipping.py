"""A training that explodes, one that crawls, and one with clipped gradients."""

from __future__ import annotations

from pathlib import Path

from _study import measured

from seqaudio.evaluation.gradient_flow_figures import draw_clipping

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of seqaudio.evaluation.gradient_flow_figures


def draw(language: str, out: Path) -> None:
    """Write clipping.png into a folder."""
    draw_clipping(measured("clipping"), out / "clipping.png", language)
