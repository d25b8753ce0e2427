"""Read any sound file as mono float32 samples. Headers are not trusted.

WAV of plain 16 bits                          wav.py          read here, in a few microseconds
WAV, FLAC, Ogg, AIFF, AU, CAF, SPHERE ...     sndfile.py      libsndfile
MP3, and unrecognised formats                 guard.py        libsndfile in a child process, which may crash
M4A, WebM, the sound of videos ...            media.py        PyAV, from the extra `media`, also in that child

Sound that still comes in, block by block     live.py         a microphone, raw PCM or a WAV on stdin (pcm.py), a file
Takes cut out of it at silence                takes.py        checked, kept by label and session
"""

from seqaudio.audio.band import band_limit, band_limit_of, band_limits, tell_bands
from seqaudio.audio.containers import SUFFIXES, is_audio_name
from seqaudio.audio.reading import read_audio, read_audio_bytes, stream_audio
from seqaudio.audio.recording import Recording, require_full_scale, resample, sound_fault, sound_faults

__all__ = [
    "SUFFIXES",
    "Recording",
    "band_limit",
    "band_limit_of",
    "band_limits",
    "is_audio_name",
    "read_audio",
    "read_audio_bytes",
    "require_full_scale",
    "resample",
    "sound_fault",
    "sound_faults",
    "stream_audio",
    "tell_bands",
]
