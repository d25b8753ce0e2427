"""A model that looks back by bars: what it sees, however the tokens are cut into windows, and how it is chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from seqaudio.errors import OptionError
from seqaudio.models import EventModel, MusicModelOptions, PhraseModel, build_model
from seqaudio.models.phrases import Written
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.state import detach
from seqaudio.tokens import TokenRepresentation, build_representation
from seqaudio.vocabulary import BOS

V, BAR, STEP, STEPS = 20, 3, 4, 6  # tokens 4..9 are steps, 10..19 notes
T, B = 40, 3


def model(**more: object) -> PhraseModel:
    torch.manual_seed(1)
    arguments = {"vocabulary_size": V, "bar": BAR, "steps": [STEP, STEPS], "lags": [1, 2], "embedding_size": 6}
    made = build_model("phrases", arguments | {"lag_size": 3, "hidden_size": 7, "cell": "gru"} | more)
    assert isinstance(made, PhraseModel)
    return made.double().eval()


def ids(seed: int = 1) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(BAR, V, (T, B), generator=draw)


def seen(tokens: list[int], net: PhraseModel) -> list[list[int]]:
    """What the net sees behind each token of one piece, one and two bars earlier."""
    found, _ = net.look_back(torch.tensor(tokens)[:, None], net.initial_state(1).written)
    return found[:, 0].tolist()


def test_it_sees_what_followed_the_same_place_of_earlier_bars() -> None:
    first, second, third = [BAR, 4, 10, 11, 6, 12], [BAR, 4, 13, 6, 14, 15], [BAR, 4, 16, 6]
    found = seen([BOS, *first, *second, *third], model())
    assert found[:7] == [[0, 0]] * 7  # nothing was there
    # behind the bar a step, behind the step its notes, however many stand at other steps
    assert found[7:13] == [[4, 0], [10, 0], [11, 0], [12, 0], [BAR, 0], [0, 0]]
    assert found[13:] == [[4, 4], [13, 10], [6, 11], [14, 12]]


def test_a_place_with_more_tokens_than_it_holds_is_no_fault() -> None:
    long = [BAR, 4, *[10] * 40]
    found = seen([BOS, *long, *long], model())
    assert found[-2:] == [[BAR, 0], [BAR, 0]]  # the last of them, behind which the next bar began


def test_a_new_piece_sees_nothing_of_the_last_one() -> None:
    net = model()
    piece = [BAR, 4, 10, BAR, 4, 10, BAR, 4]
    tokens = torch.tensor([BOS, *piece, BOS, *piece])[:, None]
    resets = torch.zeros(len(tokens), 1, dtype=torch.bool)
    resets[len(piece) + 1] = True
    found, _ = net.look_back(tokens, net.initial_state(1).written, resets=resets)
    assert found[len(piece) + 1 :].tolist() == found[: len(piece) + 1].tolist()


def test_steps_and_windows_equal_the_whole() -> None:
    net, tokens = model(), ids()
    resets = torch.zeros(T, B, dtype=torch.bool)
    resets[17, 1] = resets[0, 2] = True
    whole, end = net(tokens, resets=resets)
    first, state = net(tokens[:13], resets=resets[:13])
    second, after = net(tokens[13:], detach(state), resets=resets[13:])
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-12)
    assert torch.equal(after.written.place, end.written.place)
    state = net.initial_state(1)
    for t in range(T):
        logits, state = net.step(tokens[t, :1], state)
        torch.testing.assert_close(logits, whole[t, :1], rtol=0, atol=1e-12)


def test_the_compiled_memory_equals_operations_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    net, tokens = model(lags=[1, 2, 3]), ids()
    resets = torch.zeros(T, B, dtype=torch.bool)
    resets[5, 0] = resets[17, 1] = resets[18, 1] = resets[0, 2] = resets[35, 1] = True
    lengths = torch.tensor([T, 31, 0])

    def found() -> list[Tensor]:
        first, written = net.look_back(tokens, net.initial_state(B).written, lengths, resets)
        second, written = net.look_back(tokens.flip(0), written)
        return [first, second, *written]

    compiled = found()
    monkeypatch.setattr("seqaudio.models.phrases.compiled_serves", lambda like: False)
    for one, other in zip(compiled, found(), strict=True):
        assert torch.equal(one, other)


def test_a_memory_of_another_shape_is_refused() -> None:
    net = model()
    tokens, place = net.initial_state(1).written
    for bad in (Written(tokens[:, 1:], place), Written(tokens, place + V)):
        with pytest.raises(ValueError, match="outside the memory"):
            net.look_back(torch.tensor([[BAR]]), bad)


def test_padding_leaves_the_memory_as_it_is() -> None:
    net, tokens = model(), ids()
    lengths = torch.tensor([T, 11, 0])
    spoiled = tokens.clone()
    spoiled[11:, 1] = spoiled[:, 2] = BAR
    whole, end = net(tokens, lengths=lengths)
    again, other = net(spoiled, lengths=lengths)
    assert torch.equal(end.written.tokens, other.written.tokens)
    torch.testing.assert_close(again[:11, 1], whole[:11, 1])
    alone, _ = net(tokens[:11, 1:2])
    torch.testing.assert_close(alone[:, 0], whole[:11, 1], rtol=0, atol=1e-12)


def test_the_memory_that_was_given_stays_as_it_was() -> None:
    net = model()
    state = net.initial_state(1)
    net.step(torch.tensor([BAR]), state)
    assert not state.written.tokens.any()


def test_what_stood_there_can_be_made_likelier() -> None:
    net = model()
    with torch.no_grad():
        net.worth.weight.zero_()
        net.worth.bias.copy_(torch.tensor([50.0, 0.0]))
    tokens = torch.tensor([BOS, BAR, 4, 10, 6, 12, BAR, 4, 10, 6])[:, None]
    logits, _ = net(tokens)
    assert logits[6:, 0].argmax(dim=-1).tolist() == [4, 10, 6, 12]


def test_before_training_a_phrase_that_returns_is_what_it_expects() -> None:
    tokens = torch.tensor([BOS, BAR, 4, 10, 6, 12, BAR, 4, 10, 6])[:, None]
    logits, _ = model()(tokens)
    assert logits[6:, 0].argmax(dim=-1).tolist() == [4, 10, 6, 12]


def test_a_phrase_that_returns_is_learned() -> None:
    # bars of random notes, each played twice: only one bar earlier tells what comes
    draw = np.random.default_rng(1)
    torch.manual_seed(1)
    net = model(lags=[1], hidden_size=16).train()
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    losses = []
    for _ in range(60):
        notes = draw.integers(10, V, (8, 4)).tolist()
        bars = [[BAR, *(token for step in range(4) for token in (STEP + step, bar[step]))] for bar in notes]
        piece = torch.tensor([BOS, *(token for bar in bars for token in bar * 2)])[:, None]
        logits, _ = net(piece[:-1])
        loss = torch.nn.functional.cross_entropy(logits[:, 0], piece[1:, 0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    # without a look back the four notes of a bar's nine tokens are as good as drawn
    assert np.mean(losses[-5:]) < 0.8 * 4 / 9 * np.log(10)


def test_the_model_suits_the_tokens_or_what_is_asked_for() -> None:
    options = MusicModelOptions(hidden_size=8)
    bars = build_representation("bars")
    made = build_model(**options.music_description(len(bars.tokens), bars.bar_places, bars.look_back))  # type: ignore[attr-defined]
    assert isinstance(made, PhraseModel)
    assert (made.bar, made.first_step, made.lags) == (
        bars.tokens.index("bar"),
        bars.tokens.index("step_0"),
        (1, 2, 4, 8),
    )  # type: ignore[attr-defined]
    none = MusicModelOptions(look_back=()).music_description(9, (3, range(4, 6)), (1, 2))
    assert none["name"] == "events"
    assert isinstance(build_model(**MusicModelOptions().music_description(9, None, ())), EventModel)
    with pytest.raises(OptionError, match="--look-back 1 4: the tokens of this store write no bars"):
        MusicModelOptions(look_back=(1, 4)).music_description(9, None, ())


@pytest.mark.parametrize("name", ["bars", "chorale", "miditok:REMI"])
def test_bars_that_are_played_again_are_seen_in_every_representation_that_writes_them(name: str) -> None:
    representation = build_representation(name)
    starts = 480 * np.arange(16)
    notes = NoteSequence.from_columns(
        starts, starts + 480, np.tile([60, 62, 64, 65], 4), time_signatures=[TimeSignature(0, 4, 4)]
    )
    assert isinstance(representation, TokenRepresentation) and representation.bar_places
    stream = representation.encode(notes)
    bar, steps = representation.bar_places
    sizes = {"vocabulary_size": len(representation.tokens), "bar": bar, "steps": [steps.start, len(steps)]}
    net = build_model("phrases", sizes)
    assert isinstance(net, PhraseModel)
    tokens = torch.from_numpy(np.append(BOS, stream))[:, None]
    found, _ = net.look_back(tokens, net.initial_state(1).written)
    # from the third bar on each token is the one of a bar earlier; in the first one there may be a velocity
    first = int(np.flatnonzero(stream == bar)[2])
    assert found[first + 1 : -1, 0, 0].tolist() == stream[first + 1 :].tolist()
