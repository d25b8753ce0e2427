"""The distribution of a frame of notes given the output of a recurrent net: independent notes, or a NADE.

Letters: M frames, N notes in ascending pitch, C shared channels, K hidden units of a NADE, S scores.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HeadName = Literal["sigmoid", "nade"]


OCTAVE = 12  # semitones
REACH = 14  # semitones on each side of a note that its neighbourhood has


class NoteOdds(nn.Module):
    """Log odds of the N notes of the next frame, from outputs y [..., H] and the last frame v [..., N].

        z_i = V_i y + d_i                              of each note
              + V'_(i mod 12) y                        shared by the octaves of a note
              + w . max(0, K v_(i-14 .. i+14) + A y)   shared by all notes: C channels that see the notes around

    The shared parts say what does not depend on where a note lies, such as steps between frames, which small sets show
    too seldom for each note by itself.

    Args:
        input_size: H. notes: N. shared: C; 0 leaves out both shared parts.
    """

    def __init__(self, input_size: int, notes: int, shared: int) -> None:
        super().__init__()
        self.notes = notes
        self.own = nn.Linear(input_size, notes)
        self.shared = shared
        if shared:
            self.of_octaves = nn.Linear(input_size, OCTAVE, bias=False)
            self.around = nn.Linear(2 * REACH + 1, shared)
            self.context = nn.Linear(input_size, shared, bias=False)
            self.out = nn.Parameter(torch.zeros(shared))

    def forward(self, outputs: Tensor, frames: Tensor) -> Tensor:
        """Outputs [..., H] and the last frames [..., N] -> log odds [..., N]."""
        odds: Tensor = self.own(outputs)
        if not self.shared:
            return odds
        octaves = self.of_octaves(outputs)
        octaves = torch.cat([octaves] * -(-self.notes // OCTAVE), dim=-1)[..., : self.notes]
        around = F.pad(frames, (REACH, REACH)).unfold(-1, 2 * REACH + 1, 1)  # [..., N, 29]
        seen = torch.relu(self.around(around) + self.context(outputs)[..., None, :])
        return odds + octaves + seen @ self.out


def pitch_classes(frames: Tensor) -> Tensor:
    """How many notes of each pitch class sound: frames [..., N] -> [..., 12]; note i is of class i mod 12."""
    octaves = -(-frames.shape[-1] // OCTAVE)
    padded = F.pad(frames, (0, octaves * OCTAVE - frames.shape[-1]))
    return padded.reshape(*frames.shape[:-1], octaves, OCTAVE).sum(-2)


class FrameHead(nn.Module):
    """A distribution over frames of N zeros and ones, conditioned on outputs [..., H] and on the last frame [..., N].

    `forward` maps both to scores [..., S], the parameters of the distribution.
    """

    notes: int  # N

    @abstractmethod
    def nats(self, scores: Tensor, frames: Tensor) -> Tensor:
        """-log p(frame), [M], of frames [M, N] of zeros and ones under scores [M, S]."""

    @abstractmethod
    def sample(
        self,
        scores: Tensor,
        temperature: float = 1.0,
        legal: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Frames [M, N] of zeros and ones, drawn under scores [M, S].

        temperature: divides the log odds of every note.
        legal: [2, N] bool, whether each note may be silent, and whether it may sound, as `RollGrammar.legal` gives it.
        Raises ValueError where a note may do neither.
        """

    @abstractmethod
    def set_rates(self, rates: Tensor) -> None:
        """Make `rates` [N], each within 0 < p < 1, the probability of each note before anything is learned."""


class SigmoidHead(FrameHead):
    """Notes that are independent given the past: p(v_i = 1) = sigmoid(z_i), z as `NoteOdds` gives it.

    Scores are the N log odds z. Source: Boulanger-Lewandowski et al. (2012), the plain recurrent net.
    """

    def __init__(self, input_size: int, notes: int, shared: int = 0) -> None:
        super().__init__()
        self.notes = notes
        self.odds = NoteOdds(input_size, notes, shared)

    def forward(self, outputs: Tensor, frames: Tensor) -> Tensor:
        scores: Tensor = self.odds(outputs, frames)
        return scores

    def nats(self, scores: Tensor, frames: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(scores, frames.to(scores), reduction="none").sum(1)

    def sample(
        self,
        scores: Tensor,
        temperature: float = 1.0,
        legal: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        check_legal(legal, self.notes)
        return _drawn(scores, temperature, legal, generator)

    @torch.no_grad()
    def set_rates(self, rates: Tensor) -> None:
        self.odds.own.bias.copy_(rates.logit())


class NADEHead(FrameHead):
    """Notes given all lower notes of the frame: a neural autoregressive distribution estimator, exact and normalised.

        z, c        = NoteOdds(y, v), V y + d           scores: N log odds of notes, K biases of hidden units
        a_i         = sigmoid(c + sum_{j < i} v_j W_j)  [K], hidden units that have seen the notes below note i
        p(v_i = 1)  = sigmoid(z_i + U_i . a_i)

    Source: Larochelle & Murray (2011); biases conditioned on a recurrent net: Boulanger-Lewandowski et al. (2012).

    Args:
        input_size: H, the width of the outputs.
        notes: N. hidden_size: K. shared: see `NoteOdds`.
    """

    def __init__(self, input_size: int, notes: int, hidden_size: int, shared: int = 0) -> None:
        super().__init__()
        self.notes = notes
        self.hidden_size = hidden_size
        self.odds = NoteOdds(input_size, notes, shared)
        self.hidden_bias = nn.Linear(input_size, hidden_size)
        self.weight_in = nn.Parameter(torch.empty(notes, hidden_size))
        self.weight_out = nn.Parameter(torch.empty(notes, hidden_size))
        nn.init.xavier_uniform_(self.weight_in)
        nn.init.xavier_uniform_(self.weight_out)

    def forward(self, outputs: Tensor, frames: Tensor) -> Tensor:
        return torch.cat([self.odds(outputs, frames), self.hidden_bias(outputs)], dim=-1)

    def nats(self, scores: Tensor, frames: Tensor) -> Tensor:
        b, c = scores[:, : self.notes], scores[:, self.notes :]
        sounding = frames.bool()
        # the hidden units change only where a note sounds: one row for each number of notes seen, not one for each note
        lower = sounding.cumsum(1) - sounding.long()  # [M, N] notes that sound below each
        rows = sounding.sum(1) + 1  # [M]
        first = rows.cumsum(0) - rows
        frame = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), rows)  # [R] of each row
        seen = torch.arange(len(frame), device=rows.device) - first[frame]  # [R] notes seen in its frame
        below = (sounding[frame] & (lower[frame] < seen[:, None])).to(scores)  # [R, N]
        hidden = torch.sigmoid(torch.addmm(c[frame], below, self.weight_in))
        odds = hidden @ self.weight_out.t()  # [R, N]
        place = (first[:, None] + lower) * self.notes + torch.arange(self.notes, device=rows.device)
        logits = b + odds.flatten().index_select(0, place.flatten()).view_as(b)
        return F.binary_cross_entropy_with_logits(logits, frames.to(scores), reduction="none").sum(1)

    def sample(
        self,
        scores: Tensor,
        temperature: float = 1.0,
        legal: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        check_legal(legal, self.notes)
        b, seen = scores[:, : self.notes], scores[:, self.notes :]
        frames = torch.zeros_like(b)
        for note in range(self.notes):
            odds = b[:, note] + torch.sigmoid(seen) @ self.weight_out[note]
            frames[:, note] = _drawn(odds, temperature, None if legal is None else legal[:, note], generator)
            seen = seen + frames[:, note, None] * self.weight_in[note]
        return frames

    @torch.no_grad()
    def set_rates(self, rates: Tensor) -> None:
        # the hidden units are near one half before anything is learned
        self.odds.own.bias.copy_(rates.logit() - 0.5 * self.weight_out.sum(1))


def check_legal(legal: Tensor | None, notes: int) -> None:
    """Raise ValueError where `legal` is not [2, N] bool, or a note may neither be silent nor sound."""
    if legal is None:
        return
    if legal.shape != (2, notes) or legal.dtype != torch.bool:
        raise ValueError(f"got legal {legal.dtype} {list(legal.shape)}, expected bool [2, {notes}]")
    if not bool(legal.any(0).all()):
        raise ValueError(f"note {int((~legal.any(0)).nonzero()[0])} may neither be silent nor sound")


def _drawn(odds: Tensor, temperature: float, legal: Tensor | None, generator: torch.Generator | None) -> Tensor:
    """Zeros and ones in the shape of log odds; legal: [2] or [2, N], for the last dimension."""
    probability = torch.sigmoid(odds / temperature)
    drawn = torch.rand(odds.shape, generator=generator, dtype=odds.dtype, device=odds.device) < probability
    if legal is not None:
        drawn = (drawn | ~legal[0]) & legal[1]
    return drawn.to(odds)
