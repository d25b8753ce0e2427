"""Tell a model of music the conditions of stored pieces, in training and to measure what they are worth to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from seqaudio.arrow_files import Split
from seqaudio.batching import DROPPED, PaddedBatches, SequenceConditions, TokenSequences
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.models import Model
from seqaudio.prepare.music.piece_traits import piece_traits
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tokens.conditions import Conditions, Traits
from seqaudio.vocabulary import ConditionName


@dataclass(frozen=True, eq=False)
class TrainingConditions:
    """The conditions of a training and their values.

    Attributes:
        training: of the training split, unknown at random.
        valid: of the validation split, all told.
    """

    conditions: Conditions
    training: SequenceConditions
    valid: SequenceConditions

    @classmethod
    def of(cls, store: Store, training: Split, names: Sequence[ConditionName], seed: int) -> TrainingConditions | None:
        """Read from the pieces of a store; None without names. Raises StoreError as `piece_traits` does."""
        if not names:
            return None
        pieces = piece_traits(store, training)
        conditions = Conditions.of(tuple(dict.fromkeys(names)), pieces)
        return cls(
            conditions,
            _values(conditions, pieces, DROPPED, seed),
            _values(conditions, piece_traits(store, store["valid"])),
        )


def conditions_of(run: RunFolder) -> Conditions | None:
    """The conditions that a run was trained with; None without. Raises RunError where they are damaged."""
    found: Conditions | None = run.input_fact("conditions", Conditions | None)
    return found


def told(conditions: Conditions | None, store: Store, split: str) -> SequenceConditions | None:
    """The true values of all pieces of a split; None without conditions."""
    return None if conditions is None else _values(conditions, piece_traits(store, store[split]))


def conditioned_nats(
    model: Model, split: Split, values: SequenceConditions | None, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """The metric `nats_per_conditioned_event`: as `nats_per_event`, of pieces whose conditions are told.

    Empty without values. Leaves the model in evaluation mode.
    """
    if values is None:
        return {}
    batches = PaddedBatches(TokenSequences(split, values), 64, max_steps=MAX_STEPS)
    return {"nats_per_conditioned_event": evaluate(model, batches, device)["nats_per_event"]}


def _values(
    conditions: Conditions, pieces: Sequence[Traits], dropped: float = 0.0, seed: int = 0
) -> SequenceConditions:
    values = np.array([conditions.values(piece) for piece in pieces], dtype=np.int64)
    return SequenceConditions(values.reshape(len(pieces), len(conditions.names)), dropped, seed)
