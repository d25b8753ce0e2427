"""Rows of MIDI files: read a file, write its songs as tokens, tell its content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seqaudio.errors import InputFileError, MidiError, OptionError
from seqaudio.ledger import Reason
from seqaudio.midi.reading import Pedal, read_many
from seqaudio.notes.sequence import NoteSequence
from seqaudio.prepare.corpora.splits import check_percentages, hash_split
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.music.near_duplicates import PieceIdentity, content_hash
from seqaudio.prepare.music.piece_facts import PieceFacts
from seqaudio.prepare.music.piece_remarks import remarks_on
from seqaudio.tokens.loss import DRUMS
from seqaudio.tokens.repertoire import Shape
from seqaudio.tokens.representation import Representation

LONGEST_MINUTES = 240.0
_FASTEST = 300  # quarters a minute, on average: a damaged tempo must not make a grid without end
_REMARKS = 3  # of a song that are shown: a damaged file can give thousands


@dataclass(frozen=True)
class MidiPreparation:
    """A `Process` of `build_store`: the rows of a MIDI file, one a song.

    Raises:
        OptionError: percentages that `hash_split` refuses; a longest piece of no length.
        MidiError: when called, what `read_songs` raises; PERCUSSION_ONLY and TOO_LONG; NO_NOTES where the
            representation can say none of them.
    """

    representation: Representation
    valid_percent: float = 10.0
    test_percent: float = 10.0
    longest_minutes: float = LONGEST_MINUTES  # longer pieces are refused: often a damaged file with a huge pause
    pedal: Pedal = "kept"  # whether the sustain pedal holds notes (applied)
    identify: bool = field(default=False, repr=False)  # tell what the piece is, for `SplitsByContent`

    def __post_init__(self) -> None:
        check_percentages(self.valid_percent, self.test_percent)
        if not self.longest_minutes > 0:  # NaN is not
            raise OptionError(f"--longest-minutes {self.longest_minutes:g}, expected more than 0")

    def __call__(self, item: Item) -> list[Row]:
        (rows,) = self.many([item])
        if isinstance(rows, InputFileError):
            raise rows
        return rows

    def many(self, items: Sequence[Item]) -> Iterator[list[Row] | InputFileError]:
        """The outcome of each item, in order. The next files are parsed while these are encoded."""
        sources = (item.file if item.content is None else item.content for item in items)
        needed = self.pedal == "applied" or self.representation.encodes_pedals
        read = read_many(sources, pedal=self.pedal if needed else "unread")
        for item, songs in zip(items, read, strict=True):
            try:
                yield songs if isinstance(songs, MidiError) else self._rows(item, songs)
            except MidiError as error:
                yield error

    def _rows(self, item: Item, songs: Sequence[NoteSequence]) -> list[Row]:
        drums = self.representation.writes_programs
        written = [song for song in songs if drums or not song.is_drum.all()]
        if not written:
            detail = f"every note is percussion, which {self.representation.spelt} leaves out; --representation {DRUMS}"
            raise MidiError(item.file, Reason.PERCUSSION_ONLY, f"{detail} writes drums")
        for song in written:
            check_length(item.file, song, self.longest_minutes)
        identity = PieceIdentity.of(*songs).to_bytes() if self.identify else b""
        rows = [
            self._row(item, item.id if len(written) == 1 else f"{item.id}#{number}", song, identity)
            for number, song in enumerate(written, start=1)
        ]
        rows = [row for row in rows if len(row.sequence)]
        if not rows:
            raise MidiError(item.file, Reason.NO_NOTES, f"no notes that {self.representation.name} can say")
        return rows

    def _row(self, item: Item, name: str, song: NoteSequence, identity: bytes) -> Row:
        sequence = self.representation.encode(song)
        loss = self.representation.loss(song, sequence)
        return Row(
            id=name,
            sequence=sequence,
            duration=song.duration,
            split=item.split or ("" if self.identify else self.split(song)),
            text=PieceFacts.of(song, loss, self._shape(song)).to_text(),
            remark="; ".join([*first_remarks(song), *remarks_on(song, loss, self.representation)]),
            identity=identity,
        )

    def _shape(self, song: NoteSequence) -> Shape | None:
        return Shape.of(song, self.representation) if self.representation.kind == "tokens" else None

    def split(self, song: NoteSequence) -> str:
        """train, valid or test, the same for every copy and transposition of a piece."""
        return hash_split(content_hash(song), self.valid_percent, self.test_percent)


def check_length(path: Path, song: NoteSequence, longest_minutes: float = LONGEST_MINUTES) -> None:
    """Raise MidiError, TOO_LONG, for a piece that would make a grid without end: often a damaged file."""
    minutes = song.duration / 60
    if minutes > longest_minutes:
        raise MidiError(path, Reason.TOO_LONG, f"{minutes:,.0f} minutes, at most {longest_minutes:g} are taken")
    quarters, most = song.last_tick / song.ticks_per_quarter, longest_minutes * _FASTEST
    if quarters > most:
        raise MidiError(path, Reason.TOO_LONG, f"{quarters:,.0f} quarters, at most {most:,.0f} are taken")


def first_remarks(song: NoteSequence) -> tuple[str, ...]:
    """The first few remarks of a reader, and behind them how many more there are."""
    shown, more = song.remarks[:_REMARKS], len(song.remarks) - _REMARKS
    return (*shown, f"and {more:,} more remarks") if more > 0 else shown
