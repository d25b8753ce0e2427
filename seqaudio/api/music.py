"""Models of music: new pieces, and new bars in given ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, get_type_hints

from seqaudio.api.arguments import fit, typed
from seqaudio.api.asked import Asked, names_of_python
from seqaudio.api.base import Loaded
from seqaudio.errors import OptionError
from seqaudio.option_bounds import BOUNDS, check_bounds
from seqaudio.registry import did_you_mean
from seqaudio.sampling_options import SamplingOptions

if TYPE_CHECKING:
    from seqaudio.api.composing import Composed
    from seqaudio.notes import NoteSequence

TOKENS = ".txt"
GIVEN = Path("(a piece)")  # stands for the file of a primer that was given as a piece


@dataclass(frozen=True)
class Piece:
    """A piece of music.

    Attributes:
        notes: what sounds, with tempos and signatures.
        seed: that it was sampled with; None for one that was read.
        tokens: names of its tokens, where it was sampled from tokens.
        remarks: how far it is what was asked for, and its form; lines of text.
        comments: where it comes from; in MIDI files and scores.
    """

    notes: NoteSequence
    seed: int | None = None
    tokens: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    comments: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    @typed
    def read(cls, path: str | Path) -> Piece:
        """The piece of a MIDI file. Raises MidiError for a file that cannot be read or is too long."""
        from seqaudio.midi import read_midi
        from seqaudio.prepare.music.midi_rows import check_length

        notes = read_midi(Path(path), pedal="kept")
        check_length(Path(path), notes)
        return cls(notes)

    @property
    def seconds(self) -> float:
        """Length up to the end of the last note."""
        return self.notes.duration

    @property
    def bars(self) -> int:
        """Number of its bars, an upbeat included."""
        from seqaudio.notes.bars import bars

        return sum(1 for _ in bars(self.notes))

    @typed
    def bytes(self, suffix: str, title: str = "") -> bytes:
        """A file of the piece, without writing it.

        Args:
            suffix: .mid, .wav, .png, .pdf or .svg (a piano roll), .musicxml (a score), .txt (its tokens, one a line).
            title: of pictures and scores.
        Raises:
            OptionError: another suffix, a piece without notes or without tokens.
        """
        from seqaudio.rendering.piece_files import SUFFIXES, piece_bytes

        if suffix == TOKENS:
            if not self.tokens:
                raise OptionError(f"the piece has no tokens, so there is no {TOKENS}; write {', '.join(SUFFIXES)}")
            return "".join(f"{token}\n" for token in self.tokens).encode()
        return piece_bytes(self.notes, suffix, title, self.comments)

    @typed
    def write(self, path: str | Path) -> Path:
        """Write the piece as the suffix of the name says; an existing file is replaced. Returns the path.

        Raises OptionError as `bytes` does, OSError where the file cannot be written.
        """
        from seqaudio.files import write_bytes

        path = Path(path)
        write_bytes(path, self.bytes(path.suffix.lower(), path.stem))
        return path


Given = Union[str, Path, "NoteSequence", Piece]  # a MIDI file or a piece


class Music(Loaded):
    """A model of music.

    >>> piece = load("chorales").generate(seed=1, bars=4)
    >>> piece.bars, len(piece.notes) > 10
    (4, True)
    >>> piece.bytes(".mid")[:4]
    b'MThd'
    """

    @typed
    def generate(self, seed: int = 1, *, primer: Given | None = None, **asked: Any) -> Piece:
        """A new piece; equal seeds and options give equal pieces.

        Args:
            seed: of the sampling.
            primer: a MIDI file or a piece to continue.
            asked: options of `seqaudio generate` by name, such as bars=8, key="D minor", tempo=90, temperature=0.9,
                form="AABA", instruments="piano,bass"; see `Asked`.
        Raises:
            OptionError: an option that is unknown, out of range, or does not fit the model. MidiError: the primer.
        """
        return self.pieces([seed], primer=primer, **asked)[0]

    @typed
    def pieces(self, seeds: Sequence[int], *, primer: Given | None = None, **asked: Any) -> list[Piece]:
        """A piece for each seed, sampled side by side, each equal to that of `generate`."""
        from seqaudio.api.composing import music

        file, notes = None, None
        if isinstance(primer, str | Path):
            file = Path(primer)
        elif primer is not None:
            file, notes = GIVEN, notes_of(primer)
        with names_of_python():
            options = options_of(Asked, primer=file, **asked)
            options.check(self.path, self.recipe)
            check_seeds(seeds)
            return [self._piece(one) for one in music(self.run, options, seeds, notes)]

    @typed
    def fill(
        self,
        piece: Given,
        first_bar: int,
        last_bar: int | None = None,
        seed: int = 1,
        *,
        hold_voices: str | None = None,
        tries: int = 4,
        temperature: float = 0.9,
    ) -> Piece:
        """A piece with new bars between those that stay, from a model that was trained to fill in bars.

        Args:
            piece: a MIDI file or a piece.
            first_bar, last_bar: to write anew, counted from 1, an upbeat included; one bar by default.
            hold_voices: tracks that stay in these bars, with commas: names, or numbers from 1.
            tries: of which the one that the model finds likeliest is taken. temperature: of the sampling.
        Raises:
            RunError: a model that was not trained to fill in bars. OptionError: bars that cannot be filled in.
        """
        from seqaudio.api.filling import check_tries, filled, held_tracks, numbers

        notes = notes_of(piece)
        with names_of_python():
            check_seeds([seed])
            check_tries(tries, temperature)
            bars = numbers(f"{first_bar}-{first_bar if last_bar is None else last_bar}")
            hold = () if hold_voices is None else held_tracks(notes, hold_voices)
            ((new, _),) = filled(self.run, notes, bars, [seed], hold, tries, temperature)
        return Piece(new, seed, comments=self._comments("fill", seed))

    @typed
    def harmonize(
        self,
        melody: Given,
        seed: int = 1,
        *,
        hold: str = "soprano",
        key: str | None = None,
        parallels: bool = False,
        tries: int = 8,
        temperature: float = 0.5,
    ) -> Piece:
        """Voices to a melody, from a model of chorales; the voices of `hold` stay as they are.

        Args:
            melody: a MIDI file or a piece.
            hold: voices that stay, with commas: soprano, alto, tenor, bass.
            key: such as "D minor", outside whose scale the new voices have no pitch.
            parallels: allow parallel fifths and octaves with the new voices.
            tries: of which the one that the model finds likeliest is taken. temperature: of the sampling.
        Raises:
            RunError: a model of another representation. OptionError: voices that cannot be held, or an invalid key.
        """
        from seqaudio.api.composing import key_of
        from seqaudio.api.filling import check_tries
        from seqaudio.api.harmonizing import harmonised

        notes = notes_of(melody)
        with names_of_python():
            check_seeds([seed])
            check_tries(tries, temperature)
            options = SamplingOptions(temperature=temperature)
            ((new, _),) = harmonised(self.run, notes, [seed], options, hold, key_of(key), parallels, tries)
        return Piece(new, seed, comments=self._comments("harmonize", seed))

    def _piece(self, made: Composed) -> Piece:
        tokens: tuple[str, ...] = ()
        if made.ids:
            from seqaudio.decoding.trained_music import representation_of

            names = representation_of(self.run).tokens
            tokens = tuple(names[token] for token in made.ids)
        return Piece(made.notes, made.seed, tokens, tuple(made.remarks), self._comments("generate", made.seed))

    def _comments(self, method: str, seed: int) -> tuple[str, ...]:
        from seqaudio.api.provenance import describe_model

        return (f"{describe_model(self.run)}; seqaudio.load({self.name!r}).{method}; seed {seed}",)


def notes_of(given: Given) -> NoteSequence:
    """The notes of a MIDI file or a piece. Raises MidiError for the file, OptionError for something else."""
    from seqaudio.notes import NoteSequence

    known = Piece.read(given) if isinstance(given, str | Path) else given
    notes = known.notes if isinstance(known, Piece) else known
    if not isinstance(notes, NoteSequence):
        raise OptionError(f"a piece of type {type(given).__name__}, expected a MIDI file, a Piece or a NoteSequence")
    return notes


def options_of(kind: type[Asked], **asked: Any) -> Asked:
    """Options from keywords. Raises OptionError for one that is unknown, of another type or out of its bounds."""
    known = [each.name for each in fields(kind)]
    for name in asked:
        if name not in known:
            raise OptionError(f"no option is called {name!r}; {did_you_mean(name, known)}")
    kinds = get_type_hints(kind)
    options = kind(**{name: fit(kinds[name], value, name) for name, value in asked.items()})
    check_bounds(options)
    return options


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise OptionError for a seed that no generator takes."""
    for seed in seeds:
        if not BOUNDS["seed"].holds(seed):
            raise OptionError(f"--seed {seed}, expected {BOUNDS['seed']}")
