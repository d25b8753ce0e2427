"""Predict the next frame of a piano roll, all its notes at once, from all frames before it."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from seqaudio.batching.batch import Batch
from seqaudio.cells import build_cell
from seqaudio.cells.wrappers import core_cell
from seqaudio.errors import OptionError
from seqaudio.layers import Layer, build_stack
from seqaudio.models.base import MODELS, Model
from seqaudio.models.frame_heads import OCTAVE, FrameHead, HeadName, NADEHead, SigmoidHead, pitch_classes
from seqaudio.state import State

WEIGHTS = "weight_hh"  # the name of recurrent weights in every cell that has them


class RollState(NamedTuple):
    layers: State  # of the recurrent stack
    masks: tuple[Tensor, ...]  # of the notes [B, N] and of the outputs of each layer [B, H]; empty without dropout


@MODELS.register("rolls")
class RollModel(Model):
    """Recurrent stack over frames, and a head that gives the distribution of the next frame.

        p(v_t | v_1 .. v_{t-1}) = head(y_t, v_{t-1}),  y_t = stack(v_{t-1}, h_{t-1}),  v_0 is silence

    With `shared` the stack also reads how many notes of each pitch class sound, and parts of the head are shared by all
    notes. Counts are frames. Source: Boulanger-Lewandowski et al. (2012).

    Dropout is variational (Gal & Ghahramani 2016), on the notes that the stack reads, between layers and before the
    head: one mask for all steps of a sequence. The masks are in the state, as in the wrapper `variational_dropout`, so
    they outlive a window of truncated BPTT; a reset of a row keeps them. Recurrent weights are dropped (Merity et al.
    2018) anew in each call of `forward`. Both leave layers on their fast kernels, which the wrappers do not.

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
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.weight_dropout = weight_dropout
        self.shared = shared
        width = notes + (OCTAVE if shared else 0)
        self.layers = build_stack(
            cell, width, hidden_size, layers=layers, initialisation=initialisation, learned_state=learned_state
        )
        width = self.layers.output_size
        self.head: FrameHead
        if head == "sigmoid":
            self.head = SigmoidHead(width, notes, shared)
        elif head == "nade":
            self.head = NADEHead(width, notes, nade_size, shared)
        else:
            raise OptionError(f"no head is called {head!r}; expected sigmoid or nade")
        if weight_dropout:
            for layer in self._stack():
                _recurrent_weight(layer)

    def _stack(self) -> list[Layer]:
        return list(self.layers.layers)  # type: ignore[arg-type]  # a ModuleList of layers

    def initial_state(self, batch_size: int) -> RollState:
        """The stack's initial state, and newly drawn masks in training mode."""
        state = self.layers.initial_state(batch_size)
        if not (self.dropout or self.input_dropout):
            return RollState(state, ())
        like = next(self.head.parameters())
        widths = [self.notes, *(layer.output_size for layer in self._stack())]
        shares = [self.input_dropout, *[self.dropout] * (len(widths) - 1)]
        masks = (
            F.dropout(like.new_ones(batch_size, width), share, self.training)
            for width, share in zip(widths, shares, strict=True)
        )
        return RollState(state, tuple(masks))

    def forward(
        self,
        frames: Tensor,
        state: RollState | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, RollState]:
        """Frames [T, B, N] -> scores [T, B, S] of the frame after each, and the state after the last step."""
        outputs, state = self._outputs(frames, state, lengths, resets)
        return self.head(outputs, frames), state

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, RollState]:
        """One frame for each row, [B, N], to scores [B, S] of the next frame and the next state."""
        held = cast(RollState, state)
        outputs, after = inputs, []
        for number, (layer, before) in enumerate(zip(self._stack(), held.layers, strict=True)):
            outputs, last = layer.step(self._masked(outputs, held, number), before)
            after.append(last)
        return self.head(self._masked(outputs, held, len(after)), inputs), RollState(tuple(after), held.masks)

    @torch.no_grad()
    def next_frame(
        self,
        frames: Tensor,
        state: State,
        temperature: float = 1.0,
        legal: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, RollState]:
        """Sample the frame after `frames` [B, N], the last one of each row; before the first frame it is silence.

        temperature, legal: see `FrameHead.sample`. Returns frames [B, N] of zeros and ones, and the next state.
        """
        scores, after = self.step(frames, state)
        return self.head.sample(scores, temperature, legal, generator), after

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, RollState]:
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

    def _nats(self, batch: Batch, state: State | None) -> tuple[Tensor, Tensor, RollState]:
        """-log p of each real frame [M]; where these frames are, [T, B] bool; the state after the batch."""
        if batch.targets is None:
            raise ValueError("a batch of rolls needs targets [T, B, N]")
        outputs, after = self._outputs(batch.inputs, cast("RollState | None", state), batch.lengths, batch.resets)
        mask = batch.mask()
        # selecting before the head keeps padding out of the loss and of the gradient
        scores = self.head(outputs[mask], batch.inputs[mask])
        return self.head.nats(scores, batch.targets[mask]), mask, after

    def _outputs(
        self, frames: Tensor, state: RollState | None, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, RollState]:
        """Frames [T, B, N] -> what the head reads of the stack, [T, B, H], and the state after the last step."""
        state = self.initial_state(frames.shape[1]) if state is None else state
        outputs, after = frames, []
        for number, (layer, before) in enumerate(zip(self._stack(), state.layers, strict=True)):
            outputs, last = self._run(layer, self._masked(outputs, state, number), before, lengths, resets)
            after.append(last)
        return self._masked(outputs, state, len(after)), RollState(tuple(after), state.masks)

    def _masked(self, values: Tensor, state: RollState, number: int) -> Tensor:
        """Inputs of layer `number`, or of the head behind the last, with the sequence's mask in training mode."""
        values = values * state.masks[number] if self.training and state.masks else values
        if number or not self.shared:
            return values
        return torch.cat([values, pitch_classes(values)], dim=-1)  # of the notes that were not dropped

    def _run(
        self, layer: Layer, inputs: Tensor, state: State, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        arguments = (inputs, state, lengths, resets)
        if not (self.training and self.weight_dropout):
            result: tuple[Tensor, State] = layer(*arguments)
            return result
        name, weight = _recurrent_weight(layer)
        dropped: tuple[Tensor, State] = functional_call(
            layer, {name: F.dropout(weight, self.weight_dropout)}, arguments
        )
        return dropped


def has_recurrent_weights(cell: str, input_size: int) -> bool:
    """Whether a cell, as `build_cell` reads it, has weights that --weight-dropout can drop.

    input_size: any width that the cell takes. Raises OptionError as `build_cell` does.
    """
    with torch.random.fork_rng(devices=[]):  # the weights of this cell are drawn in vain
        core = core_cell(build_cell(cell, input_size, input_size))
    return isinstance(getattr(core, WEIGHTS, None), nn.Parameter)


def _recurrent_weight(layer: Layer) -> tuple[str, nn.Parameter]:
    """The name and the recurrent weights of a layer's cell. Raises OptionError where it has none."""
    core: Any = core_cell(layer.cell)  # type: ignore[arg-type]  # layers in one direction hold a cell
    weight = getattr(core, WEIGHTS, None)
    if not isinstance(weight, nn.Parameter):
        raise OptionError(
            f"--weight-dropout drops recurrent weights ({WEIGHTS}), {type(core).__name__} has none; leave it out"
        )
    return next((name, part) for name, part in layer.named_parameters() if part is weight)
