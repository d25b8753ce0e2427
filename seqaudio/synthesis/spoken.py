"""Find spoken clips in a folder, by people or by any synthesiser: FOLDER/label/*.wav, also FOLDER/train/label/*.wav."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seqaudio.audio import is_audio_name
from seqaudio.errors import SourceError
from seqaudio.ledger import encode_field
from seqaudio.prepare.corpora.layout import Layout
from seqaudio.prepare.corpora.listing import list_below
from seqaudio.terminal import few
from seqaudio.vocabulary import SILENCE, UNKNOWN

TRAILING = re.compile(r"[-_ .]*\d+$")  # the number of a take at the end of a file's name
SHOWN = 4  # folders that a message names


class SpokenClip(NamedTuple):
    """A recording of a word."""

    key: str  # its path below the folder, fit for the ledger
    path: Path
    label: str  # one of the keywords, or unknown
    text: str  # the folder's name
    split: str
    speaker: str


class SpokenClips(NamedTuple):
    """Recordings in order of their paths, and lines that say how the folder was understood."""

    clips: list[SpokenClip]
    understood: list[str]


def list_spoken(folder: Path, words: Sequence[str]) -> SpokenClips:
    """Every recording in the folders of labels.

    A folder is a keyword's where its name is the keyword, with any case and with _ or - in place of spaces; the others
    are `unknown`, except folders of silence and of background noise (beginning with _background), which are left out.
    The speaker is a file's name without the number at its end (anna_003.wav: anna). Without folders of splits all are
    for training.

    Raises:
        SourceError: no such folder, no recordings in folders, or none of a keyword.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; give a folder of clips, FOLDER/label/*.wav")
    listing = list_below(folder)
    if listing.unreadable:
        key, error = min(listing.unreadable.items())
        raise SourceError(f"{folder / key}: {error.strerror}; make it readable, or move it elsewhere")
    keys = sorted(key for key, path in listing.files.items() if is_audio_name(path) and "/" in key)
    layout = Layout(key.split("/")[:-1] for key in keys)
    known = {_plain(word): word for word in words}
    clips = []
    left_out: Counter[str] = Counter()
    for key, place in zip(keys, layout.places, strict=True):
        label = _plain(place.label)
        noise = label not in known and (label == SILENCE or label.startswith("background"))
        holds = label not in known and any(f" {word} " in f" {label} " for word in known)
        if place.stray or not label or noise or holds:
            left_out[key.rpartition("/")[0]] += 1
            continue
        speaker = TRAILING.sub("", Path(key).stem) or folder.name
        given = known.get(label, UNKNOWN)
        clips.append(
            SpokenClip(
                encode_field(key),
                listing.files[key],
                given,
                given if given != UNKNOWN else encode_field(unicodedata.normalize("NFC", place.label)),
                place.split or "train",
                encode_field(unicodedata.normalize("NFC", speaker)),
            )
        )
    counts = Counter(clip.label for clip in clips)
    if not counts.keys() - {UNKNOWN}:
        folders = few(sorted({clip.text for clip in clips}), SHOWN) or "none with recordings"
        raise SourceError(f"{folder}: no folder is named after one of the words; its folders are {folders}")
    speakers = len({clip.speaker for clip in clips})
    heard = ", ".join(f"{label} {count:,}" for label, count in sorted(counts.items()))
    lines = [f"{folder.name}: {len(clips):,} spoken clips by {speakers:,} speakers: {heard}"]
    if left_out:
        lines.append(
            f"left out, as they hold a keyword or no word: {few(sorted(left_out), SHOWN)} ({left_out.total():,} files)"
        )
    if UNKNOWN not in counts:
        lines.append("its speakers say keywords alone, which a net may learn by the voice; add a folder of other words")
    return SpokenClips(clips, lines)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").replace("-", " ").split())
