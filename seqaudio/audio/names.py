"""Which file names promise sound."""

from __future__ import annotations

from pathlib import Path

SOUND = """
    .wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .mp3 .mp2 .mpa .aif .aiff .aifc .au .snd .caf .sph .nist
    .voc .svx .8svx .paf .pvf .ircam .sf .avr
"""  # libsndfile
MEDIA = """
    .m4a .m4b .m4v .mp4 .mov .3gp .3g2 .f4v .aac .adts .webm .mka .mkv .wma .wmv .asf .amr .ac3 .eac3 .avi .flv
    .mpg .mpeg .vob .ts .wv .tta .ape
"""  # FFmpeg
SUFFIXES = frozenset(f"{SOUND} {MEDIA}".split())


def is_audio_name(path: Path) -> bool:
    """True for a visible file whose suffix promises sound (`._a.wav` is a shadow that macOS leaves)."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
