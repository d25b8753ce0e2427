"""Remarks on what a preparation of notes lost and what is odd: of a piece for the ledger, of all for the last lines."""

from __future__ import annotations

from collections.abc import Iterator

from seqaudio.notes.sequence import NoteSequence
from seqaudio.prepare.music.oddities import silence_before, unmarked_drums
from seqaudio.prepare.music.piece_facts import PieceFacts
from seqaudio.store import Store, describe_store
from seqaudio.tokens.loss import Loss, total_loss
from seqaudio.tokens.representation import Representation, build_representation


def remarks_on(notes: NoteSequence, loss: Loss, representation: Representation) -> list[str]:
    """Remarks that a user should read about a piece and its encoding."""
    lines = loss.remarks(representation.spelt, representation.keeps, representation.instead)
    if quarters := silence_before(notes):
        lines.append(f"{quarters:,.4g} quarters ({notes.start[0]:,.3g} s) of silence before the first note")
    lines += [f"track {name!r} is read as pitched notes; move drums to channel 10" for name in unmarked_drums(notes)]
    return lines


def describe_note_store(store: Store) -> Iterator[str]:
    """Lines of text that describe a store of notes, and what its representation lost, summed over all pieces."""
    yield from describe_store(store)
    found = (PieceFacts.from_text(text) for split in store.counts for text in store[split].column("text"))
    facts = [piece for piece in found if piece is not None]
    losses = [piece.loss or Loss(piece.notes, piece.notes) for piece in facts]
    if any(losses):
        settings = dict(store.settings["representation"])
        representation = build_representation(settings.pop("name"), settings)
        for line in total_loss(losses).remarks(representation.spelt, representation.keeps, representation.instead):
            yield f"  {line}"
    if odd := sum(bool(piece.unmarked_drums) for piece in facts):
        yield f"  {odd:,} piece{'s have' if odd > 1 else ' has'} drums read as notes; seqaudio check names them"
