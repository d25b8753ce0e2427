"""Both problems of a window: error, weights and examples needed against its length."""

from __future__ import annotations

import json
from pathlib import Path

from _runs import made_by
from _study import window_figures

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of recipes/forecasting/window_figure.py


def draw(language: str, out: Path) -> None:
    """Write window_study.png into a folder."""
    study = json.loads((made_by("01_windows") / "runs/windows/window_study.json").read_text(encoding="utf-8"))
    window_figures().draw_window_study(study, out / "window_study.png", language)
