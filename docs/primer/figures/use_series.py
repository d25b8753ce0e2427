"""Forecasts of the Mackey-Glass series by a recurrent net, a net over a window and a linear map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from _runs import made_by

from seqaudio.batching import series_of
from seqaudio.evaluation.forecasts.forecasts import predict
from seqaudio.evaluation.forecasts.splits import baselines_of, forecast_source
from seqaudio.models import ForecastModel
from seqaudio.pictures import GRID, INK, INKS, new_figure, save_figure
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

ORIGINS = (200, 620)  # of the test split
WORDS = {
    "en": {
        "gru": "recurrent net",
        "mlp": "feed-forward net over the window",
        "linear": "linear map over the window",
        "truth": "observed",
        "time": "steps from the forecast on",
        "value": "value (deviations)",
        "ahead": "step ahead",
        "error": "mean squared error",
    },
    "tr": {
        "gru": "yinelemeli ağ",
        "mlp": "pencere üzerinde ileri beslemeli ağ",
        "linear": "pencere üzerinde doğrusal dönüşüm",
        "truth": "gerçekleşen",
        "time": "öngörü anına göre adım",
        "value": "değer (standart sapma)",
        "ahead": "kaç adım sonrası",
        "error": "ortalama karesel hata",
    },
}
LINES = {"gru": (INKS[0], "-"), "mlp": (INKS[1], "--"), "linear": (INKS[2], ":")}


def draw(language: str, out: Path) -> None:
    """Write use_series.png into a folder."""
    words, folder = WORDS[language], made_by("uses_series")
    store = Store(folder / "stores/glass")
    series = series_of(store, "test")
    said = {}
    for name in ("gru", "mlp"):
        run = RunFolder(folder / "runs" / name)
        model, window, horizon = run.model(), run.settings["window"], run.settings["horizon"]
        assert isinstance(model, ForecastModel)
        said[name] = predict(model, forecast_source(series, window, horizon), horizon)
    said["linear"] = baselines_of(store, "test", window, horizon)["linear"]

    figure = new_figure(10.0, 3.4)
    panels = figure.subplots(1, 3, gridspec_kw={"width_ratios": [1.1, 1.1, 0.9]})
    truth = said["gru"].truth[:, :, 0]  # [origin, step ahead]
    for axes, origin in zip(panels, ORIGINS, strict=False):
        past = truth[origin - window : origin, 0]  # the first value behind each origin before this one
        axes.plot(np.arange(-window, 0) + 1, past, color=INK, linewidth=1.2)
        axes.plot(np.arange(1, horizon + 1), truth[origin], color=INK, linewidth=1.2, label=words["truth"])
        for name, (ink, line) in LINES.items():
            axes.plot(np.arange(1, horizon + 1), said[name].values[origin, :, 0], line, color=ink, lw=1.8)
        axes.axvline(0.5, color=GRID, linewidth=1)
        axes.set_xlabel(words["time"], fontsize=9, color=INK)
    panels[0].set_ylabel(words["value"], fontsize=9, color=INK)
    panels[2].plot([], [], color=INK, linewidth=1.2, label=words["truth"])
    for name, (ink, line) in LINES.items():
        panels[2].plot(np.arange(1, horizon + 1), said[name].by_step(), line, color=ink, lw=1.8, label=words[name])
    panels[2].set_xlabel(words["ahead"], fontsize=9, color=INK)
    panels[2].set_ylabel(words["error"], fontsize=9, color=INK)
    handles, labels = panels[2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4, fontsize=8.5, frameon=False)
    for axes in panels:
        axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
        axes.tick_params(labelsize=8, labelcolor=INK)
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    save_figure(figure, out / "use_series.png", language)
