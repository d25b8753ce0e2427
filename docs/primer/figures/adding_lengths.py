"""Which cell stops learning the adding problem at which length."""

from __future__ import annotations

from pathlib import Path

from _study import published_adding, study

from seqaudio.evaluation.gradient_flow_figures import draw_adding

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of seqaudio.evaluation.gradient_flow_figures


def draw(language: str, out: Path) -> None:
    """Write adding_lengths.png into a folder."""
    result = published_adding()
    draw_adding(result, study().adding.names(result), out / "adding_lengths.png", language)
