"""Measurements of the recipes' studies, cached below build/primer/, and the modules that draw them."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

from _runs import CACHE
from chapters import ROOT

from seqaudio.cli.scripts import load, recipes

PUBLISHED = ROOT / "docs" / "results" / "studies" / "gradient_flow_adding.json"


def gradient_figures() -> ModuleType:
    """recipes/gradient_flow/figures.py."""
    return load(recipes("figures.py")["gradient_flow"])


def window_figures() -> ModuleType:
    """recipes/forecasting/window_figure.py."""
    return load(recipes("window_figure.py")["forecasting"])


def study() -> ModuleType:
    """recipes/gradient_flow/study.py."""
    return load(recipes("study.py")["gradient_flow"])


def measured(part: str) -> dict[str, Any]:
    """Results of the part flow or clipping, measured once; that takes seconds."""
    script = study()
    config = script.Config(out=CACHE / "gradient_flow")
    measure = {"flow": script.parts.measured_flow, "clipping": script.parts.measured_clipping}[part]
    found: dict[str, Any] = measure(config)
    return found


def published_adding() -> dict[str, Any]:
    """The published results of the adding problem at growing length."""
    found: dict[str, Any] = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return found
