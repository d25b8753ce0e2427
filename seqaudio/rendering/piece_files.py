"""A piece of music as the bytes of a file, by the suffix of its name."""

from __future__ import annotations

from collections.abc import Sequence

from seqaudio.errors import OptionError
from seqaudio.notes import NoteSequence

PICTURES = (".png", ".pdf", ".svg")  # of the piano roll
SUFFIXES = (".mid", ".wav", *PICTURES, ".musicxml")


def piece_bytes(notes: NoteSequence, suffix: str, title: str = "", comments: Sequence[str] = ()) -> bytes:
    """The bytes of a MIDI file, a sound, a piano roll or a score. Equal pieces give equal bytes.

    Args:
        suffix: one of SUFFIXES.
        title: of pictures and scores. comments: of MIDI files and scores, such as where the piece comes from.
    Raises:
        OptionError: another suffix; for sound and pictures a piece without notes, or one that is too long.
    """
    if suffix == ".mid":
        from seqaudio.midi.writing import midi_bytes

        return midi_bytes(notes, comments)
    if suffix == ".wav":
        from seqaudio.rendering.sound import render, wav_bytes

        return wav_bytes(render(notes))
    if suffix in PICTURES:
        from seqaudio.pictures import figure_bytes
        from seqaudio.rendering.piano_roll import piano_roll

        return figure_bytes(piano_roll(notes, title), suffix)
    if suffix == ".musicxml":
        from seqaudio.midi.musicxml import musicxml

        return musicxml(notes, title=title, comments=comments)
    raise OptionError(f"a piece as {suffix or 'a file without a suffix'}, expected {', '.join(SUFFIXES)}")
