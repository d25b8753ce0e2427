"""Forecasters: windows and streams agree, levels are put back, only what is known counts, forecasts are fed back."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.bptt import FullBPTT, TruncatedBPTT
from seqaudio.errors import OptionError, RunError
from seqaudio.models import ForecastModel, build_model
from seqaudio.probing import probe

N, B, F, H = 7, 3, 2, 4
NAN = float("nan")


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(name: str, **options: object) -> ForecastModel:
    torch.manual_seed(0)
    arguments = {"input_size": F, "output_size": F, "horizon": H, "window": N, "targets": [1, 0], "hidden_size": 6}
    model = build_model(name, arguments | options)
    assert isinstance(model, ForecastModel)
    model.set_normalisation(
        torch.tensor([3.0, -20.0]), torch.tensor([2.0, 10.0]), torch.tensor([-20.0, 3.0]), torch.tensor([10.0, 2.0])
    )
    return model.double().eval()


def draw(*shape: int, seed: int = 1) -> Tensor:
    values = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return values * torch.tensor([2.0, 10.0]) + torch.tensor([3.0, -20.0])


def batch() -> Batch:
    targets = draw(B, H, F, seed=2).flip(2)[None].clone()
    return Batch(draw(N, B, F), torch.full((B,), N), targets=targets)


BOTH = pytest.mark.parametrize("name", ["window_mlp", "forecaster"])


@BOTH
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("level", ["none", "last", "mean", "standard"])
def test_a_stream_of_windows_forecasts_as_the_window_does(name: str, apart: bool, level: str) -> None:
    model = make(name, apart=apart, level=level)
    frames = draw(N + 5, B, F)
    state = model.initial_state(B)
    for t, frame in enumerate(frames):
        said, state = model.step(frame, state)
        if t >= N - 1:
            torch.testing.assert_close(said, model(frames[t - N + 1 : t + 1])[0][-1])


@pytest.mark.parametrize("apart", [False, True])
def test_a_carried_state_forecasts_after_every_frame_as_the_whole_does(apart: bool) -> None:
    model = make("forecaster", window=0, apart=apart, layers=2)
    frames = draw(9, B, F)
    whole, _ = model(frames)
    assert whole.shape == (9, B, H, F)
    state = model.initial_state(B)
    for t, frame in enumerate(frames):
        said, state = model.step(frame, state)
        torch.testing.assert_close(said, whole[t])


@BOTH
@pytest.mark.parametrize("level", ["last", "mean", "standard"])
def test_a_window_that_lies_higher_has_a_forecast_that_lies_higher_by_as_much(name: str, level: str) -> None:
    model = make(name, level=level)
    shift = torch.tensor([5.0, -70.0], dtype=torch.float64)
    low, high = model(draw(N, B, F))[0], model(draw(N, B, F) + shift)[0]
    in_units = (high - low) * model.target_std
    torch.testing.assert_close(in_units, shift.flip(0).expand_as(in_units))


def test_a_standard_window_that_swings_twice_as_far_has_a_forecast_that_does() -> None:
    model = make("window_mlp", level="standard")
    frames = draw(N, B, F)
    wide = frames.mean(dim=0) + 2 * (frames - frames.mean(dim=0))
    middle = ((frames - model.mean) / model.std).mean(dim=0)[:, None, [1, 0]]
    # the deviation of a window has a floor, so that one that stands still can be divided by it
    torch.testing.assert_close(model(wide)[0] - middle, 2 * (model(frames)[0] - middle), rtol=1e-4, atol=1e-5)


@BOTH
def test_channels_apart_see_themselves_alone_and_share_their_weights(name: str) -> None:
    model = make(name, apart=True, level="last")
    frames = draw(N, B, F)
    other = frames.clone()
    other[..., 0] += 9 * torch.rand(N, B)
    said, changed = model(frames)[0], model(other)[0]
    torch.testing.assert_close(said[..., 0], changed[..., 0])  # target 0 is channel 1
    assert not torch.isclose(said[..., 1], changed[..., 1]).any()
    scaled = (frames - model.mean) / model.std
    swapped = scaled.flip(2) * model.std + model.mean
    torch.testing.assert_close(model(swapped)[0], said.flip(3))


@BOTH
def test_what_is_unknown_reaches_neither_loss_nor_gradient(name: str) -> None:
    model = make(name)
    whole = batch()
    assert whole.targets is not None
    some = whole.targets.clone()
    some[0, 0] = NAN
    some[0, 1, 2:, 1] = NAN
    loss, count, _ = model.loss(dataclasses.replace(whole, targets=some))
    assert count == B * H * F - H * F - 2
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    scaled = (some - model.target_mean) / model.target_std
    errors = (model(whole.inputs)[0] - scaled).square()
    torch.testing.assert_close(loss, errors[~some.isnan()].sum())


def test_weights_scale_what_counts() -> None:
    model = make("forecaster", window=0)
    inputs = draw(5, B, F)
    targets = draw(5, B, H, F, seed=3)
    weights = torch.ones(5, B, dtype=torch.float64)
    weights[2] = 3
    weights[4] = 0
    data = Batch(inputs, torch.full((B,), 5), targets=targets)
    loss, count, _ = model.loss(dataclasses.replace(data, weights=weights))
    squares = (model(inputs)[0] - (targets - model.target_mean) / model.target_std).square().sum(dim=(2, 3))
    torch.testing.assert_close(loss, (squares * weights).sum())
    assert count == 4 * B * H * F


@BOTH
def test_own_forecasts_are_fed_back_in_the_units_and_the_order_of_the_inputs(name: str) -> None:
    model = make(name, horizon=2, level="last")
    frames = draw(N, B, F)
    said = model.forecast(frames, 5)
    assert said.shape == (B, 5, F)
    first = model(frames)[0][-1]
    torch.testing.assert_close(said[:, :2], first)
    in_units = first * model.target_std + model.target_mean
    following = torch.stack([in_units[..., 1], in_units[..., 0]], dim=2).transpose(0, 1)  # target 0 is channel 1
    torch.testing.assert_close(said[:, 2:4], model(torch.cat([frames[2:], following]))[0][-1])
    metrics = model.evaluate(Batch(frames, torch.full((B,), N), targets=draw(B, 5, F).flip(2)[None]))
    assert metrics["mse"][1] == B * 5 * F


def test_a_recurrent_net_has_as_many_weights_whatever_the_window() -> None:
    counts = {n: make("forecaster", window=n).parameter_count() for n in (0, 7, 70)}
    assert len(set(counts.values())) == 1
    assert make("window_mlp", window=70).parameter_count() - make("window_mlp").parameter_count() == 63 * F * 6


def test_windows_are_trained_whole_and_carried_states_in_windows_of_time() -> None:
    TruncatedBPTT(3).check(make("forecaster", window=0))
    for model in (make("window_mlp"), make("forecaster")):
        FullBPTT().check(model)
        with pytest.raises(OptionError, match="one loss for a whole sequence"):
            TruncatedBPTT(3).check(model)


def test_truncated_windows_add_up_to_the_loss_of_the_whole() -> None:
    model = make("forecaster", window=0)
    targets = draw(11, B, H, F, seed=3)
    targets[:4] = NAN
    data = Batch(draw(11, B, F), torch.full((B,), 11), targets=targets)
    whole, count, _ = model.loss(data)
    total, counts, state = 0.0, 0, None
    for window in TruncatedBPTT(4).windows(data):
        part, here, state = model.loss(window, state)
        total, counts = total + part.item(), counts + here
    assert total == pytest.approx(whole.item())
    assert counts == count


def test_the_probe_looks_at_both_kinds_of_recurrent_forecaster() -> None:
    carried = make("forecaster", window=0).float()
    targets = draw(20, B, H, F, seed=3).float()
    report = probe(carried, Batch(draw(20, B, F).float(), torch.full((B,), 20), targets=targets))
    assert len(report.layers) == 1
    window = batch()
    assert window.targets is not None
    report = probe(make("forecaster").float(), Batch(window.inputs.float(), window.lengths, window.targets.float()))
    assert len(report.layers) == 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("window_mlp", {"window": 0}, "no other memory"),
        ("forecaster", {"window": 0, "level": "last"}, "needs a window"),
        ("forecaster", {"targets": None, "level": "mean"}, "needs a window that holds the targets"),
        ("forecaster", {"targets": None, "apart": True}, "channels apart need all inputs as targets"),
        ("window_mlp", {"level": "first"}, "level is \"first\", expected 'none' or 'last'"),
        ("window_mlp", {"horizon": 0}, "horizon 0"),
        ("window_mlp", {"hidden_size": 0}, "hidden_size is 0"),
    ],
)
def test_what_cannot_be_is_refused(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises((OptionError, RunError), match=words):
        make(name, **options)


def test_a_model_that_cannot_feed_itself_says_what_to_train() -> None:
    model = make("forecaster", targets=None)
    with pytest.raises(OptionError, match=r"train it with --horizon 9"):
        model.forecast(draw(N, B, F), 9)
    with pytest.raises(ValueError, match="a window of 9 frames, expected 7"):
        make("window_mlp")(draw(9, B, F))
