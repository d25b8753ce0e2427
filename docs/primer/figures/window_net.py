"""A feed-forward net over a window."""

from __future__ import annotations

from pathlib import Path

from seqaudio.evaluation.forecasts_window_figure import draw_window_net

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of seqaudio.evaluation.forecasts_window_figure


def draw(language: str, out: Path) -> None:
    """Write window_net.png into a folder."""
    draw_window_net(out / "window_net.png", language)
