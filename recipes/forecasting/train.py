"""Train a forecaster: what a series was up to now -> its next values.

    data_prep/series.py --source ETTh1.csv --time-column date --period 24 --rows 8640 2880 2880 --out stores/etth1
    recipes/forecasting/train.py --store stores/etth1 --run runs/gru --model recurrent --window 96 --horizon 24
    recipes/forecasting/train.py --store stores/etth1 --run runs/mlp --model window_mlp --window 96 --horizon 24

Either net sees a window of N steps. `--model recurrent --window 0` has none: it carries its state from the first step
on, trained with `--bptt truncated`. `--recursive` trains one step ahead and feeds forecasts back. The best epoch is
chosen on validation. The test split stays closed; `evaluate.py` opens it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from seqaudio.batching import (
    Batch,
    Series,
    SeriesChannels,
    SeriesLanes,
    SeriesWindows,
    Source,
    WholeSeries,
    channels_of,
    series_of,
    statistics_of,
)
from seqaudio.bptt import TrainingOptions, TruncatedBPTT, train
from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.evaluation.figures import draw_curves, read_metrics
from seqaudio.evaluation.forecasts.figure import draw_forecasts
from seqaudio.evaluation.forecasts.forecasts import Intervals, predict
from seqaudio.evaluation.forecasts.splits import baselines_of, forecast_source, steps_of
from seqaudio.evaluation.metrics import evaluate
from seqaudio.evaluation.results import command_line, results
from seqaudio.files import write_json
from seqaudio.models import ForecastModel, build_model
from seqaudio.store import Store

MODELS = {"window_mlp": "window_mlp", "recurrent": "forecaster"}
PROBED = (8, 256)  # rows and steps that --probe-every looks at


@dataclass(frozen=True, kw_only=True)
class Config(TrainingOptions):
    """Options of the training."""

    model: Literal["window_mlp", "recurrent"] = "recurrent"
    window: int = 96  # steps that a forecast sees; 0 for a recurrent net that carries its state through the series
    horizon: int = 24  # steps ahead
    recursive: bool = False  # read out one step and feed forecasts back; all steps are read out at once otherwise
    level: Literal["none", "last", "mean", "standard"] | None = None  # taken from a window, put back behind it; last
    # where the targets are inputs, none otherwise
    apart: bool = False  # one net for all channels, each seen alone; all channels together otherwise
    cell: str | None = None  # of a recurrent net: gru where none is given; `seqaudio info --cells` lists the names
    hidden_size: int = 64  # units a layer
    layers: int = 1  # of a window_mlp, 0 leaves a linear map
    dropout: float = 0.0
    initialisation: str | None = None  # of a recurrent net, such as chrono=100
    learned_state: bool = False  # of a recurrent net: the state before the first step is learned; zero otherwise
    batch_size: int = 64  # windows; without a window, lanes that run side by side
    thin: int = 1  # an epoch takes one window in so many, drawn anew each time
    passes: int = 1  # over the training split in an epoch; more where it is short
    limit: int | None = None  # train on the first N steps of the training split only
    epochs: int = 10  # looks at validation
    figures: bool = True  # draw the curves and some forecasts


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    channels = channels_of(store)
    training, valid = series_of(store, "train", config.limit), series_of(store, "valid")

    torch.manual_seed(config.seed)
    arguments = model_arguments(config, channels)
    model = build_model(MODELS[config.model], arguments)
    assert isinstance(model, ForecastModel)
    model.check_feeds_itself(config.horizon)
    model.set_normalisation(*scaling_of(store, channels))
    valid_source = forecast_source(valid, config.window, config.horizon)
    trained = train(
        model,
        arguments,
        training_source(config, training),
        config,
        recipe="forecasting",
        name=MODELS[config.model],
        store=store,
        validate=lambda device: evaluate(model, valid_source, device),
        select=("mse", "min"),
        probe_on=probed(config, valid),
    )
    if trained is None:
        return

    best = trained.folder.model()
    assert isinstance(best, ForecastModel)
    said = predict(best, valid_source, config.horizon)
    beside = baselines_of(store, "valid", config.window, config.horizon)
    outcome = results(
        recipe="forecasting",
        seed=config.seed,
        valid=said.metrics(),
        baselines={name: {"valid": forecasts.metrics()} for name, forecasts in beside.items()},
        parameters=model.parameter_count(),
        wall_seconds=trained.seconds,
        command=command_line(),
    )
    outcome["mse_by_step"] = {"valid": steps_of({"model": said} | beside)}
    write_json(config.run / "results.json", outcome)
    if config.figures:
        draw_curves(read_metrics(trained.folder.metrics_file), trained.folder.figure("curves"))
        intervals, figure = Intervals.from_errors(said.errors), trained.folder.figure("forecasts_valid")
        draw_forecasts(said, intervals, valid, valid_source.origins, store, figure, config.run.name)
    others = ", ".join(f"{name} {forecasts.metrics()['mse']:.4f}" for name, forecasts in beside.items())
    print(
        f"validation mse {outcome['valid']['mse']:.4f}, mae {outcome['valid']['mae']:.4f} over "
        f"{outcome['valid']['count']:,} values ({others}), {model.parameter_count():,} parameters, "
        f"{trained.seconds:.0f} s; next: recipes/forecasting/evaluate.py --run {config.run} --split test"
    )


def model_arguments(config: Config, channels: SeriesChannels) -> dict[str, Any]:
    """Arguments of the model. Raises OptionError for options of the other one."""
    arguments: dict[str, Any] = {
        "input_size": len(channels.inputs),
        "output_size": len(channels.targets),
        "horizon": 1 if config.recursive else config.horizon,
        "window": config.window,
        "level": config.level or ("last" if config.window and channels.places is not None else "none"),
        "apart": config.apart,
        "targets": channels.places,
        "hidden_size": config.hidden_size,
        "layers": config.layers,
        "dropout": config.dropout,
    }
    recurrent = {"cell": config.cell, "initialisation": config.initialisation, "learned_state": config.learned_state}
    given = {name: value for name, value in recurrent.items() if value}
    if config.model == "recurrent":
        return arguments | {"cell": "gru"} | given
    for name, value in given.items():
        raise OptionError(f"--{name.replace('_', '-')} {value} belongs to --model recurrent; leave it out")
    return arguments


def scaling_of(store: Store, channels: SeriesChannels) -> tuple[torch.Tensor, ...]:
    """Mean and deviation of the inputs and of the targets over the training rows, as the model takes them."""
    statistics = [torch.from_numpy(values).float() for values in statistics_of(store)]
    return tuple(values[list(which)] for which in (channels.inputs, channels.targets) for values in statistics)


def training_source(config: Config, training: Sequence[Series]) -> Source:
    """Drawn windows; without a window, lanes for truncated BPTT and whole series for the other strategies.

    Raises OptionError where strategy and window do not go together.
    """
    strategy = config.strategy()
    horizon = 1 if config.recursive else config.horizon
    if config.window:
        if config.bptt != "full":
            raise OptionError(
                f"--bptt {config.bptt} beside --window {config.window}: a window has one forecast, at its end, and is "
                f"unrolled whole; leave it out, or take --window 0"
            )
        return SeriesWindows(
            training, config.window, horizon, config.batch_size, config.seed, config.thin, config.passes
        )
    if config.thin != 1:
        raise OptionError(f"--thin {config.thin} beside --window 0: there are no windows to leave out")
    if isinstance(strategy, TruncatedBPTT):
        return SeriesLanes(training, horizon, config.batch_size, strategy.batch_steps, config.passes)
    if config.passes != 1:
        raise OptionError(f"--passes {config.passes} beside whole series, expected --epochs; leave it out")
    return WholeSeries(training, horizon, config.batch_size)


def probed(config: Config, valid: Sequence[Series]) -> Batch:
    """Some rows of validation, without the past before it."""
    horizon = 1 if config.recursive else config.horizon
    rows, steps = PROBED
    if config.window:
        return next(SeriesWindows(valid, config.window, horizon, rows, seed=0).epoch(0))
    own = [one.since(one.first) for one in valid]
    return next(SeriesLanes(own, horizon, rows, steps).epoch(0))


if __name__ == "__main__":
    run(Config, main)
