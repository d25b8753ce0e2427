"""Predict the next frame of a piano roll, all its notes at once, from all frames before it."""

from __future__ import annotations

import torch
from torch import Tensor

from seqaudio.batching.batch import Batch
from seqaudio.errors import OptionError
from seqaudio.layers import MaskedStack, build_layers
from seqaudio.models.base import MODELS, Model
from seqaudio.models.frame_heads import OCTAVE, FrameHead, HeadName, NADEHead, SigmoidHead, pitch_classes
from seqaudio.state import State


class PitchClassStack(MaskedStack):
    """A masked stack over frames, which also reads how many notes that were not dropped have each pitch class."""

    def input_features(self, inputs: Tensor) -> Tensor:
        return torch.cat([inputs, pitch_classes(inputs)], dim=-1)


@MODELS.register("rolls")
class RollModel(Model):
    """Recurrent stack over frames, and a head that gives the distribution of the next frame.

        p(v_t | v_1 .. v_{t-1}) = head(y_t, v_{t-1}),  y_t = stack(v_{t-1}, h_{t-1}),  v_0 is silence

    With `shared` the stack also reads how many notes of each pitch class sound, and parts of the head are shared by all
    notes. Counts are frames. Source: Boulanger-Lewandowski et al. (2012).

    Dropout is variational (Gal & Ghahramani 2016), on the notes that the stack reads, between layers and before the
    head, and recurrent weights are dropped (Merity et al. 2018) anew in each call of `forward`, see `MaskedStack`.

    Args:
        notes: N, the width of a frame.
        head: "sigmoid" (independent notes) or "nade" (each note given the lower ones), see `frame_heads.py`.
        nade_size: K, hidden units of the NADE; the head "sigmoid" does not use it.
        shared: C, channels of the parts that notes share, see `NoteOdds`; 0 leaves them out.
        cell, hidden_size, layers, initialisation, learned_state: of the recurrent stack, as
            `seqaudio.layers.build.build_stack` takes them.
        dropout: probability, between the layers and before the head. input_dropout: the same, of the notes of frames.
        weight_dropout: probability, of the recurrent weights of every layer.
    Raises:
        OptionError: an unknown head; a cell without recurrent weights, with weight_dropout.
    """

    windowed = True

    def __init__(
        self,
        notes: int,
        head: HeadName = "sigmoid",
        nade_size: int = 128,
        shared: int = 0,
        cell: str = "lstm",
        hidden_size: int = 256,
        layers: int = 1,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        initialisation: str = "",
        learned_state: bool = False,
    ) -> None:
        super().__init__()
        self.notes = notes
        width = notes + (OCTAVE if shared else 0)
        built = build_layers(
            cell, width, hidden_size, layers, initialisation=initialisation, learned_state=learned_state
        )
        kind = PitchClassStack if shared else MaskedStack
        self.layers = kind(built, dropout, weight_dropout, input_dropout, notes)
        width = self.layers.output_size
        self.head: FrameHead
        if head == "sigmoid":
            self.head = SigmoidHead(width, notes, shared)
        elif head == "nade":
            self.head = NADEHead(width, notes, nade_size, shared)
        else:
            raise OptionError(f"no head is called {head!r}; expected sigmoid or nade")

    def initial_state(self, batch_size: int) -> State:
        """The stack's initial state, and newly drawn masks in training mode."""
        return self.layers.initial_state(batch_size)

    def forward(
        self,
        frames: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Frames [T, B, N] -> scores [T, B, S] of the frame after each, and the state after the last step."""
        outputs, state = self.layers(frames, state, lengths, resets)
        return self.head(outputs, frames), state

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One frame for each row, [B, N], to scores [B, S] of the next frame and the next state."""
        outputs, after = self.layers.step(inputs, state)
        return self.head(outputs, inputs), after

    @torch.no_grad()
    def next_frame(
        self,
        frames: Tensor,
        state: State,
        temperature: float = 1.0,
        legal: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, State]:
        """Sample the frame after `frames` [B, N], the last one of each row; before the first frame it is silence.

        temperature, legal: see `FrameHead.sample`. Returns frames [B, N] of zeros and ones, and the next state.
        """
        scores, after = self.step(frames, state)
        return self.head.sample(scores, temperature, legal, generator), after

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        nats, mask, after = self._nats(batch, state)
        if batch.weights is not None:
            nats = nats * batch.weights[mask]
        return nats.sum(), int(batch.lengths.sum()), after

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        """Nats a frame; without the first frames, for which there is no context; and for each note that sounds.

        A first frame is step 0 where no state is given, and a step with a reset.
        """
        nats, mask, _ = self._nats(batch, state)
        assert batch.targets is not None
        first = torch.zeros_like(mask) if batch.resets is None else batch.resets.clone()
        if state is None:
            first[:1] = True
        of_first = first[mask]
        total, later = float(nats.double().sum()), float(nats[~of_first].double().sum())
        notes = int(batch.targets[mask].sum())
        sums = {
            "nats_per_frame": (total, len(nats)),
            "nats_per_later_frame": (later, int((~of_first).sum())),
            "nats_per_note": (total, notes),
        }
        return {name: (value, count) for name, (value, count) in sums.items() if count}

    def _nats(self, batch: Batch, state: State | None) -> tuple[Tensor, Tensor, State]:
        """-log p of each real frame [M]; where these frames are, [T, B] bool; the state after the batch."""
        if batch.targets is None:
            raise ValueError("a batch of rolls needs targets [T, B, N]")
        outputs, after = self.layers(batch.inputs, state, batch.lengths, batch.resets)
        mask = batch.mask()
        # selecting before the head keeps padding out of the loss and of the gradient
        scores = self.head(outputs[mask], batch.inputs[mask])
        return self.head.nats(scores, batch.targets[mask]), mask, after
