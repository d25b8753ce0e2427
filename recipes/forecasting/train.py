"""Train a forecaster: the past of a series -> its next values.

    data_prep/series.py --source ETTh1.csv --time-column date --period 24 --rows 8640 2880 2880 --out stores/etth1
    recipes/forecasting/train.py --store stores/etth1 --run runs/gru --model recurrent --window 96 --horizon 24
    recipes/forecasting/train.py --store stores/etth1 --run runs/mlp --model window_mlp --window 96 --horizon 24

Either net forecasts from a window of N steps. With `--model recurrent --window 0` there is no window: the state is
carried from the first step on, and trained with `--bptt truncated`. `--recursive` trains for one step ahead and feeds
forecasts back. The best epoch is chosen on validation; only `evaluate.py` reads the test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from seqaudio.batching import SeriesLanes, SeriesWindows, Source, WholeSeries, channels_of, scaling_of, series_of
from seqaudio.bptt import StoreOptions, TrainingOptions, TruncatedBPTT, train
from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.evaluation.finishing import finish
from seqaudio.evaluation.forecasts.figure import draw_forecasts
from seqaudio.evaluation.forecasts.forecasts import Intervals, predict
from seqaudio.evaluation.forecasts.splits import baselines_of, forecast_source, probed_series, steps_of
from seqaudio.evaluation.metrics import evaluate
from seqaudio.models import ForecastModel, ForecastModelOptions, build_model
from seqaudio.store import Store


@dataclass(frozen=True, kw_only=True)
class Config(StoreOptions, ForecastModelOptions, TrainingOptions):
    """Options of the training."""

    FIRST: ClassVar = ("store", "run", "model", "window", "horizon", "cell", "epochs", "learning_rate")
    GROUP: ClassVar = "data"

    batch_size: int = 64  # windows of a batch; with --window 0, parallel lanes
    thin: int = 1  # stride: each epoch draws one in N windows
    passes: int = 1  # over the training split in each epoch; more for a short one
    limit: int | None = None  # train on the first N steps of the training split only
    epochs: int = 10  # validation follows each of them
    figures: bool = True  # draw the learning curves and some forecasts


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    check(config)
    store = Store(config.store)
    channels = channels_of(store)
    training, valid = series_of(store, "train", config.limit), series_of(store, "valid")

    torch.manual_seed(config.seed)
    description = config.description(len(channels.inputs), len(channels.targets), channels.places)
    model = build_model(**description)
    assert isinstance(model, ForecastModel)
    model.check_feeds_itself(config.horizon)
    model.set_normalisation(*scaling_of(store))

    strategy, ahead, size = config.strategy(), config.output_steps, config.batch_size
    batches: Source
    if config.window:  # random windows, with one forecast at the end of each
        batches = SeriesWindows(training, config.window, ahead, size, config.seed, config.thin, config.passes)
    elif isinstance(strategy, TruncatedBPTT):  # the series cut into lanes: the state is carried from window to window
        batches = SeriesLanes(training, ahead, size, strategy.batch_steps, config.passes)
    else:  # whole series, padded
        batches = WholeSeries(training, ahead, size)
    valid_batches = forecast_source(valid, config.window, config.horizon)

    trained = train(
        model,
        strategy,
        batches,
        config,
        recipe="forecasting",
        description=description,
        data=store,
        validate=lambda device: evaluate(model, valid_batches, device),
        select=("mse", "min"),
        probe_on=probed_series(valid, config.window, ahead),
    )
    if trained is None:  # the first process has the results
        return

    best = trained.folder.model()
    assert isinstance(best, ForecastModel)
    forecasts = predict(best, valid_batches, config.horizon)
    baselines = baselines_of(store, "valid", config.window, config.horizon)
    metrics = forecasts.metrics()
    finish(
        trained,
        reached=f"mse {metrics['mse']:.4f}, mae {metrics['mae']:.4f} over {metrics['count']:,} values",
        metric="mse",
        baselines={name: baseline.metrics() for name, baseline in baselines.items()},
        valid=metrics,
        more={"mse_by_step": {"valid": steps_of({"model": forecasts} | baselines)}},
        curves=config.figures,
    )
    if config.figures:
        intervals, figure = Intervals.from_errors(forecasts.errors), trained.folder.figure("forecasts_valid")
        draw_forecasts(forecasts, intervals, valid, valid_batches.origins, store, figure, config.run.name)


def check(config: Config) -> None:
    """Raise OptionError for options of batches that have no effect with this window or strategy."""
    if config.window and config.bptt != "full":
        raise OptionError(f"--bptt {config.bptt} with --window {config.window}: a window is always unrolled whole; "
                          f"leave --bptt out, or give --window 0")  # fmt: skip
    if not config.window and config.thin != 1:
        raise OptionError(f"--thin {config.thin} with --window 0: there are no windows to draw; leave --thin out")
    if not config.window and config.bptt != "truncated" and config.passes != 1:
        raise OptionError(f"--passes {config.passes} with whole series: each epoch is one pass; give --epochs instead")


if __name__ == "__main__":
    run(Config, main)
