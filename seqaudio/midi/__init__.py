"""MIDI files and other notations to NoteSequence, and back.

    file ─> guard ─> parser_child: chunks, events, repairs, channels ─> assembly ─> NoteSequence   reading.py
    NoteSequence ─> parts ─> file                                                               writing.py

Files are untrusted: they are parsed in a child process (`parser_child.py`) with a deadline and a memory limit.
`pretty_midi_objects.py`, `symusic_objects.py` and `music21_objects.py` convert to and from the objects of those
libraries, `score.py` reads scores through music21, `comments.py` reads the texts of a file. None of it needs torch.
"""

from seqaudio.midi.music21_objects import from_music21, to_music21
from seqaudio.midi.pretty_midi_objects import from_pretty_midi, to_pretty_midi
from seqaudio.midi.reading import ReadingLimits, read_many, read_midi, read_songs
from seqaudio.midi.symusic_objects import from_symusic, to_symusic
from seqaudio.midi.writing import midi_bytes, write_midi

__all__ = [
    "ReadingLimits",
    "from_music21",
    "from_pretty_midi",
    "from_symusic",
    "midi_bytes",
    "read_many",
    "read_midi",
    "read_songs",
    "to_music21",
    "to_pretty_midi",
    "to_symusic",
    "write_midi",
]
