"""Deltas: time derivatives of features, over a whole recording and over a stream."""

from __future__ import annotations

import torch
from torch import Tensor

from seqaudio.features.slopes import slopes


def with_deltas(static: Tensor, orders: int, width: int) -> Tensor:
    """Frames [T, S] and their derivatives of each order, [T, S (1 + orders)].

    At the edges, as in HTK, the first and the last frame are repeated; for the second order the first and the last
    slope.
    """
    parts = [static]
    for _ in range(orders):
        last = parts[-1]
        first_again, last_again = last[:1].expand(width, -1), last[-1:].expand(width, -1)
        parts.append(slopes(torch.cat([first_again, last, last_again]), width))
    return torch.cat(parts, dim=1) if orders else static


class DeltaStream:
    """One order of derivatives over a stream: frames [t, G] in, frames [t', G + S] out, `width` frames later.

    The slopes are those of the last S columns, so that two of these in a row give the second order.
    """

    def __init__(self, size: int, width: int) -> None:
        self.size = size  # S
        self.width = width

    def push(self, held: Tensor | None, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """The frames that are complete now, and the frames held for the next call; None before the first frame."""
        if held is None:
            if not len(frames):
                return self._empty(frames), None
            held = frames[:1].expand(self.width, -1)
        held = torch.cat([held, frames])
        ready = max(0, len(held) - 2 * self.width)
        if not ready:
            return self._empty(frames), held
        complete = held[: ready + 2 * self.width]
        now = complete[self.width : self.width + ready]
        return torch.cat([now, slopes(complete[:, -self.size :], self.width)], dim=1), held[ready:]

    def finish(self, held: Tensor | None, frames: Tensor) -> Tensor:
        """The frames of the end, given the last `frames` of the stream; its final frame is repeated beyond the end."""
        complete, held = self.push(held, frames)
        if held is None:
            return complete
        rest, _ = self.push(held, held[-1:].expand(self.width, -1))
        return torch.cat([complete, rest])

    def _empty(self, frames: Tensor) -> Tensor:
        return frames.new_zeros(0, frames.shape[1] + self.size)
