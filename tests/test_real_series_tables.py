"""Tables as spreadsheets write them: what is understood is told, and forecasts are written as the table is."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from seqaudio.batching import channels_of
from seqaudio.cli.scripts import load, preparations
from seqaudio.errors import SourceError
from seqaudio.evaluation.figures import curves_figure
from seqaudio.evaluation.forecasts.figure import Panel, forecasts_figure
from seqaudio.prepare.corpora.columns import choose_columns
from seqaudio.prepare.series.rows import Columns, read_series
from seqaudio.prepare.series.times import Times, time_index
from seqaudio.store import Store

prepare = load(preparations()["series"])


def hourly(path: Path, rows: int = 40, delimiter: str = ";", decimal: str = ",") -> Path:
    begin = datetime(2024, 3, 1)
    lines = [delimiter.join(["Zeit", "Last", "Preis"])]
    for hour in range(rows):
        if hour not in (7, 8, 20):
            price = "" if hour == 5 else f"{hour / 8:.2f}".replace(".", decimal)
            lines.append(
                delimiter.join([f"{begin + timedelta(hours=hour):%Y-%m-%d %H:%M}", f"{hour}{decimal}5", price])
            )
    path.write_text("\r\n".join(lines), encoding="utf-8-sig", newline="")
    return path


def test_a_preparation_tells_the_times_and_the_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = prepare.Config(source=hourly(tmp_path / "t.csv"), time_column="Zeit", out=tmp_path / "store")
    prepare.main(config)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == (
        "37 rows from 2024-03-01 00:00 to 2024-03-02 15:00, 1 hour apart; 3 missing rows added; empty cells: Preis 1"
    )
    assert "--period 24" in told[1]


@pytest.mark.parametrize(
    ("delimiter", "decimal", "kept"),
    [
        (";", ",", {"delimiter": ";", "decimal": ","}),
        (";", ".", {"delimiter": ";"}),
        (",", ".", {}),
        ("\t", ",", {"delimiter": "\t", "decimal": ","}),
    ],
)
def test_a_store_keeps_how_its_table_is_written(
    tmp_path: Path, delimiter: str, decimal: str, kept: dict[str, str]
) -> None:
    source = hourly(tmp_path / "t.csv", delimiter=delimiter, decimal=decimal)
    prepare.main(prepare.Config(source=source, time_column="Zeit", out=tmp_path / "store"))
    store = Store(tmp_path / "store")
    settings = store.settings["series"]
    assert {name: settings[name] for name in ("delimiter", "decimal") if name in settings} == kept
    assert channels_of(store).names == ("Last", "Preis")
    assert read_series(source, Columns("Zeit")).values[3].tolist() == [3.5, 0.38]


@pytest.mark.parametrize(
    ("interval", "first", "steps", "texts"),
    [
        ("1 hour", 60, 96, ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07"]),
        ("1 hour", 2, 20, ["2024-03-01 06:00", "2024-03-01 12:00", "2024-03-01 18:00"]),
        ("15 minutes", 3, 10, ["2024-03-01 01:00", "2024-03-01 01:30", "2024-03-01 02:00", "2024-03-01 02:30",
                               "2024-03-01 03:00"]),
        ("1 day", 0, 30, ["2024-03-04", "2024-03-11", "2024-03-18", "2024-03-25"]),
    ],
)  # fmt: skip
def test_axes_are_marked_at_round_times(interval: str, first: int, steps: int, texts: list[str]) -> None:
    start = "2024-03-01" if interval == "1 day" else "2024-03-01 00:00"
    times = Times.of({"start": start, "interval": interval})
    known, ahead = np.arange(steps - 4), np.arange(steps - 4, steps)
    panel = Panel("x", known, known * 1.0, ahead, ahead * 1.0, ahead * 1.0, np.ones((1, 4)), first=first)
    (axes,) = forecasts_figure([panel], (0.8,), times=times).axes
    at = axes.xaxis.get_major_locator()()
    assert [axes.xaxis.get_major_formatter()(step, None) for step in at] == texts
    assert all(0 <= step < steps for step in at)


def test_months_are_marked_at_the_first_of_round_ones() -> None:
    times = Times.of({"start": "1949-11", "interval": "1 month"})
    assert times is not None
    assert [times.text(step) for step in times.marks(0, 60, 6)] == [
        "1950-01",
        "1951-01",
        "1952-01",
        "1953-01",
        "1954-01",
    ]
    numbers = Times.of({"start": "0.5", "interval": "0.25"})
    assert numbers is not None
    assert numbers.marks(0, 60, 6) == []


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("31.03.2024 00:00", "such as '%d.%m.%Y %H:%M'$"),
        ("31.03.2024", r"such as %d\.%m\.%Y$"),
        ("3/4/2024", "such as %d/%m/%Y or %m/%d/%Y$"),
        ("noon", r"such as %d\.%m\.%Y$"),
    ],
)
def test_a_time_in_another_form_is_refused_with_the_form_that_fits(text: str, form: str) -> None:
    with pytest.raises(SourceError, match=form):
        time_index([text], "table")


def test_a_squared_error_is_no_nats() -> None:
    epochs = [
        {"epoch": n, "train_loss": 1.0 / n, "valid": {"mse": 1.1 / n, "mae": 0.5}, "best": n == 3} for n in (1, 2, 3)
    ]
    (axes,) = curves_figure(epochs).axes
    assert axes.get_ylabel() == "mse"
    assert [line.get_label() for line in axes.lines][:2] == ["training", "validation"]


def test_what_a_table_lacks_is_told_at_once(tmp_path: Path) -> None:
    rows = [{"Datei": "a.wav", "Klasse": "ja"}]
    with pytest.raises(
        SourceError, match=r"no column 'path' or 'audio' and none 'label' or 'text'.*Datei, Klasse as --p"
    ):
        choose_columns(tmp_path / "t.csv", rows, {})


def test_usual_names_of_columns_are_understood(tmp_path: Path) -> None:
    rows = [{"Recording": "a.wav", "Word": "yes", "Level": "1"}]
    found = choose_columns(tmp_path / "t.csv", rows, {})
    assert found.used == {"path": "Recording", "label": "Word"}
    assert found.unused == ("Level",)
