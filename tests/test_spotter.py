"""The spotter's model: whole equals stepwise equals chunked, padding never leaks, an hour leaves no trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from conftest import Command
from seqaudio.batching import Batch
from seqaudio.errors import OptionError
from seqaudio.layers.decayed_sums import BLOCK, decayed_counts, decayed_sums
from seqaudio.models import SpotterModel
from seqaudio.models.spotter import FEW_FRAMES
from seqaudio.state import flatten, map_state, state_spec, tensors

T, B, F, C = 23, 4, 7, 3
LENGTHS = torch.tensor([23, 9, 1, 0])
CELLS = ["gru", "lstm", "min_gru"]
KINDS = [(16, 150.0), (0, 150.0), (3, 0.0), (0, 0.0)]  # filters and memory


def spotter(
    cell: str = "gru", filters: int = 3, memory: float = 20.0, dtype: torch.dtype = torch.float64
) -> SpotterModel:
    torch.manual_seed(0)
    model = SpotterModel(F, C, cell, hidden_size=6, filters=filters, memory=memory, pooling=4.0).to(dtype).eval()
    model.set_normalisation(torch.randn(F), torch.rand(F) + 0.5, torch.full((F,), -1.5))
    return model


def frames(steps: int = T, rows: int = B, seed: int = 1) -> Tensor:
    return torch.randn(steps, rows, F, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def resets_at(*places: tuple[int, int]) -> Tensor:
    resets = torch.zeros(T, B, dtype=torch.bool)
    for step, row in places:
        resets[step, row] = True
    return resets


def assert_same(found: object, expected: object, atol: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def test_quiet_takes_no_part_in_what_frames_are_centred_on() -> None:
    model, inputs = spotter(), frames() + 5.0
    quiet = torch.full((400, B, F), -1.5, dtype=torch.float64)
    _, after = model(quiet)
    assert not after.level.any() and not after.frames.any()
    loud, _ = model(torch.cat([inputs, quiet, inputs]))
    alone, _ = model(torch.cat([quiet, inputs]))
    assert_same(loud[-T:], alone[-T:], atol=1e-6)  # after 20 memories of quiet nothing is left of what was before


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("filters", "memory"), KINDS)
def test_steps_and_chunks_equal_the_whole(cell: str, filters: int, memory: float) -> None:
    model, inputs = spotter(cell, filters, memory), frames()
    whole, after = model(inputs)
    state = model.initial_state(B)
    for t in range(T):
        logits, state = model.step(inputs[t], state)
        assert_same(logits, whole[t])
    assert_same(flatten(state), flatten(after))
    for grad in (True, False):  # without gradients other kernels run
        with torch.set_grad_enabled(grad):
            state, parts = None, []
            for start, end in ((0, 1), (1, 1), (1, 5), (5, 22), (22, 23)):
                logits, state = model(inputs[start:end], state=state)
                parts.append(logits)
        assert_same(torch.cat(parts), whole)
        assert_same(flatten(state), flatten(after))


def test_few_frames_and_many_are_filtered_alike() -> None:
    model, inputs = spotter(), frames(FEW_FRAMES + 20, rows=1)
    parts, state = [], None
    for part in inputs.split(FEW_FRAMES):
        logits, state = model(part, state=state)
        parts.append(logits)
    assert_same(torch.cat(parts), model(inputs)[0])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("resets", [None, resets_at((4, 0), (5, 1), (0, 2), (22, 0))], ids=["plain", "resets"])
def test_each_row_is_as_if_alone_whatever_lies_in_the_padding(cell: str, resets: Tensor | None) -> None:
    model, inputs = spotter(cell), frames()
    start = model(frames(6, seed=2))[1]
    for b, length in enumerate(LENGTHS.tolist()):
        inputs[length:, b] = float("nan")
    logits, after = model(inputs, LENGTHS, start, resets)
    for b, length in enumerate(LENGTHS.tolist()):
        row = map_state(lambda tensor, b=b: tensor[b : b + 1], start)
        alone, state = model(
            inputs[:length, b : b + 1], state=row, resets=None if resets is None else resets[:length, b : b + 1]
        )
        assert_same(logits[:length, b], alone[:, 0])
        assert_same([tensor[b : b + 1] for tensor in tensors(after)], list(tensors(state)))


@pytest.mark.parametrize("cell", CELLS)
def test_after_a_reset_a_stream_is_as_if_it_began_there(cell: str) -> None:
    model, inputs = spotter(cell), frames()
    logits, after = model(inputs, resets=resets_at((9, 0), (9, 1), (9, 2), (9, 3)))
    fresh, state = model(inputs[9:])
    assert_same(logits[9:], fresh)
    assert_same(flatten(after), flatten(state))
    assert not torch.allclose(model(inputs)[0][9:], fresh, atol=1e-3)


def test_frames_of_padding_reach_no_gradient() -> None:
    model, inputs = spotter(), frames()
    for b, length in enumerate(LENGTHS.tolist()):
        inputs[length:, b] = float("nan")
    inputs.requires_grad_()
    targets = torch.randint(C, (T, B), generator=torch.Generator().manual_seed(3))
    total, count, _ = model.loss(Batch(inputs, LENGTHS, targets=targets))
    total.backward()
    assert count == int(LENGTHS.sum())
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
    assert all(bool(inputs.grad[length:, b].eq(0).all()) for b, length in enumerate(LENGTHS.tolist()))
    assert inputs.grad.isfinite().all()
    assert inputs.grad[:9, 1].abs().sum() > 0


@pytest.mark.parametrize("resets", [None, resets_at((4, 0), (5, 1))[:6]], ids=["plain", "resets"])
def test_the_gradient_of_the_loss_is_that_of_differences(resets: Tensor | None) -> None:
    model, lengths = spotter(), torch.tensor([6, 3, 1, 0])
    targets = torch.randint(C, (6, B), generator=torch.Generator().manual_seed(3))
    names = [name for name, _ in model.named_parameters()]

    def loss(inputs: Tensor, *weights: Tensor) -> Tensor:
        replaced = dict(zip(names, weights, strict=True))
        logits, _ = torch.func.functional_call(model, replaced, (inputs, lengths, None, resets))
        nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return (nats.view(6, B) * Batch(inputs, lengths).mask()).sum()

    weights = [parameter.detach().clone().requires_grad_() for parameter in model.parameters()]
    assert torch.autograd.gradcheck(loss, (frames(6).requires_grad_(), *weights), fast_mode=True)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.99, 1.0])
def test_decaying_sums_are_those_of_the_loop(decay: float, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiled:
        monkeypatch.setattr("seqaudio.layers.kernels.compiled_serves", lambda like: False)
    steps = BLOCK + 5
    values, before = frames(steps, 2), frames(1, 2, seed=2)[0]
    resets = torch.zeros(steps, 2, dtype=torch.bool)
    resets[3, 1] = resets[BLOCK, 0] = True
    for given in (None, resets):
        last, count, expected, counts = before, before[:, :1], [], []
        for t in range(steps):
            if given is not None:
                last, count = (torch.where(given[t][:, None], 0, tensor) for tensor in (last, count))
            last, count = decay * last + values[t], decay * count + 1
            expected.append(last)
            counts.append(count)
        assert_same(decayed_sums(values, decay, before, given), torch.stack(expected))
        assert_same(decayed_counts(steps, decay, before[:, :1], given), torch.stack(counts))


def test_decaying_sums_have_the_gradient_of_differences_also_after_use_in_inference_mode() -> None:
    with torch.inference_mode():
        decayed_sums(frames(5, 2), 0.8125, torch.zeros(2, F).double())
    inputs = (frames(5, 2).requires_grad_(), frames(1, 2, seed=2)[0].requires_grad_())
    resets = torch.zeros(5, 2, dtype=torch.bool)
    for reset in ((), (3, 1), (0, 0)):
        if reset:
            resets[reset] = True
        assert torch.autograd.gradcheck(lambda values, before: decayed_sums(values, 0.8125, before, resets), inputs)
    counts = inputs[1][:, :1].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda before: decayed_counts(5, 0.8125, before), (counts,))


def test_an_hour_leaves_no_trace_and_a_state_of_the_same_size() -> None:
    """180,000 frames in chunks of 0.2 to 10 s; the last two minutes also from a stream that begins a minute before."""
    model, per_minute = spotter(filters=16, memory=150.0, dtype=torch.float32), 3000
    state, greatest, last = model.initial_state(1), [], []
    spec = state_spec(state)
    with torch.inference_mode():
        for minute in range(60):
            sound = 5 * frames(per_minute, 1, seed=minute).float()
            for chunk in sound.split(10 if minute == 59 else 500):
                logits, state = model(chunk, state=state)
                if minute >= 58:
                    last.append(logits)
            assert state_spec(state) == spec
            greatest.append(max(float(tensor.abs().max()) for tensor in tensors(state)))
        recent = torch.cat([5 * frames(per_minute, 1, seed=minute).float() for minute in (57, 58, 59)])
        fresh, _ = model(recent)
    assert_same(torch.cat(last), fresh[per_minute:], atol=2e-5)
    assert max(greatest) < 2 * greatest[0]


@pytest.mark.parametrize("options", [{"memory": 0.5}, {"pooling": 0.5}])
def test_a_memory_below_a_frame_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="expected at least 1 of each"):
        SpotterModel(F, C, **options)


def test_the_probe_reads_clips_of_one_label(command: Command, spotting_run: Path) -> None:
    store = json.loads((spotting_run / "config.json").read_text(encoding="utf-8"))["settings"]["store"]
    done = command("seqaudio", "probe", spotting_run, store, "--sequences", "2")
    assert done.returncode == 0, done.stderr
    assert "SpotterModel: " in done.stdout and "layer 1" in done.stdout
