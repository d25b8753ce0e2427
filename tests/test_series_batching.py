"""Windows, lanes and whole series: every forecast is asked once, from its past alone, past a split's beginning too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqaudio.batching import Series, SeriesLanes, SeriesWindows, WholeSeries
from seqaudio.errors import OptionError

NAN = float("nan")


def counting(length: int, first: int = 0, name: str = "a", start: int = 0) -> Series:
    """Inputs t and -t, target t: where a value came from can be read off it."""
    time = np.arange(start, start + length, dtype=np.float32)
    return Series(name, np.stack([time, -time], axis=1), time[:, None].copy(), first)


def test_windows_end_where_their_forecast_begins() -> None:
    source = SeriesWindows([counting(12)], window=4, horizon=3, batch_size=100)
    (batch,) = source.epoch(0)
    assert batch.targets is not None
    assert batch.inputs.shape == (4, 6, 2)
    assert batch.targets.shape == (1, 6, 3, 1)
    for row in range(6):
        assert batch.inputs[:, row, 0].tolist() == [row, row + 1, row + 2, row + 3]
        assert batch.targets[0, row, :, 0].tolist() == [row + 4, row + 5, row + 6]


def test_a_split_is_forecast_from_its_first_step_on_with_the_past_as_window() -> None:
    one = counting(20, first=15)
    assert one.origins(window=4, horizon=2).tolist() == [15, 16, 17, 18]
    assert counting(20).origins(window=4, horizon=2).tolist() == list(range(4, 19))
    (batch,) = SeriesWindows([one], 4, 2, 100).epoch(0)
    assert batch.inputs[:, 0, 0].tolist() == [11, 12, 13, 14]


def test_what_nothing_is_known_of_is_not_asked() -> None:
    one = counting(10)
    one.targets[:] = NAN
    one.targets[7] = 7
    assert one.origins(window=2, horizon=1).tolist() == [7]
    assert one.origins(window=2, horizon=3).tolist() == [5, 6, 7]


def test_an_epoch_is_a_function_of_seed_and_number_and_may_begin_anywhere() -> None:
    source = SeriesWindows([counting(50)], 3, 1, batch_size=8, seed=4)
    firsts = [batch.inputs[0, :, 0].tolist() for batch in source.epoch(1)]
    assert firsts == [batch.inputs[0, :, 0].tolist() for batch in source.epoch(1)]
    assert firsts != [batch.inputs[0, :, 0].tolist() for batch in source.epoch(2)]
    assert firsts[3:] == [batch.inputs[0, :, 0].tolist() for batch in source.epoch(1, start=3)]
    assert sorted(value for batch in firsts for value in batch) == list(range(47)), "every window once"
    assert len(firsts) == len(source)


def test_thinning_draws_other_windows_each_epoch() -> None:
    source = SeriesWindows([counting(103)], 3, 1, batch_size=10, seed=4, stride=4)
    epochs = [{int(v) for batch in source.epoch(n) for v in batch.inputs[0, :, 0]} for n in range(2)]
    assert [len(epoch) for epoch in epochs] == [25, 25]
    assert epochs[0] != epochs[1]
    assert len(source) == 3


def test_passes_go_over_the_same_windows_in_another_order() -> None:
    source = SeriesWindows([counting(23)], 3, 1, batch_size=7, seed=4, passes=3)
    firsts = [int(value) for batch in source.epoch(0) for value in batch.inputs[0, :, 0]]
    passes = [firsts[start : start + 20] for start in range(0, 60, 20)]
    assert all(sorted(one) == list(range(20)) for one in passes)
    assert len({tuple(one) for one in passes}) == 3
    assert len(source) == len(list(source.epoch(0))) == 9
    once, twice = (SeriesLanes([counting(30)], 1, 2, 4, passes) for passes in (1, 2))
    batches = [batch.inputs for batch in twice.epoch(0)]
    assert len(twice) == len(batches) == 2 * len(once)
    assert [b.tolist() for b in batches[4:]] == [batch.inputs.tolist() for batch in once.epoch(0)]
    assert [b.inputs.tolist() for b in twice.epoch(0, start=5)] == [b.tolist() for b in batches[5:]]


def test_windows_never_cross_from_one_series_into_another() -> None:
    source = SeriesWindows([counting(6), counting(7, start=100)], 3, 2, batch_size=100)
    (batch,) = source.epoch(0)
    assert batch.targets is not None
    assert batch.inputs[0, :, 0].tolist() == [0, 1, 100, 101, 102]
    assert batch.targets[0, :, 1, 0].tolist() == [4, 5, 104, 105, 106]


def test_too_long_a_window_is_told() -> None:
    with pytest.raises(OptionError, match=r"no window of 9 steps followed by 3 known steps fits into 1 series of up"):
        SeriesWindows([counting(10)], 9, 3, 4)


def asked(inputs: torch.Tensor, targets: torch.Tensor) -> list[tuple[float, list[float]]]:
    """(last input, what is asked) of each forecast."""
    places = (~targets.isnan()).all(dim=3).all(dim=2).nonzero().tolist()
    return sorted((float(inputs[t, b, 0]), targets[t, b, :, 0].tolist()) for t, b in places)


def test_lanes_ask_every_forecast_once_and_cut_no_answer_at_their_borders() -> None:
    series = [counting(23), counting(10, start=100)]
    source = SeriesLanes(series, horizon=2, lanes=4, window=4)
    batches = list(source.epoch(0))
    assert len(batches) == len(source)
    inputs = torch.cat([batch.inputs for batch in batches])
    targets = torch.cat([batch.targets for batch in batches if batch.targets is not None])
    expected = [(t, [t + 1, t + 2]) for t in [*range(21), *range(100, 108)]]
    assert asked(inputs, targets) == expected
    begins = torch.cat([batch.resets for batch in batches if batch.resets is not None])
    assert begins[0].all()
    assert inputs[1:, :, 0][begins[1:]].tolist() == [100], "a series that begins inside a lane"


def test_whole_series_ask_what_windows_ask_in_the_same_order() -> None:
    series = [counting(20, first=15), counting(12, first=4, start=100)]
    (whole,) = WholeSeries(series, 3, 8).epoch(0)
    (windows,) = SeriesWindows(series, 4, 3, 100).epoch(0)
    assert whole.targets is not None
    assert windows.targets is not None
    seen = (~whole.targets.isnan()).any(dim=3).any(dim=2).T
    torch.testing.assert_close(whole.targets.transpose(0, 1)[seen], windows.targets[0])
    torch.testing.assert_close(whole.inputs.transpose(0, 1)[seen], windows.inputs[-1])


def test_the_past_of_whole_series_can_be_cut_without_a_change_of_what_is_asked() -> None:
    one = counting(40, first=30)
    (long,), (short,) = WholeSeries([one], 2, 1).epoch(0), WholeSeries([one], 2, 1, past=5).epoch(0)
    assert short.inputs[0, 0, 0] == 25
    assert long.targets is not None
    assert short.targets is not None
    assert asked(long.inputs, long.targets) == asked(short.inputs, short.targets)
