"""Which file names promise sound."""

from __future__ import annotations

from pathlib import Path

SOUND = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".sph", ".w64")
MEDIA = (".m4a", ".mp4", ".m4b", ".mov", ".3gp", ".aac", ".webm", ".mka", ".mkv", ".wma", ".amr", ".ac3", ".avi")
SUFFIXES = frozenset(SOUND + MEDIA)


def is_audio_name(path: Path) -> bool:
    """True for a visible file whose suffix promises sound (`._a.wav` is a shadow that macOS leaves)."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
