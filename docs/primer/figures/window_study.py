"""Both problems of a window: error, weights and examples needed against its length."""

from __future__ import annotations

import json
from pathlib import Path

from _runs import made_by

from seqaudio.evaluation.forecasts_window_figure import draw_window_study

WORDS: dict[str, dict[str, str]] = {"en": {}, "tr": {}}  # those of seqaudio.evaluation.forecasts_window_figure


def draw(language: str, out: Path) -> None:
    """Write window_study.png into a folder."""
    study = json.loads((made_by("01_windows") / "runs/windows/window_study.json").read_text(encoding="utf-8"))
    draw_window_study(study, out / "window_study.png", language)
