"""Words with times as subtitles: SubRip (.srt) and WebVTT (.vtt)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seqaudio.decoding.transcription import Word
from seqaudio.units import Seconds

LETTERS = 84  # of a cue, two lines of a usual screen
GAP: Seconds = 0.8  # between two words, that ends a cue
LONGEST: Seconds = 7.0  # of a cue


def cues(words: Iterable[Word], each: bool = False) -> list[Word]:
    """Words joined to cues, which end in a gap, and before they are too long to read. each: a cue for every word."""
    found: list[list[Word]] = []
    for word in words:
        held = found[-1] if found else []
        letters = sum(len(other.text) + 1 for other in held) + len(word.text)
        fits = held and word.start - held[-1].end < GAP and word.end - held[0].start <= LONGEST and letters <= LETTERS
        if fits and not each:
            held.append(word)
        else:
            found.append([word])
    return [Word(" ".join(word.text for word in held), held[0].start, held[-1].end) for held in found]


def srt(shown: Sequence[Word]) -> str:
    """Cues as SubRip."""
    blocks = (
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate(shown, start=1)
    )
    return "\n".join(blocks)


def vtt(shown: Sequence[Word]) -> str:
    """Cues as WebVTT."""
    blocks = (f"\n{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{_escaped(cue.text)}\n" for cue in shown)
    return "WEBVTT\n" + "".join(blocks)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: Seconds, point: str) -> str:
    """01:02:03,456"""
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
