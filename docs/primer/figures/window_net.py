"""A feed-forward net over a window."""

from __future__ import annotations

from pathlib import Path

from _study import window_figures

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of recipes/forecasting/window_figure.py


def draw(language: str, out: Path) -> None:
    """Write window_net.png into a folder."""
    window_figures().draw_window_net(out / "window_net.png", language)
