"""Options of sampling that commands share: temperature, and the filters that leave out improbable tokens."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How a token is drawn from the probabilities of a model; the defaults leave them as they are.

    The filters come after the mask of legal tokens and the temperature, in this order, each on what the one before
    left, and each keeps the likeliest legal token. A penalty on repetition is not among them: in streams of music the
    tokens of bars, steps, holds and lengths have to come back all the time, and so do the notes of a motif.
    """

    temperature: float = 1.0  # of the sampling: below 1 more predictable, above 1 more varied
    top_k: int | None = None  # draw only from the N likeliest legal tokens
    top_p: float | None = None  # draw only from the likeliest legal tokens that together have this probability
    min_p: float | None = None  # draw only from tokens with at least this share of the likeliest one's probability

    @property
    def sampling(self) -> dict[str, Any]:
        """These options alone, as keywords of `decoding.sample`."""
        return {field.name: getattr(self, field.name) for field in fields(SamplingOptions)}

    @property
    def options(self) -> SamplingOptions:
        """These options alone."""
        return SamplingOptions(**self.sampling)

    def out_of_range(self) -> str:
        """The fault of the first value that is out of range, such as `top_k 0, expected ...`, or nothing."""
        if not 0 < self.temperature < float("inf"):
            return f"temperature {self.temperature}, expected a number above 0, such as 0.9"
        if self.top_k is not None and self.top_k < 1:
            return f"top_k {self.top_k}, expected at least 1"
        if self.top_p is not None and not 0 < self.top_p <= 1:
            return f"top_p {self.top_p}, expected a number above 0, at most 1"
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            return f"min_p {self.min_p}, expected 0 to 1"
        return ""
