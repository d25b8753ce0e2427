"""Traits of the pieces of a store, which conditions of a model are read from: of their tokens and of their facts."""

from __future__ import annotations

from seqaudio.arrow_files import Split
from seqaudio.errors import StoreError
from seqaudio.prepare.music.piece_facts import PieceFacts
from seqaudio.prepare.music.stored_pieces import decoded, store_representation
from seqaudio.progress import progress
from seqaudio.store import Store
from seqaudio.tokens.conditions import Traits
from seqaudio.tokens.repertoire import UNKNOWN


def piece_traits(store: Store, split: Split) -> list[Traits]:
    """The traits of each row of a split of a store of tokens.

    Key and density are those of the decoded tokens. Tempo and metre are those of most of the piece, as the facts about
    it have them; those of older stores have a tempo where it never changes, and tokens or the only time signature give
    the metre.

    Raises StoreError for a store without a representation, or a row that cannot be decoded.
    """
    representation, found = store_representation(store), list[Traits]()
    texts = split.column("text")
    with progress("reading keys and densities", len(split), "pieces") as advance:
        for row, text in enumerate(texts):
            try:
                notes = decoded(representation, split.sequence(row))
            except ValueError as error:
                raise StoreError(f"{store.path}: row {split.ids[row]!r} cannot be decoded: {error}") from None
            tempo, metre = _tempo_and_metre(PieceFacts.from_text(text))
            if metre is None and notes.time_signatures:
                metre = notes.time_signatures[0].name
            found.append(Traits.of(notes, tempo, metre))
            advance()
    return found


def _tempo_and_metre(facts: PieceFacts | None) -> tuple[int, str | None]:
    if facts is None:
        return UNKNOWN, None
    if facts.shape is not None:
        return facts.shape.tempo, facts.shape.metre
    tempo = round(60e6 / facts.slowest) if facts.slowest == facts.fastest else UNKNOWN
    return tempo, facts.time_signatures[0] if len(facts.time_signatures) == 1 else None
