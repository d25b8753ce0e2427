"""From a table, or a rule, to a store of series: what is refused, what is filled in, where it is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import Command, assert_refused
from seqaudio.batching import channels_of, series_of, statistics_of
from seqaudio.cli.scripts import load, preparations
from seqaudio.errors import OptionError, SourceError
from seqaudio.ledger import read_ledger
from seqaudio.prepare.series.rows import Columns, Parts, read_series
from seqaudio.prepare.series.synthetic import SERIES
from seqaudio.prepare.series.times import time_index
from seqaudio.store import Store

prepare = load(preparations()["series"])


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def hours(rows: int, first: int = 1) -> list[str]:
    return [f"2020-01-{first + hour // 24:02d} {hour % 24:02d}:00:00" for hour in range(rows)]


def test_the_order_of_time_cuts_and_only_training_rows_scale(tmp_path: Path) -> None:
    rows = [f"{time},{n},{2 * n}" for n, time in enumerate(hours(20))]
    source = table(tmp_path, "\n".join(["date,a,b", *rows]))
    prepare.main(
        prepare.Config(
            source=source, time_column="date", out=tmp_path / "store", rows=(10, 4, 4), targets=("b",), period=24
        )
    )
    store = Store(tmp_path / "store")
    assert [store[split].sequence(0)[:, 0].tolist() for split in ("train", "valid", "test")] == [
        list(range(10)), list(range(10, 14)), list(range(14, 18)),
    ]  # fmt: skip
    mean, std = statistics_of(store)
    np.testing.assert_allclose(mean, [4.5, 9.0])
    np.testing.assert_allclose(std, [np.std(range(10)), 2 * np.std(range(10))])
    channels = channels_of(store)
    assert (channels.names, channels.inputs, channels.targets) == (("a", "b"), (0, 1), (1,))
    assert channels.places == [1]
    assert store.settings["series"]["interval"] == "1 hour"


def test_missing_values_and_missing_rows_are_unknown_and_filled_from_the_past_alone(tmp_path: Path) -> None:
    times = hours(8)
    values = ["", "1", "2", "NA", "4", "5", "6", "7"]
    rows = [f"{time},{value}" for time, value in zip(times, values, strict=True) if not time.endswith("05:00:00")]
    source = table(tmp_path, "\n".join(["date,x", *rows]))
    prepare.main(prepare.Config(source=source, time_column="date", out=tmp_path / "store", rows=(8, 0, 0)))
    store = Store(tmp_path / "store")
    kept = store["train"].sequence(0)[:, 0]
    np.testing.assert_array_equal(kept, np.array([np.nan, 1, 2, np.nan, 4, np.nan, 6, 7], dtype=np.float32))
    mean, std = statistics_of(store)
    np.testing.assert_allclose([mean[0], std[0]], [np.mean([1, 2, 4, 6, 7]), np.std([1, 2, 4, 6, 7])])
    (series,) = series_of(store, "train")
    np.testing.assert_array_equal(series.inputs[:, 0], np.array([4, 1, 2, 2, 4, 4, 6, 7], dtype=np.float32))
    np.testing.assert_array_equal(series.targets[:, 0], kept)
    (entry,) = read_ledger(tmp_path / "store" / "ledger.tsv")
    assert entry.detail == "3 of 8 values are missing"


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        ("date,x\n2020-01-01,1\n2020-01-02,no\n", Columns("date"), ("'no' in row 2, column 'x'", "--channels")),
        ("date,x\n2020-01-01,1\n2020-01-02,2\n", Columns(), ("'2020-01-01' in row 1", "--time-column date")),
        ("date,x\n2020-01-02,1\n2020-01-01,2\n", Columns("date"), ("row 2 does not come after '2020-01-02'", "sort")),
        ("date,x\n2020-01-01,1\n2020-01-01,2\n", Columns("date"), ("row 2 does not come after",)),
        (
            "date,x\n2020-01-01,1\n2020-01-02,2\n2020-01-03,2\n2020-01-04 05:00,3\n",
            Columns("date"),
            ("row 4 comes 29 hours after", "most rows 1 day"),
        ),
        ("date,x\nsoon,1\nlater,2\n", Columns("date"), ("the time 'soon' in row 1", "--time-format")),
        ("date,x\n2020-01-01,inf\n2020-01-02,2\n", Columns("date"), ("'inf' in row 1", "finite")),
        ("date,x\n2020-01-01,1\n2020-01-02\n", Columns("date"), ("row 2 has 1 cells, expected 2",)),
        ("date,x,x\n2020-01-01,1,1\n", Columns("date"), ("two columns are called 'x'",)),
        ("date,x\n2020-01-01,\n2020-01-02,\n", Columns("date"), ("the column 'x' has no values",)),
        ("date,x\n", Columns("date"), ("1 lines, expected",)),
        ("date,x\n2020-01-01,1\n2020-01-02,2\n", Columns("when"), ("no column 'when', only date, x",)),
        ("date\n2020-01-01\n2020-01-02\n", Columns("date"), ("has only the time column 'date'",)),
    ],
)  # fmt: skip
def test_what_is_no_series_is_told_in_one_line(
    tmp_path: Path, text: str, columns: Columns, words: tuple[str, ...]
) -> None:
    with pytest.raises(SourceError) as caught:
        read_series(table(tmp_path, text), columns)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_semicolons_tabs_a_byte_order_mark_and_quotes_make_no_difference(tmp_path: Path) -> None:
    plain = read_series(table(tmp_path, "t,a,b\n0,1,2.5\n1,3,4\n"), Columns("t")).values
    for text in ("t;a;b\r\n0;1;2.5\r\n1;3;4\r\n", '\ufeff"t"\t"a"\tb\n0\t1\t"2.5"\n\n1\t3\t4\n'):
        np.testing.assert_array_equal(read_series(table(tmp_path, text), Columns("t")).values, plain)


@pytest.mark.parametrize(
    ("texts", "time_format", "interval", "places"),
    [
        (["1949-01", "1949-02", "1949-05"], "", "1 month", (0, 1, 4)),
        (["2019-12-31", "2020-12-31", "2021-12-31"], "", "1 year", (0, 1, 2)),
        (["2020-01-01 00:00", "2020-01-01 00:15", "2020-01-01 00:30"], "", "15 minutes", (0, 1, 2)),
        (["2020-03-29T00:00+01:00", "2020-03-29T02:00+02:00", "2020-03-29T03:00+02:00"], "", "1 hour", (0, 1, 2)),
        (["31.01.2020", "01.02.2020", "02.02.2020"], "%d.%m.%Y", "1 day", (0, 1, 2)),
        (["0.5", "1.0", "1.5"], "", "0.5", (0, 1, 2)),
    ],
)  # fmt: skip
def test_times_become_whole_intervals(
    texts: list[str], time_format: str, interval: str, places: tuple[int, ...]
) -> None:
    index = time_index(texts, "table", time_format)
    assert (index.interval, index.places) == (interval, places)


def test_parts_that_cannot_be_are_refused() -> None:
    assert Parts().borders(200) == (140, 160, 200)
    assert Parts((5, 2, 0)).borders(9) == (5, 7, 7)
    with pytest.raises(OptionError, match="add up to 12, but the series has 9"):
        Parts((5, 5, 2)).borders(9)
    with pytest.raises(OptionError, match="expected three up to 100"):
        Parts(percent=(90.0, 20.0, 10.0))
    with pytest.raises(OptionError, match="expected three numbers"):
        Parts((5, 2))


def test_options_of_tables_and_rules_do_not_mix(tmp_path: Path) -> None:
    refused = {
        "belongs to --source": {"series": "echo", "time_column": "date"},
        "belongs to --series": {"source": tmp_path / "x.csv", "delay": 3},
        "neither --source nor --series": {},
        "expected 10, which its rule fixes": {"series": "narma10", "delay": 3},
        "but this series has no noise": {"series": "adding", "noise": 0.5},
        "unknown channel 'loud'": {"series": "echo", "targets": ("loud",)},
    }
    for words, options in refused.items():
        with pytest.raises(OptionError, match=words):
            prepare.main(prepare.Config(out=tmp_path / "store", **options))
    assert not list(tmp_path.iterdir())


def test_a_bad_table_is_one_line_and_exit_status_2(command: Command, tmp_path: Path) -> None:
    source = table(tmp_path, "date,x\n2020-01-02,1\n2020-01-01,2\n")
    done = command("data_prep/series.py", "--source", source, "--time-column", "date", "--out", tmp_path / "store")
    assert_refused(done, "does not come after", "sort the rows")


def made(name: str, **options: float) -> list[np.ndarray]:
    kind = SERIES[name]
    return kind(**{"delay": kind.default_delay, "noise": kind.default_noise, "length": 2000, **options}).frames()


@pytest.mark.parametrize("name", list(SERIES))
def test_rules_give_what_they_say_and_the_same_again(name: str) -> None:
    first, again, other = made(name), made(name), made(name, seed=2)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0], equal_nan=True)
    if SERIES[name].one_series:
        assert [len(frames) for frames in first] == [2000]
    assert {frames.shape[1] for frames in first} == {len(SERIES[name].channels)}
    assert not np.isnan(np.concatenate(first)[:, : len(SERIES[name].inputs)]).any()


def test_an_echo_is_the_marked_sound_of_just_that_many_steps_ago() -> None:
    (frames,) = made("echo", delay=50, noise=0.0)
    asked = np.flatnonzero(~np.isnan(frames[:, 2]))
    assert len(asked) > 20
    np.testing.assert_array_equal(frames[asked, 2], frames[asked - 50, 0])
    np.testing.assert_array_equal(np.flatnonzero(frames[:, 1])[: len(asked)], asked - 50)
    assert np.diff(asked).min() > 50, "one sound is on its way at a time"


def test_narma_follows_its_recursion() -> None:
    (frames,) = made("narma10")
    u, y = frames.T
    t = np.arange(9, len(y) - 1)
    past = np.stack([y[t - k] for k in range(10)]).sum(axis=0)
    np.testing.assert_allclose(y[t + 1], 0.3 * y[t] + 0.05 * y[t] * past + 1.5 * u[t - 9] * u[t] + 0.1)


def test_mackey_glass_is_chaotic_and_bounded() -> None:
    (frames,) = made("mackey_glass", length=3000)
    x = frames[:, 0]
    assert 0.2 < x.min() < 0.6
    assert 1.1 < x.max() < 1.5
    spectrum = np.abs(np.fft.rfft(x - x.mean()))
    assert 40 < len(x) / spectrum.argmax() < 60, "it swings about every 50 steps"


def test_short_series_ask_behind_their_last_frame_and_share_nothing() -> None:
    for frames in made("adding", delay=20):
        marked = np.flatnonzero(frames[:, 1])
        assert len(frames) == 21
        assert len(marked) == 2
        assert marked[0] < 10 <= marked[1] < 20
        assert np.isnan(frames[:-1, 2]).all()
        assert frames[-1, 2] == frames[marked, 0].sum()
    for frames in made("copy", delay=5):
        np.testing.assert_array_equal(frames[-10:, 2], frames[:10, 0])
        assert np.flatnonzero(frames[:, 1]).tolist() == [14]


def test_a_channel_that_stands_still_is_only_centred(tmp_path: Path) -> None:
    source = table(tmp_path, "a,b\n" + "".join(f"{n % 3},1000.1\n" for n in range(30)))
    prepare.main(prepare.Config(source=source, out=tmp_path / "store"))
    mean, std = statistics_of(Store(tmp_path / "store"))
    assert mean[1] == pytest.approx(1000.1)
    assert std[1] == 1
