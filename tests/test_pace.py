"""--minutes: how much training fits into a time."""

from __future__ import annotations

import pytest

from seqaudio.bptt.pace import MEASURED_BATCHES, Pace, affordable
from seqaudio.bptt.position import Position


@pytest.mark.parametrize(
    ("left", "epoch", "batch", "expected"),
    [
        (100, 0, 0, (4, 0)),  # 25 s an epoch
        (90, 0, 0, (3, 10)),  # the validation of the shorter epoch fits too
        (80, 0, 0, (3, 0)),  # no time to validate after a single batch
        (25, 0, 0, (1, 0)),
        (24.9, 0, 0, (0, 19)),
        (0.0, 0, 0, (0, 1)),  # too late, and yet there is a batch
        (15, 2, 10, (3, 0)),  # the rest of the third epoch
        (40, 2, 10, (4, 0)),
        (-7, 2, 20, (2, 20)),
    ],
)
def test_epochs_and_batches_end_in_time(left: float, epoch: int, batch: int, expected: tuple[int, int]) -> None:
    got = affordable(left, 1.0, 5.0, epoch, batch, 20)
    assert got == expected
    at = Position(epochs=got[0], rest=got[1])
    seconds = 20 * at.epochs + at.rest + 5 * (at.epochs + bool(at.rest)) - 25 * epoch - batch
    assert seconds <= max(left, 6)


def test_the_speed_is_known_after_some_batches_of_which_the_first_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("seqaudio.bptt.pace.time.monotonic", lambda: clock[0])
    pace = Pace(budget=1e6)
    for number in range(MEASURED_BATCHES + 1):
        assert not pace.known
        with pace:
            clock[0] += 100.0 if number == 0 else 2.0
        clock[0] += 50.0  # between two batches nothing is measured
    assert pace.known
    assert pace.batch_seconds == pytest.approx(2.0)


def test_slow_batches_are_measured_for_a_tenth_of_the_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("seqaudio.bptt.pace.time.monotonic", lambda: clock[0])
    pace = Pace(budget=60.0)
    known = []
    for _ in range(4):
        with pace:
            clock[0] += 4.0
        known.append(pace.known)
    assert known == [False, False, True, True]


def test_a_shorter_last_epoch_counts_in_the_share_that_is_done() -> None:
    at = Position(epochs=2, rest=5, epoch=2, batch=5)
    assert at.done(10) == 1.0
    assert at.rest_done
    assert not at.finished
    assert Position(epochs=2, rest=5, epoch=3).finished
    assert Position(epochs=2, epoch=2).finished
    assert Position(epochs=2, rest=5, epoch=1).done(10) == pytest.approx(0.4)
