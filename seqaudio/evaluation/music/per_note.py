"""Tell nats a note beside nats an event, so that models of different tokens compare on the same pieces."""

from __future__ import annotations

from collections.abc import Mapping

from seqaudio.arrow_files import Split
from seqaudio.store import Store
from seqaudio.tokens import TokenRepresentation, representation_of


def notes_of(store: Store, split: Split) -> int:
    """Number of notes of the split's pieces; 0 where nothing decodes the tokens, as with those of a custom script."""
    representation = representation_of(store.settings)
    if not isinstance(representation, TokenRepresentation):
        return 0
    return sum(len(representation.decode(split.sequence(row))) for row in range(len(split)))


def with_notes(metrics: Mapping[str, float], notes: int) -> dict[str, float]:
    """The metrics with `nats_per_decoded_note`: nats of all events, ends included, over the number of notes, if any."""
    if not notes:
        return dict(metrics)
    return {**metrics, "nats_per_decoded_note": metrics["nats_per_event"] * metrics["count"] / notes}
