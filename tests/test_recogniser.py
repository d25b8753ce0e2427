"""The recogniser: CTC by counting paths, steps and chunks equal the whole, padding and impossible texts do not leak."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.decoding.greedy import PathCollapser, best_path, collapse, with_probabilities
from seqaudio.errors import OptionError
from seqaudio.models import Recogniser, RecogniserOptions, build_model
from seqaudio.models.recogniser import ALIGNED, units_to_align
from seqaudio.state import tensors

T, B, F, V, K = 25, 4, 5, 6, 3
LENGTHS = torch.tensor([25, 13, 9, 2])  # 8, 4, 3 and 0 steps
CAUSAL = [
    {"filters": filters, "centring": centring, "memory": memory}
    for filters, (centring, memory) in itertools.product(
        (0, 4), (("none", 0.0), ("running", 0.0), ("running", 7.0), ("loudness", 7.0))
    )
]


def recogniser(**options: Any) -> Recogniser:
    torch.manual_seed(0)
    given = {"hidden_size": 7, "layers": 2, "subsampling": K, "mean_prior": 4.0} | options
    model = Recogniser(F, V, **given).double().eval()
    model.set_normalisation(torch.randn(F), torch.rand(F) + 0.5)
    return model


def frames(seed: int = 1) -> Tensor:
    return torch.randn(T, B, F, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def batch(texts: list[list[int]], inputs: Tensor | None = None, lengths: Tensor = LENGTHS) -> Batch:
    targets = torch.zeros(max(map(len, texts)), len(texts), dtype=torch.int64)
    for row, text in enumerate(texts):
        targets[: len(text), row] = torch.tensor(text, dtype=torch.int64)
    counts = torch.tensor([len(text) for text in texts])
    return Batch(frames() if inputs is None else inputs, lengths, targets=targets, target_lengths=counts)


def probability_of(text: list[int], probabilities: np.ndarray) -> float:
    """The sum over all paths [J] that collapse to the text, of probabilities [J, V]."""
    J, V = probabilities.shape
    paths = itertools.product(range(V), repeat=J)
    fitting = (path for path in paths if [unit for unit, _ in itertools.groupby(path) if unit] == text)
    return sum(math.prod(probabilities[j, unit] for j, unit in enumerate(path)) for path in fitting)


@pytest.mark.parametrize("text", [[1, 2], [2, 2], [5], []])
def test_the_loss_is_that_of_all_paths_that_collapse_to_the_text(text: list[int]) -> None:
    model = recogniser()
    inputs, lengths = frames()[:, :1], torch.tensor([4 * K + 1])
    total, count, _ = model.loss(batch([text], inputs, lengths))
    log_probabilities, steps, _ = model(inputs, lengths)
    assert steps.tolist() == [4]
    expected = probability_of(text, log_probabilities[:4, 0].exp().detach().numpy())
    assert total.item() == pytest.approx(-math.log(expected), rel=1e-9)
    assert count == len(text)


@pytest.mark.parametrize("options", CAUSAL)
def test_steps_and_chunks_equal_the_whole(options: dict[str, Any]) -> None:
    model = recogniser(bidirectional=False, **options)
    assert model.causal
    whole, steps, _ = model(frames())
    assert steps.tolist() == [8] * B
    state = model.initial_state(B)
    for j in range(8):
        stacked = frames()[j * K : (j + 1) * K].transpose(0, 1).reshape(B, K * F)
        heard, state = model.step(stacked, state)
        torch.testing.assert_close(heard, whole[j], rtol=0, atol=1e-10)
    parts, chunked = [], None
    for start, end in ((0, 6), (6, 6), (6, 21), (21, T)):
        part, _, chunked = model(frames()[start:end], None, chunked)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-10)


@pytest.mark.parametrize("options", CAUSAL)
def test_the_state_is_that_at_each_rows_own_end(options: dict[str, Any]) -> None:
    model = recogniser(bidirectional=False, **options)
    _, _, together = model(frames(), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        _, _, alone = model(frames()[: length // K * K, row : row + 1])
        for ours, theirs in zip(tensors(together), tensors(alone), strict=True):
            torch.testing.assert_close(ours[row], theirs[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("filters", [0, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": True},
        {"bidirectional": False, "centring": "running"},
        {"centring": "loudness"},
        {"centring": "none"},
    ],
)
def test_rows_do_not_see_padding_or_each_other(filters: int, options: dict[str, Any]) -> None:
    model = recogniser(filters=filters, **options)
    together, steps, _ = model(frames(), LENGTHS)
    spoiled = frames()
    for row in range(B):
        spoiled[int(LENGTHS[row]) :, row] = float("nan")
    again, _, _ = model(spoiled, LENGTHS)
    for row in range(B):
        real, length = int(steps[row]), int(LENGTHS[row])
        alone, _, _ = model(frames()[:length, row : row + 1])
        torch.testing.assert_close(together[:real, row], alone[:, 0], rtol=0, atol=1e-10)
        torch.testing.assert_close(again[:real, row], alone[:, 0], rtol=0, atol=1e-10)


def test_padding_does_not_change_the_norm_of_the_filters_in_training() -> None:
    def statistics(inputs: Tensor) -> Tensor:
        model = recogniser(filters=4, bidirectional=False, centring="none").train()
        model(inputs, LENGTHS)
        return model.filter_norm.running_mean

    longer = torch.cat([frames(), torch.full((30, B, F), float("nan"), dtype=torch.float64)])
    torch.testing.assert_close(statistics(longer), statistics(frames()))


def test_quiet_before_leaves_no_trace_in_a_mean_by_loudness() -> None:
    def centred(centring: str, quiet: int) -> Tensor:
        model = recogniser(bidirectional=False, centring=centring, mean_prior=1.0)
        before = frames()[:1].expand(quiet, B, F) - 30.0
        inputs = torch.cat([before, frames()])
        valid = torch.ones(len(inputs), B, 1, dtype=torch.bool)
        return model._centred(inputs, valid, model.initial_state(B))[0][quiet:]

    changes = {name: (centred(name, 60) - centred(name, 0)).abs().max().item() for name in ("running", "loudness")}
    assert changes["loudness"] < 1e-2
    assert changes["running"] > 1.0


def test_the_loudness_of_cepstra_is_not_known() -> None:
    options = RecogniserOptions(centring="loudness", hidden_size=8)
    assert options.description(40, 5, 0.01, "log_mel")["arguments"]["centring"] == "loudness"
    with pytest.raises(OptionError, match="log-mel"):
        options.description(13, 5, 0.01, "mfcc")


def test_a_known_alignment_adds_the_nats_of_its_steps() -> None:
    model = recogniser()
    plain = batch([[1, 2], [1], [2], []])
    alignment = torch.zeros(T, B, dtype=torch.int64)
    alignment[K - 1, 0], alignment[4 * K - 1, 0], alignment[2 * K - 1, 2] = 1, 2, 2
    alignment[0, 1] = 5  # within a step, whose last frame counts
    log_probabilities, _, _ = model(plain.inputs, LENGTHS)
    expected = -(log_probabilities[0, 0, 1] + log_probabilities[3, 0, 2] + log_probabilities[1, 2, 2])
    told, count, _ = model.loss(replace(plain, alignment=alignment))
    total, same, _ = model.loss(plain)
    assert (told - total).item() == pytest.approx(ALIGNED * expected.item())
    assert count == same


def test_texts_that_cannot_be_aligned_have_no_loss_and_no_gradient() -> None:
    model = recogniser(filters=4)
    # 8 steps, 4 steps, 3 steps for two equal units and a blank between, none
    total, count, _ = model.loss(batch([[1, 2, 3], [1, 2, 3, 4, 5], [2, 2], [1]]))
    alone, counted, _ = model.loss(batch([[1, 2, 3], [], [2, 2], []]))
    rest, nothing, _ = model.loss(batch([[], [], [], []]))
    only, _, _ = model.loss(batch([[1, 2, 3], [2, 2]], frames()[:, [0, 2]], LENGTHS[[0, 2]]))
    assert (count, counted, nothing) == (5, 5, 0)
    assert total.item() == pytest.approx(only.item())
    assert alone.item() > total.item(), "rows without a text have a loss: their blanks"
    assert rest > 0
    total.backward()
    assert all(torch.isfinite(value.grad).all() for value in model.parameters() if value.grad is not None)


def test_unknown_words_have_no_loss() -> None:
    model = recogniser()
    total, count, _ = model.loss(batch([[1, -1], [1, 2], [1], [1]]))
    only, counted, _ = model.loss(batch([[1, 2], [1]], frames()[:, [1, 2]], LENGTHS[[1, 2]]))
    assert (total.item(), count) == (pytest.approx(only.item()), counted)


def test_the_steps_that_a_text_needs() -> None:
    found = batch([[1, 2, 2, 2], [1, 1], [3], []])
    assert found.targets is not None
    assert found.target_lengths is not None
    assert units_to_align(found.targets, found.target_lengths).tolist() == [6, 3, 1, 0]


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"bidirectional": False, "centring": "utterance"}])
def test_a_model_that_needs_whole_recordings_refuses_a_stream(options: dict[str, Any]) -> None:
    model = recogniser(**options)
    with pytest.raises(OptionError, match="needs whole recordings"):
        model.step(torch.zeros(B, K * F, dtype=torch.float64), model.initial_state(B))


def test_an_utterance_is_centred_on_its_own_mean() -> None:
    model = recogniser(centring="utterance", mean_prior=0.0)
    offset = torch.randn(F, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(model(frames()[:24] + offset)[0], model(frames()[:24])[0], rtol=0, atol=1e-9)


def test_options_describe_a_causal_model_where_it_is_not_bidirectional() -> None:
    both = RecogniserOptions().description(F, V, 0.01)["arguments"]
    causal = RecogniserOptions(bidirectional=False, memory=2.0).description(F, V, 0.01)["arguments"]
    assert (both["centring"], causal["centring"], causal["memory"]) == ("utterance", "running", 200.0)
    model = build_model("recogniser", causal)
    assert isinstance(model, Recogniser)
    assert model.causal


def test_a_path_collapses_to_units_with_their_steps() -> None:
    path = np.array([0, 3, 3, 0, 3, 1, 1, 0, 0])
    spans = [(3, 1, 3), (3, 4, 5), (1, 5, 7)]
    assert [placed[:3] for placed in collapse(path)] == spans
    assert collapse(path[:0]) == []
    matrix = np.log(np.eye(5)[path] + np.linspace(0.1, 0.5, len(path))[:, None])
    expected = [(*span, pytest.approx(matrix[step, span[0]])) for span, step in zip(spans, (2, 4, 6), strict=True)]
    assert with_probabilities(matrix, collapse(path)) == expected, "the surest step of a unit"
    assert best_path(matrix).tolist() == path.tolist()
    for cut in range(len(path) + 1):
        parts = PathCollapser()
        found = [*parts.push(matrix[:cut]), *parts.push(matrix[cut:]), *parts.finish()]
        assert found == expected
