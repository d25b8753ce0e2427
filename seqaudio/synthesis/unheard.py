"""Write recordings to judge a detector on where there are no others: words and running speech of voices it never heard.

The voices are those that a store of synthetic keywords keeps for its test split. They are synthetic all the same, so
they say what a detector misses among such voices, not among people.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from seqaudio.augmentation.acoustics import at_level, unclipped
from seqaudio.errors import AudioError
from seqaudio.folders import written_whole
from seqaudio.prepare.engine import Item
from seqaudio.progress import progress
from seqaudio.rendering.sound import write_wav
from seqaudio.synthesis.clips import SpeakClip, clip_generator
from seqaudio.synthesis.negatives import Negatives, Spoken, accent_of
from seqaudio.synthesis.speakers import speaker_name, spoken_word
from seqaudio.units import Seconds

PIECE: Seconds = 60.0  # of a recording of speech
HISS = 1e-4  # root mean square of the noise under everything: no recording is digital silence


def write_words(folder: Path, items: Sequence[Item], process: SpeakClip) -> int:
    """Write each item as FOLDER/LABEL/NNN.wav, as the store's preparation speaks it. Returns the number of files.

    An item that the preparation would refuse, such as one that does not fit into a clip, is left out.
    """
    count = 0
    with written_whole(folder) as partial, progress("speaking words", len(items), "clips") as advance:
        for number, item in enumerate(items):
            file = partial / item.label / f"{number:03d}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            with suppress(AudioError):
                write_wav(file, process.samples(item), process.features.sample_rate)
                count += 1
            advance(1)
    return count


def write_speech(
    folder: Path, spoken_in: Spoken, voices: Sequence[str], seconds: Seconds, sample_rate: int, seed: int
) -> int:
    """Write running speech without the keywords, by the voices in turn, in files of a minute. Returns their number."""
    speech = Negatives.of(spoken_in, seed).speech()
    accents = tuple(spoken_in)
    count = round(seconds / PIECE)
    with written_whole(folder) as partial, progress("speaking other sentences", count, "minutes") as advance:
        for number in range(count):
            voice = voices[number % len(voices)]
            accent = accent_of(voice, accents)
            draw = clip_generator(seed, f"unheard/{number}")
            parts: list[np.ndarray] = []
            while sum(map(len, parts)) < PIECE * sample_rate:
                text = speech[accent].draw(f"unheard/{number}/{len(parts)}")
                part = spoken_word(text, speaker_name(voice, accent), sample_rate, int(draw.integers(140, 200)))
                loud = at_level(part, draw.uniform(-32.0, -14.0)) if len(part) else part
                parts += [loud, np.zeros(int(draw.uniform(0.1, 0.8) * sample_rate))]
            samples = np.concatenate(parts)[: round(PIECE * sample_rate)]
            samples = samples + HISS * draw.standard_normal(len(samples))
            write_wav(partial / f"{number:03d}.wav", unclipped(samples.astype(np.float32)), sample_rate)
            advance(1)
    return count
