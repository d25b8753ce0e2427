"""Configure MidiTok's tokenisers so that they can be decoded exactly: the only module that imports MidiTok."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError, how_to_install
from seqaudio.midi.writing import instrument_name
from seqaudio.notes.sequence import NoteSequence, TimeSignature
from seqaudio.tokens.miditok.quarter_signatures import MAX_QUARTERS

TOKENISERS = ("REMI", "TSD", "MIDILike", "Structured", "CPWord", "Octuple", "MuMIDI", "MMM", "PerTok", "BEAT")
ALWAYS_PROGRAMS = ("MuMIDI", "MMM", "BEAT")  # write the program of every part regardless of `programs`
ANY_LENGTH = ("MIDILike", "BEAT")  # write ends or spans of notes, so a note may have any length
CUT_PAUSES = ("Structured",)  # writes the wait from one note to the next as one shift of limited length
# Octuple loses changes in bars without notes, PerTok miscounts the bars after a change
ONE_TIME_SIGNATURE = ("Octuple", "PerTok")
NUMBERED_BARS = ("Octuple", "MuMIDI")  # have one token for each bar of a piece
MICRO_TICKS = 40  # per step: PerTok has a resolution finer than its grid
BEAT_STEPS = 4  # per quarter, fixed in BEAT

_Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tokeniser:
    """One of MidiTok's tokenisers and its tokens, without MidiTok's special tokens.

    A tokeniser of compounds has several vocabularies. They are joined into one: the tokens of the k-th vocabulary come
    after those of the previous ones, and the parts of a compound are written one after the other.
    """

    library: Any  # the MidiTok object
    tokens: tuple[str, ...]
    first: tuple[int, ...]  # [K] index in `tokens` of id 0 of each vocabulary, special tokens subtracted
    heads: int  # a compound begins with one of the first `heads` tokens; without compounds every token does
    ticks_per_step: int
    longest: int  # steps of the longest note; 0 for no limit
    programs: bool  # whether programs are written
    time_signatures: bool  # whether time signatures are written
    velocities: _Ids  # [B] the velocities that a note may have, rising

    def encode(self, notes: NoteSequence) -> _Ids:
        """Indices in `tokens` [N] of quantised notes, at one tick a step; without notes, none."""
        if not len(notes):
            return np.zeros(0, dtype=np.int64)
        # MidiTok's own quantisation would not change quantised notes, so it is skipped
        written = self.library.encode(self._score(notes), no_preprocess_score=True)
        if isinstance(written, list):
            (written,) = written
        if not self.library.is_multi_voc:
            return np.asarray(written.ids, dtype=np.int64) + self.first[0]
        return np.array([self.first[k] + part for row in written.ids for k, part in enumerate(row)], dtype=np.int64)

    def decode(self, indices: _Ids) -> NoteSequence:
        """The notes of indices in `tokens`, each part on a track of its own."""
        if self.library.is_multi_voc:
            compounds = np.split(indices, np.flatnonzero(indices < self.heads)[1:])
            ids: list[Any] = [[index - self.first[k] for k, index in enumerate(row.tolist())] for row in compounds]
        else:
            ids = (indices - self.first[0]).tolist()
        score = self.library.decode(ids if self.library.one_token_stream else [ids])
        return self._notes(score)

    def _score(self, notes: NoteSequence) -> Any:
        """Notes as MidiTok expects them: one track for each program, rising, percussion last."""
        symusic: Any = import_module("symusic")  # Any, because its own type stubs are wrong
        score = symusic.Score(notes.ticks_per_quarter * self.ticks_per_step)
        score.tempos.append(symusic.Tempo(0, 120))
        for signature in notes.time_signatures:
            tick = signature.tick * self.ticks_per_step
            score.time_signatures.append(symusic.TimeSignature(tick, signature.numerator, signature.denominator))
        for program, is_drum, which in parts(notes):
            track = symusic.Track(program=program, is_drum=is_drum)
            start = notes.start_tick[which]
            track.notes = symusic.Note.from_numpy(
                time=(start * self.ticks_per_step).astype(np.int32),
                duration=((notes.end_tick[which] - start) * self.ticks_per_step).astype(np.int32),
                pitch=notes.pitch[which].astype(np.int8),
                velocity=notes.velocity[which].astype(np.int8),
            )
            score.tracks.append(track)
        return score

    def _notes(self, score: Any) -> NoteSequence:
        rows: list[tuple[npt.NDArray[np.int64], ...]] = []
        for track in score.tracks:
            columns = track.notes.numpy()
            start = columns["time"].astype(np.int64)
            end = start + columns["duration"]
            same = np.full(len(start), track.program), np.full(len(start), int(track.is_drum))
            rows.append((start, end, columns["pitch"], columns["velocity"], *same))
        empty = np.zeros((6, 0), dtype=np.int64)
        start, end, pitch, velocity, program, is_drum = np.concatenate(
            [empty, *(np.stack(row).astype(np.int64) for row in rows)], axis=1
        )
        signatures = [
            TimeSignature(signature.time // self.ticks_per_step, signature.numerator, signature.denominator)
            for signature in score.time_signatures
        ]
        return in_parts(
            start // self.ticks_per_step,
            end // self.ticks_per_step,
            pitch,
            velocity,
            program,
            is_drum.astype(np.bool_),
            ticks_per_quarter=score.ticks_per_quarter // self.ticks_per_step,
            time_signatures=signatures if self.time_signatures and len(start) else [],
        )


def parts(notes: NoteSequence) -> list[tuple[int, bool, npt.NDArray[np.bool_]]]:
    """(program, is percussion, which notes [N]) of each part, by rising program, percussion last."""
    number = np.where(notes.is_drum, 128, notes.program)
    return [(part % 128, part == 128, number == part) for part in np.unique(number).tolist()]


def in_parts(
    start: npt.NDArray[Any],
    end: npt.NDArray[Any],
    pitch: npt.NDArray[Any],
    velocity: npt.NDArray[Any],
    program: npt.NDArray[Any],
    is_drum: npt.NDArray[np.bool_],
    **more: Any,
) -> NoteSequence:
    """Notes with one track for each program, rising, percussion last; tracks are named after their instruments."""
    number = np.where(is_drum, 128, program)
    found, track = np.unique(number, return_inverse=True)
    names = [instrument_name(part % 128, part == 128) for part in found.tolist()]
    return NoteSequence.from_columns(
        start, end, pitch, velocity, number % 128, track, is_drum, track_names=names or ("",), **more
    )


@functools.lru_cache(maxsize=16)
def tokeniser(name: str, steps_per_quarter: int, longest: int, velocities: int, programs: bool, bars: int) -> Tokeniser:
    """A MidiTok tokeniser by its name; arguments as in MidiTokRepresentation.

    Raises OptionError where miditok is not installed.
    """
    if find_spec("miditok") is None:
        raise OptionError(
            f"the representation miditok needs MidiTok, which is not installed; run {how_to_install('miditok')}"
        )
    miditok = import_module("miditok")
    # PerTok writes the wait from one note of a bar to the next as one shift, as long as the longest note at most
    quarters = MAX_QUARTERS if name == "PerTok" else longest
    library = getattr(miditok, name)(
        miditok.TokenizerConfig(
            pitch_range=(0, 127),
            drums_pitch_range=(0, 127),
            beat_res={(0, quarters): steps_per_quarter},
            num_velocities=velocities,
            special_tokens=["PAD"],
            use_velocities=name != "BEAT",  # BEAT averages the velocities of a beat, which cannot be decoded
            use_programs=programs or name in ALWAYS_PROGRAMS,
            use_time_signatures=True,
            time_signature_range={4: list(range(1, MAX_QUARTERS + 1))},
            use_chords=False,
            use_rests=False,
            use_tempos=False,
            use_sustain_pedals=False,
            use_pitch_bends=False,
            **_own_options(name, steps_per_quarter, bars),
        )
    )
    vocabularies = library.vocab if library.is_multi_voc else [library.vocab]
    tokens: list[str] = []
    first = []
    for number, vocabulary in enumerate(vocabularies):
        special = [token for token in vocabulary if token == "PAD_None"]
        first.append(len(tokens) - len(special))
        named = [token for token in sorted(vocabulary, key=vocabulary.__getitem__) if token not in special]
        tokens += [f"{number}:{token}" for token in named] if library.is_multi_voc else named
    limit = 0 if name in ANY_LENGTH else longest * steps_per_quarter
    if name == "PerTok":  # its longest note is one step shorter than the configured quarters
        limit = min(limit, quarters * steps_per_quarter - 1)
    values = np.asarray(library.velocities, dtype=np.int64) if library.config.use_velocities else np.array([100])
    return Tokeniser(
        library=library,
        tokens=tuple(tokens),
        first=tuple(first),
        heads=first[1] + 1 if library.is_multi_voc else len(tokens),
        ticks_per_step=MICRO_TICKS if name == "PerTok" else 1,
        longest=limit,
        programs=library.config.use_programs,
        time_signatures=library.config.use_time_signatures,
        velocities=values,
    )


def _own_options(name: str, steps_per_quarter: int, bars: int) -> dict[str, Any]:
    """Further options of some tokenisers."""
    if name == "MMM":
        return {"base_tokenizer": "TSD"}
    if name == "PerTok":
        return {
            "ticks_per_quarter": steps_per_quarter * MICRO_TICKS,
            "use_microtiming": False,
            "max_microtiming_shift": 0.0,
            "num_microtiming_bins": 0,
        }
    return {"max_bar_embedding": bars} if name in NUMBERED_BARS else {}
