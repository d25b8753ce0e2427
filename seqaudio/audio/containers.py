"""Recognise sound formats by the suffix of a file name, and by the first bytes of a file."""

from __future__ import annotations

import re
from pathlib import Path

MARKS = (b"RIFF", b"RF64", b"FORM", b"riff", b"fLaC", b"OggS", b".snd", b"caff", b"NIST")  # of sound files
# the full marks by which libsndfile recognises these formats
SAFE = re.compile(
    rb"RIFF....WAVE|RF64....WAVE|FORM....AIF[FC]|riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb|fLaC|OggS|\.snd|caff....desc|NIST",
    re.DOTALL,
)
TAG = b"ID3"  # before an MP3
MPEG_TAGS = (0x50, 0x55)  # codecs of a WAV
EXTENSIBLE = 0xFFFE  # the codec is in a later field

MEDIA = {
    b"\x1aE\xdf\xa3": "Matroska or WebM",
    b"0&\xb2u\x8ef\xcf\x11": "ASF (WMA)",
    b"FLV\x01": "Flash video",
    b"\x00\x00\x01\xba": "MPEG program stream",
    b"#!AMR": "AMR",
    b"wvpk": "WavPack",
    b"MAC ": "Monkey's Audio",
    b"TTA1": "True Audio",
    b"\x0bw": "AC-3",
    b"\xff\xf1": "AAC",
    b"\xff\xf9": "AAC",
}
MP4_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
MPEG_PACKET = 188  # bytes of a packet of a transport stream; each begins with 0x47


def is_safe(start: bytes) -> bool:
    """Whether libsndfile can decode the format in this process.

    That is where it takes the file for a format whose decoder prints nothing, and neither crashed nor hung on thousands
    of damaged files. Everything unrecognised it tries as MP3, with a decoder that writes to stderr.
    """
    if not SAFE.match(start):
        return False
    return not _holds_mpeg(start) if start[:4] in (b"RIFF", b"RF64", b"riff") else True


def _holds_mpeg(start: bytes) -> bool:
    """Whether a WAV, RF64 or W64 holds MP3, or its codec is not within the first bytes."""
    place = start.find(b"fmt ")
    width = 24 if start[:4] == b"riff" else 8  # bytes of a GUID and a long size, or of name and size
    if place < 0 or len(start) < place + width + 2:
        return True
    tag = int.from_bytes(start[place + width : place + width + 2], "little")
    if tag == EXTENSIBLE:
        tag = int.from_bytes(start[place + width + 24 : place + width + 26], "little")
    return tag in MPEG_TAGS


def begins_like_sound(start: bytes) -> bool:
    """Whether a file that no decoder opens seems to be a damaged sound file: by mark, tag or MPEG sync word."""
    return start[:4] in MARKS or start.startswith(TAG) or (start[0] == 0xFF and start[1:2] >= b"\xe0")


def media_name(start: bytes) -> str:
    """The name of a container that FFmpeg reads but libsndfile does not; empty for all others."""
    for mark, name in MEDIA.items():
        if start.startswith(mark):
            return name
    if start[4:8] in MP4_ATOMS:
        return "MP4 (M4A)"
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return "AVI"
    if len(start) > 2 * MPEG_PACKET and start[0 : 2 * MPEG_PACKET + 1 : MPEG_PACKET] == b"GGG":
        return "MPEG transport stream"
    return ""


SOUND_SUFFIXES = """
    .wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .mp3 .mp2 .mpa .aif .aiff .aifc .au .snd .caf .sph .nist
    .voc .svx .8svx .paf .pvf .ircam .sf .avr
"""  # libsndfile
MEDIA_SUFFIXES = """
    .m4a .m4b .m4v .mp4 .mov .3gp .3g2 .f4v .aac .adts .webm .mka .mkv .wma .wmv .asf .amr .ac3 .eac3 .avi .flv
    .mpg .mpeg .vob .ts .wv .tta .ape
"""  # FFmpeg
SUFFIXES = frozenset(f"{SOUND_SUFFIXES} {MEDIA_SUFFIXES}".split())


def is_audio_name(path: Path) -> bool:
    """True for a visible file with a suffix of a sound format. (Files such as `._a.wav` are macOS metadata.)"""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
