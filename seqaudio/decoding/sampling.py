"""Sample streams of tokens and piano rolls from a model, step by step, under the grammar of the representation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from seqaudio.models.base import Model
from seqaudio.models.sampler import RowSampler, Sampler
from seqaudio.sampling_options import SamplingOptions
from seqaudio.tokens.grammar import Grammar
from seqaudio.tokens.roll import KEYS, RollRepresentation
from seqaudio.vocabulary import BOS, EOS


class StepModel(Protocol):
    """A model to sample from: it has a state and a step, as all models of events and of rolls."""

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step."""

    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Ids [B] or frames [B, 88], and a state -> logits [B, V] or [B, 88] of the next step, and the new state."""


@runtime_checkable
class FrameModel(Protocol):
    """A model that samples whole frames, whose notes may depend on each other: those of polyphonic_music."""

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first frame."""

    def next_frame(
        self,
        frames: Tensor,
        state: Any,
        temperature: float = 1.0,
        legal: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Any]:
        """The frames [B, 88] after `frames`, which `legal` [2, 88] permits, and the new state."""


class Tokens(Protocol):
    """A vocabulary with a grammar: the interface of music and text representations that sampling uses."""

    @property
    def name(self) -> str: ...
    @property
    def tokens(self) -> tuple[str, ...]: ...
    def grammar(self) -> Grammar: ...


@dataclass(frozen=True)
class Stream:
    """A stream of events to sample.

    generator: the only source of randomness; `torch.Generator(device).manual_seed(seed)`.
    grammar: new, in place of the representation's own, such as one within bounds.
    primer: tokens with which the stream begins, without BOS and EOS.
    max_events: most tokens in the result, primer included, EOS not counted; None: any number.
    minimum_events: EOS is not drawn before that many tokens, unless the stream could not be completed otherwise.
    """

    generator: torch.Generator
    grammar: Grammar | None = None
    primer: Sequence[int] = ()
    max_events: int | None = 1000
    minimum_events: int = 0


def sampler_of(model: StepModel | Sampler) -> Sampler:
    """The fastest steps of a model; a sampler as it is. Raises ValueError for a model in training mode."""
    if isinstance(model, Sampler):
        return model
    return model.sampler() if isinstance(model, Model) else RowSampler(model)


def sample(
    model: StepModel | Sampler,
    representation: Tokens,
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    max_events: int | None = 1000,
    primer: Sequence[int] | None = None,
    minimum_events: int = 0,
    grammar: Grammar | None = None,
) -> list[int]:
    """Sample one stream of events. `representation.decode` accepts every result.

        p(x_t = v) ~ exp(logit_v / temperature)  over the v that the grammar permits at t, and that `filtered` keeps

    The grammar permits only tokens after which the stream can be completed within `max_events`. So if the model does
    not end a stream by itself, its last events end the sounding notes. Equal generator states give equal streams.

    Args:
        model: in evaluation mode, on the device of the generator; or its sampler, which several calls may share.
        temperature: above 0; below 1 favours probable tokens, above 1 improbable ones.
        top_k, top_p, min_p: as in `filtered`; None: no such filter.
        generator, max_events, primer, minimum_events, grammar: see `Stream`.

    Returns:
        Token ids without BOS and EOS.

    Raises:
        ValueError: an argument out of its range; a primer that is illegal or cannot be completed within max_events; a
            model in training mode, of another vocabulary size, or with NaN in its logits.
    """
    options = SamplingOptions(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    stream = Stream(generator, grammar, primer or (), max_events, minimum_events)
    return sample_many(model, representation, [stream], options)[0]


def sample_many(
    model: StepModel | Sampler,
    representation: Tokens,
    streams: Sequence[Stream],
    options: SamplingOptions = SamplingOptions(),  # noqa: B008  # frozen
) -> list[list[int]]:
    """Sample several streams at once, each token for token as `sample` gives it alone; arguments as for `sample`.

    Those that end leave the batch.
    """
    found = [list(stream.primer) for stream in streams]
    for number, token in events_of(model, representation, streams, options):
        if token != EOS:
            found[number].append(token)
    return found


def events_of(
    model: StepModel | Sampler, representation: Tokens, streams: Sequence[Stream], options: SamplingOptions
) -> Iterator[tuple[int, int]]:
    """The number of a stream and a token of it, as they are drawn, EOS at the end of each; primers are left out."""
    for stream in streams:
        _check(model, options, stream.max_events, stream.minimum_events)
    grammars = [representation.grammar() if stream.grammar is None else stream.grammar for stream in streams]
    given = [
        _prime(grammar, representation, stream.primer, stream.max_events)
        for grammar, stream in zip(grammars, streams, strict=True)
    ]
    steps, size = sampler_of(model), len(representation.tokens)
    counts = [0] * len(streams)  # of the tokens that each stream has, its primer included as it is read
    rows, inputs = list(range(len(streams))), [BOS] * len(streams)
    state = steps.initial_state(len(rows)) if rows else None
    while rows:
        device = streams[0].generator.device
        logits, state = steps.step(torch.tensor(inputs, device=device), state)
        if logits.shape != (len(rows), size):
            raise ValueError(f"got logits {list(logits.shape)}, {representation.name} expects [{len(rows)}, {size}]")
        drawing = [number for number in rows if counts[number] >= len(given[number])]
        if drawing:
            some = logits if len(drawing) == len(rows) else logits[[rows.index(number) for number in drawing]]
            legal = np.stack([_legal(grammars[number], streams[number], counts[number]) for number in drawing])
            drawn = iter(_draw(some, legal, options, [streams[number].generator for number in drawing]))
        inputs, places = [], []
        for place, number in enumerate(rows):
            if counts[number] < len(given[number]):
                token = given[number][counts[number]]
            else:
                token = next(drawn)
                grammars[number].push(token)
                yield number, token
            if token != EOS:
                counts[number] += 1
                inputs.append(token)
                places.append(place)
        if len(places) < len(rows):
            rows = [rows[place] for place in places]
            state = steps.keep(state, places)


@torch.no_grad()
def sample_roll(
    model: StepModel | FrameModel,
    representation: RollRepresentation,
    *,
    generator: torch.Generator,
    frames: int,
    temperature: float = 1.0,
    primer: np.ndarray | None = None,
) -> np.ndarray:
    """Sample one piano roll. `representation.decode` accepts every result.

        p(key k sounds at t) = sigmoid(logit_k / temperature)  where the grammar permits both, independently per key;
                               a `FrameModel` draws the keys of a frame itself

    A roll has no end mark, so `frames` frames are drawn, and silent steps at the end are removed.

    Args:
        model: in evaluation mode, on the device of the generator; its first input is a frame of zeros.
        generator: the only source of randomness.
        frames: most frames in the result, primer included; a multiple of the frames of a step.
        temperature: above 0; below 1 favours the more probable choice for each key, above 1 makes it more random.
        primer: frames [T, 88] of whole steps with which the result begins.

    Returns:
        Frames [T, 88] uint8.

    Raises:
        ValueError: an argument out of its range, an illegal primer, a model in training mode, logits that are not 88
            finite numbers.
    """
    roll = np.zeros((0, KEYS), dtype=np.uint8) if primer is None else np.asarray(primer, dtype=np.uint8)
    _check(model, SamplingOptions(temperature=temperature), frames, len(roll))
    step = representation.frames_per_step
    if frames % step or len(roll) % step:
        raise ValueError(f"{frames} frames and a primer of {len(roll)}, expected multiples of {step}")
    grammar = representation.grammar()
    state = model.initial_state(1)
    last = np.zeros(KEYS, dtype=np.uint8)
    drawn: list[np.ndarray] = []
    while len(drawn) < frames:
        inputs = torch.from_numpy(last).to(generator.device, torch.get_default_dtype())
        legal = grammar.legal(frames - len(drawn))
        if isinstance(model, FrameModel):
            found, state = model.next_frame(inputs[None], state, temperature, torch.from_numpy(legal), generator)
            last = found[0].to(torch.uint8).cpu().numpy()
        else:
            logits, state = model.step(inputs[None], state)
            if logits.shape != (1, KEYS) or not logits.isfinite().all():
                raise ValueError(f"got logits {list(logits.shape)} or NaN in them, expected [1, {KEYS}] finite numbers")
            last = _draw_keys(logits[0], legal, temperature, generator)
        if len(drawn) < len(roll):
            last = roll[len(drawn)]
        try:
            grammar.push(last)
        except ValueError as error:
            raise ValueError(f"primer, frame {len(drawn)}: {error}") from None
        drawn.append(last)
    result = np.array(drawn, dtype=np.uint8).reshape(-1, KEYS)
    sounding = np.flatnonzero(result.any(axis=1))
    return result[: (int(sounding[-1]) // step + 1) * step if len(sounding) else 0]


def _draw_keys(logits: Tensor, legal: np.ndarray, temperature: float, generator: torch.Generator) -> np.ndarray:
    """A frame [88] drawn from logits [88]. `legal` [2, 88]: whether each key may be silent, and may sound."""
    uniform = torch.rand(KEYS, generator=generator, device=generator.device)
    sounds = (uniform < torch.sigmoid(logits.float() / temperature)).cpu().numpy()
    frame: np.ndarray = np.where(legal[0], sounds & legal[1], legal[1]).astype(np.uint8)
    return frame


def filtered(
    probabilities: Tensor, top_k: int | None = None, top_p: float | None = None, min_p: float | None = None
) -> Tensor:
    """Probabilities [V] with those that the filters leave out set to 0, the others unchanged; the likeliest stays.

    Args:
        probabilities: [V], with sum 1.
        top_k: at least 1; keeps the N likeliest tokens, and those as likely as the last of them.
        top_p: above 0, at most 1; keeps the fewest likeliest tokens that together have at least this share of the
            probability that `top_k` left; of equally likely ones those of lower ids. Source: Holtzman et al. (2020).
        min_p: 0 to 1; keeps tokens of at least this share of the likeliest one's probability. Source: Nguyen et al.
            (2024).
    """
    if top_k is not None and top_k < len(probabilities):
        least = torch.topk(probabilities, top_k).values[-1]
        probabilities = probabilities.masked_fill(probabilities < least, 0)
    if top_p is not None and top_p < 1:
        ordered, order = torch.sort(probabilities, descending=True, stable=True)
        before = torch.cumsum(ordered.double(), dim=0) - ordered.double()  # of all likelier tokens
        left_out = before >= top_p * ordered.double().sum()
        left_out[0] = False
        probabilities = probabilities.masked_fill(torch.zeros_like(left_out).scatter(0, order, left_out), 0)
    if min_p is not None:
        probabilities = probabilities.masked_fill(probabilities < min_p * probabilities.max(), 0)
    return probabilities


def _legal(grammar: Grammar, stream: Stream, count: int) -> np.ndarray:
    """Which tokens [V] may be drawn when a stream has so many."""
    legal = grammar.legal(None if stream.max_events is None else stream.max_events - count)
    if count < stream.minimum_events and np.count_nonzero(legal) > 1:
        legal[EOS] = False
    return legal


def _draw(
    logits: Tensor, legal: np.ndarray, options: SamplingOptions, generators: Sequence[torch.Generator]
) -> list[int]:
    """A token for each row, drawn from logits [B, V] among the legal ones [B, V] by the row's generator."""
    masked = torch.where(torch.from_numpy(legal).to(logits.device), logits.float(), -torch.inf)
    probabilities = torch.softmax(masked.div_(options.temperature), dim=1)
    # one logit that is not finite makes its whole row NaN
    if not all(map(math.isfinite, probabilities[:, 0].tolist())):
        raise ValueError("the model's logits contain NaN or infinity; check its training, or raise the temperature")
    limits = options.top_k, options.top_p, options.min_p
    if limits != (None, None, None):
        probabilities = torch.stack([filtered(row, *limits) for row in probabilities])
    # as torch.multinomial draws one token of a row: the least of exponential times, token v at rate p_v
    times = torch.empty_like(probabilities)
    for row, generator in enumerate(generators):
        times[row].exponential_(generator=generator)
    tokens: list[int] = torch.div(probabilities, times, out=times).argmax(dim=1).tolist()
    return tokens


def _prime(grammar: Grammar, representation: Tokens, primer: Sequence[int] | None, max_events: int | None) -> list[int]:
    events = [int(token) for token in primer or ()]
    for position, token in enumerate(events):
        try:
            if token == EOS:
                raise ValueError("a primer must not contain <eos>")
            grammar.push(token)
        except ValueError as error:
            raise ValueError(f"primer, position {position}: id {token} is illegal: {error}") from None
    if max_events is not None and len(events) + grammar.shortest_end() > max_events:
        raise ValueError(
            f"a primer of {len(events)} events, and {grammar.shortest_end()} to complete it, exceed max_events "
            f"{max_events}; raise that, or shorten the primer"
        )
    return events


def _check(
    model: StepModel | FrameModel | Sampler, options: SamplingOptions, max_events: int | None, minimum_events: int
) -> None:
    if wrong := options.out_of_range():
        raise ValueError(wrong)
    if not 0 <= minimum_events <= (minimum_events if max_events is None else max_events):
        raise ValueError(f"minimum_events {minimum_events}, max_events {max_events}: expected 0 <= minimum <= maximum")
    if getattr(model, "training", False):
        raise ValueError("the model is in training mode, with random dropout; call model.eval() first")
