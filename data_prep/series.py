"""A table of one's own, or a series made by rule, to a store of series that can be forecast.

    data_prep/series.py --source ETTh1.csv --time-column date --period 24 --rows 8640 2880 2880 --out stores/etth1
    data_prep/series.py --series echo --delay 50 --out stores/echo

A table has column names in its first line and a row a step, in the order of time. Empty cells, NA, NaN, null and ? are
unknown: as inputs the last known value stands for them, as targets they do not count. Rows that the times leave out
are added as unknown. The beginning trains, the next part validates, the end is the test; mean and deviation for the
scaling are those of the training rows alone. Made by rule: Mackey-Glass, noisy sines, NARMA-10, an echo of known delay,
the adding and the copy problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.prepare.build import Item, build_store
from seqaudio.prepare.build.items import Process
from seqaudio.prepare.series.rows import Columns, Parts, TablePreparation, read_series
from seqaudio.prepare.series.synthetic import SERIES, SyntheticPreparation
from seqaudio.store import StoreDescription, describe_store

OF_RULES = ("length", "delay", "noise", "seed")
OF_TABLES = ("time_column", "time_format", "channels", "name", "licence")


@dataclass(frozen=True)
class Config:
    """Options of the preparation."""

    out: Path  # new folder for the store
    source: Path | None = None  # a table: comma, semicolon or tab separated values
    series: Literal["mackey_glass", "sines", "narma10", "echo", "adding", "copy"] | None = None  # or a rule
    time_column: str = ""  # that tells the times; rows are one step apart where none is named
    time_format: str = ""  # such as %d.%m.%Y, where times are neither ISO 8601 nor year-month nor numbers
    channels: tuple[str, ...] = ()  # columns to keep; all but the time where none is named
    inputs: tuple[str, ...] = ()  # channels that a forecast may see; all where none is named
    targets: tuple[str, ...] = ()  # channels to forecast; all where none is named
    period: int | None = None  # steps of a season, such as 24 or 12; 0 for none
    rows: tuple[int, ...] = ()  # of train, valid and test, such as 8640 2880 2880; what comes behind is left out
    percent: tuple[float, ...] = (70.0, 10.0, 20.0)  # of train, valid and test, where no --rows are given
    length: int | None = None  # of a rule: steps; 20,000 where none are given
    delay: int | None = None  # of a rule: how far it looks back; each rule has its own default
    noise: float | None = None  # of sines and echo: standard deviation of what is added; 0.1 where none is given
    seed: int | None = None  # of a rule; 1 where none is given
    name: str = ""  # of the corpus, for the store's description
    licence: str = ""  # of the corpus, for the store's description
    force: bool = False  # replace a store that is there


def main(config: Config) -> None:
    """Prepare the store and say what it holds."""
    parts = Parts(config.rows, config.percent)
    item, process, settings = from_table(config, parts) if config.source is not None else from_rule(config, parts)
    for name in (*config.inputs, *config.targets):
        if name not in settings["channels"]:
            raise OptionError(f"no channel is called {name!r}; there are {', '.join(settings['channels'])}")
    store = build_store(
        config.out,
        [item],
        process,
        StoreDescription(
            kind="series",
            settings={"series": settings},
            vocabulary=tuple(settings["channels"]),
            sources=(config.name or item.id,),
            licence=config.licence,
            normalise=True,
        ),
        force=config.force,
    )
    print("\n".join(describe_store(store)))


def from_table(config: Config, parts: Parts) -> tuple[Item, Process, dict[str, Any]]:
    """What `build_store` takes for a table, and the settings of its store."""
    refuse(config, OF_RULES, "belongs to --series")
    if config.source is None or config.series is not None:
        raise OptionError(f"--source {config.source} beside --series {config.series}, expected one of them")
    columns = Columns(config.time_column, config.time_format, config.channels)
    table = read_series(config.source, columns)
    parts.borders(len(table.values))
    settings = {
        "channels": list(table.channels),
        "inputs": list(config.inputs or table.channels),
        "targets": list(config.targets or table.channels),
        "period": config.period or 0,
        "one_series": True,
        "start": table.clock.start,
        "interval": table.clock.interval,
    }
    name = config.name or config.source.stem
    return Item(config.source.name, config.source, name), TablePreparation(columns, parts), settings


def from_rule(config: Config, parts: Parts) -> tuple[Item, Process, dict[str, Any]]:
    """What `build_store` takes for a series made by rule, and the settings of its store."""
    refuse(config, OF_TABLES, "belongs to --source")
    if config.series is None:
        raise OptionError("neither --source nor --series was given, expected a table or a rule, as in --series echo")
    kind = SERIES[config.series]
    given = {name: getattr(config, name) for name in OF_RULES if getattr(config, name) is not None}
    rule = kind(**{"delay": kind.default_delay, "noise": kind.default_noise, **given})
    settings = {
        "channels": list(kind.channels),
        "inputs": list(config.inputs or kind.inputs),
        "targets": list(config.targets or kind.targets),
        "period": rule.period if config.period is None else config.period,
        "one_series": kind.one_series,
        "rule": {"name": config.series, **{name: getattr(rule, name) for name in OF_RULES}},
    }
    return Item(config.series, None, config.series), SyntheticPreparation(rule, parts), settings


def refuse(config: Config, names: tuple[str, ...], why: str) -> None:
    """Raise OptionError where an option of the other kind was given."""
    for name in names:
        if getattr(config, name) not in (None, "", ()):
            raise OptionError(f"--{name.replace('_', '-')} {getattr(config, name)} {why}; leave it out")


if __name__ == "__main__":
    run(Config, main)
