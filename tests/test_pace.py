"""--minutes: how much training fits into a time."""

from __future__ import annotations

import math

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
    at = Position(epochs=got[0], batches_in_epoch=got[1])
    seconds = 20 * at.epochs + at.batches_in_epoch + 5 * (at.epochs + bool(at.batches_in_epoch)) - 25 * epoch - batch
    assert seconds <= max(left, 6)


def test_the_speed_is_known_after_some_batches_of_which_the_first_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("seqaudio.bptt.pace.time.monotonic", lambda: clock[0])
    pace = Pace(budget=1e6)
    pace.begin()
    for number in range(MEASURED_BATCHES + 1):
        assert not pace.known
        clock[0] += 100.0 if number == 0 else 2.0
        pace.count_batch()
        if number == 5:
            clock[0] += 50.0  # a validation between two epochs is not measured
            pace.begin()
    assert pace.known
    assert pace.batch_seconds == pytest.approx(2.0)


def test_slow_batches_are_measured_for_a_tenth_of_the_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("seqaudio.bptt.pace.time.monotonic", lambda: clock[0])
    pace = Pace(budget=60.0)
    known = []
    pace.begin()
    for _ in range(4):
        clock[0] += 4.0
        pace.count_batch()
        known.append(pace.known)
    assert known == [False, False, True, True]


def test_a_shorter_last_epoch_counts_in_the_share_that_is_done() -> None:
    at = Position(epochs=2, batches_in_epoch=5, epoch=2, batch=5)
    assert at.done(10) == 1.0
    assert at.shorter_epoch_finished
    assert not at.finished
    assert Position(epochs=2, batches_in_epoch=5, epoch=3).finished
    assert Position(epochs=2, epoch=2).finished
    assert Position(epochs=2, batches_in_epoch=5, epoch=1).done(10) == pytest.approx(0.4)


def test_a_checkpoint_keeps_the_batches_of_a_shorter_epoch_as_rest() -> None:
    """Checkpoints that were written before the field had its name of today are resumed."""
    stored = {
        "epoch": 2, "batch": 4, "step": 24, "seconds": 9.5, "total": 3.5, "count": 7, "updates": 4, "clipped": 1,
        "skipped": 0, "skipped_in_a_row": 0, "trouble": "", "best": 0.5, "stale": 1, "halved": 0, "metrics_bytes": 99,
        "epochs": 2, "rest": 5, "settled": True, "validation_seconds": 0.25, "best_metrics": {"mse": 0.5},
        "pending": {"total": 1.5, "count": 3, "windows": 1, "rate": 1.0},
    }  # fmt: skip
    at = Position.from_dict(stored)
    assert at.batches_in_epoch == 5
    assert at.pending.count == 3
    assert not at.shorter_epoch_finished
    assert at.to_dict() == stored


def test_error_rates_above_one_are_equal_and_then_nats_choose() -> None:
    at, select = Position(epochs=9), ("wer", "min", "nats", 1.0)
    seen = [(1.0, 2.9), (1.06, 1.4), (1.0, 2.0), (0.9, 1.5), (0.9, 1.4), (0.95, 1.0), (math.nan, 1.0)]
    better = [at.count_validation({"wer": wer, "nats": nats}, select) for wer, nats in seen]
    assert better == [True, True, False, True, True, False, False]
    assert at.best_metrics == {"wer": 0.9, "nats": 1.4}
