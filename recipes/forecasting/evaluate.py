"""Evaluate a trained forecaster on a split, beside its baselines: errors, and coverage of its prediction intervals.

    recipes/forecasting/evaluate.py --run runs/gru --split test
    recipes/forecasting/evaluate.py --run runs/gru --split test --drop-last 32

Intervals come from the errors on validation. Each use of the test split adds a line to the run's `test_reads.tsv`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching import channels_of, series_of
from seqaudio.cli.as_json import print_evaluation
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import lost_to, open_run
from seqaudio.evaluation.forecasts.figure import draw_forecasts
from seqaudio.evaluation.forecasts.forecasts import Forecasts, Intervals, predict
from seqaudio.evaluation.forecasts.splits import baselines_of, forecast_source, steps_of
from seqaudio.evaluation.results import read_results, record_test
from seqaudio.files import write_json
from seqaudio.json_files import Count
from seqaudio.models import ForecastModel


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # run folder of a training
    store: Path | None = None  # the store of the training, if it was moved
    split: Literal["valid", "test"] = "valid"  # to evaluate on
    drop_last: int = 0  # also score the windows of whole batches of N, as Informer's loader does with 32; 0 = off
    json: bool = False  # print one JSON object instead of text
    figures: bool = True  # draw some forecasts


def main(config: Config) -> None:
    """Print the metrics; on the test split, record them in results.json."""
    folder, store = open_run(config.run, "forecasting", "series", config.store, exact=True)
    channels = channels_of(store)
    model = folder.model()
    assert isinstance(model, ForecastModel)
    window, horizon = (folder.setting(name, Count) for name in ("window", "horizon"))

    series = series_of(store, config.split)
    source = forecast_source(series, window, horizon)
    forecasts = predict(model, source, horizon)
    calibration = predict(model, forecast_source(series_of(store, "valid"), window, horizon), horizon)
    intervals = Intervals.from_errors(calibration.errors)
    metrics = metrics_of(forecasts, config.drop_last)
    count = metrics.pop("count")
    if len(channels.targets) == 1:
        metrics["rmse_in_units"] = math.sqrt(metrics["mse"]) * float(model.target_std[0])
    metrics |= intervals.coverage(forecasts) | {"count": count}
    baselines = baselines_of(store, config.split, window, horizon)
    beside = {name: metrics_of(baseline, config.drop_last) for name, baseline in baselines.items()}
    if config.split == "test":
        record_test(config.run, metrics, beside, store)
        data = read_results(config.run)
        data.setdefault("mse_by_step", {})["test"] = steps_of({"model": forecasts} | baselines)
        write_json(config.run / "results.json", data)
    figure = folder.figure(f"forecasts_{config.split}")
    if config.figures:
        draw_forecasts(forecasts, intervals, series, source.origins, store, figure, config.run.name)
    if config.json:
        print_evaluation(config.run, config.split, metrics, beside)
        return
    print(f"{config.split} mse {metrics['mse']:.4f}, mae {metrics['mae']:.4f} over {count:,} values, {horizon} ahead")
    if config.drop_last:
        kept, windows = len(forecasts.whole_batches(config.drop_last).values), len(forecasts.values)
        print(f"  in whole batches of {config.drop_last}, the first {kept:,} of {windows:,} windows: "
              f"{in_batches(metrics, config.drop_last)}")  # fmt: skip
    for level in intervals.levels:
        inside = metrics.get(f"coverage_{100 * level:g}")
        share = "validation is too small for" if inside is None else f"{100 * inside:.1f} % of the targets lie in"
        print(f"  {share} the {100 * level:g} % intervals")
    if len(channels.targets) > 1:
        errors = zip(channels.target_names, forecasts.by_channel(), strict=True)
        print("  mse by channel: " + ", ".join(f"{name} {error:.4f}" for name, error in errors))
    for name, other in beside.items():
        dropped = f"; in whole batches {in_batches(other, config.drop_last)}" if config.drop_last else ""
        print(f"  beside it, {name}: mse {other['mse']:.4f}, mae {other['mae']:.4f}{dropped}")
    if lost := lost_to(metrics, beside, "mse"):
        print(f"  {lost.removeprefix('; ')}")
    if config.figures:
        print(f"  {figure}")


def metrics_of(forecasts: Forecasts, batch: int) -> dict[str, float]:
    """The metrics over all windows and, where batch is not 0, both errors over those of whole batches too."""
    whole = forecasts.whole_batches(batch).metrics() if batch else {}
    return forecasts.metrics() | {f"{name}_in_batches_of_{batch}": whole[name] for name in ("mse", "mae") if whole}


def in_batches(metrics: dict[str, float], batch: int) -> str:
    """Both errors over the windows of whole batches, as text."""
    return ", ".join(f"{name} {metrics[f'{name}_in_batches_of_{batch}']:.4f}" for name in ("mse", "mae"))


if __name__ == "__main__":
    run(Config, main)
