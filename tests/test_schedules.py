"""The learning rate over a training, beside torch's own schedules."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from seqaudio.bptt import TrainerSettings
from seqaudio.bptt.schedules import SCHEDULES, Progress, rate_factor
from seqaudio.errors import OptionError

STEPS = 50


def factors(schedule: str, warmup: float | None = None) -> list[float]:
    """At each of fifty steps, and where the training has ended."""
    return [rate_factor(schedule, Progress(step / STEPS, 1 / STEPS), warmup) for step in range(STEPS + 1)]


@pytest.mark.parametrize("schedule", ["cosine", "constant", "plateau"])
def test_the_rate_rises_evenly_through_the_warm_up(schedule: str) -> None:
    assert factors(schedule, 0.1)[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert factors(schedule, 0.0)[0] == pytest.approx(1.0)


def test_cosine_falls_to_nothing() -> None:
    rates = factors("cosine", 0.2)[10:]
    assert all(one > other for one, other in pairwise(rates))
    assert rates[0] == pytest.approx(1.0)
    assert rates[20] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.0, abs=1e-12)


def test_constant_stays() -> None:
    assert factors("constant", 0.1)[5:] == [1.0] * 46


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_one_cycle_is_torchs(share: float) -> None:
    weight = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.SGD([weight], lr=1.0)
    # torch counts from the first step to the last one, we to where the last one has ended
    oracle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=1.0, total_steps=STEPS + 1, pct_start=(share * STEPS + 1) / (STEPS + 1), cycle_momentum=False
    )
    expected = []
    for _ in range(STEPS + 1):
        expected.append(oracle.get_last_lr()[0])
        optimiser.step()
        if len(expected) <= STEPS:
            oracle.step()
    assert factors("one-cycle", share) == pytest.approx(expected, abs=1e-12)


def test_a_plateau_halves_the_rate_each_time() -> None:
    rates = [rate_factor("plateau", Progress(0.5, 0.01, halved)) for halved in range(4)]
    assert rates == [1.0, 0.5, 0.25, 0.125]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_has_a_rate_above_zero_from_the_first_step_to_the_last(schedule: str) -> None:
    for warmup in (None, 0.0, 0.3):
        assert all(0 < factor <= 1 + 1e-12 for factor in factors(schedule, warmup)[:-1])
        assert all(math.isfinite(factor) for factor in factors(schedule, warmup))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"epochs": 0}, "--epochs 0, expected at least 1"),
        ({"schedule": "cosin"}, "did you mean cosine"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0"),
        ({"warmup": 1.0}, "--warmup 1.0"),
        ({"clip_norm": -1.0}, "--clip-norm -1.0"),
        ({"clip_value": -1.0}, "--clip-value -1.0"),
        ({"accumulate": 0}, "--accumulate 0"),
        ({"average": 1.0}, "--average 1.0, .*such as 0.999"),
        ({"patience": -1}, "--patience -1"),
        ({"plateau_patience": 0}, "--plateau-patience 0"),
        ({"minutes": 0.0}, "--minutes 0.0"),
        ({"precision": "16"}, "--precision 16, expected 32-true or bf16-mixed"),
        ({"schedule": "plateau", "patience": 2}, "--patience 2 beside --plateau-patience 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        TrainerSettings(**({"epochs": 3} | given))  # type: ignore[arg-type]  # the point of the test


def test_small_data_sets_get_more_epochs_unless_they_are_given() -> None:
    class Usual(TrainerSettings):
        USUAL_EPOCHS, LEAST_UPDATES = 24, 450

    assert [Usual(epochs=None).epochs_of(batches) for batches in (1, 6, 19, 1000)] == [450, 75, 24, 24]
    assert Usual(epochs=None, accumulate=2).epochs_of(6) == 150
    assert Usual(epochs=3).epochs_of(6) == 3
