"""Train the packaged model `hey_computer`: a wake word of synthetic voices, and of people who say its second half.

    recipes/trained_models/hey_computer.py --background BACKGROUND --rooms ROOMS --computer wake_benchmark/computer \
        --people wake_precise --out runs/hey_computer

No free corpus has hundreds of people who say the whole phrase, but one has 200 clips of people who say "computer". A
"hey" of a synthetic voice is put before each, as loud as the word, and `seqaudio wake` takes these clips as real ones,
of which a quarter judges. A third of BACKGROUND, sound without the words, is trained on, a part chooses the threshold,
the rest judges. With --people a second card, in OUT-people, counts clips of people who say the whole phrase. The same
command goes on where an interrupted one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from digits import FLITE

from seqaudio.audio import read_audio
from seqaudio.audio.segments import segments
from seqaudio.augmentation.acoustics import unclipped
from seqaudio.cli import alarms, wake
from seqaudio.cli.options import run
from seqaudio.cli.recognize import list_files
from seqaudio.decoding.spotting import spotting_of
from seqaudio.folders import written_whole
from seqaudio.rendering.sound import write_wav
from seqaudio.run_folder import RunFolder
from seqaudio.synthesis.speakers import EspeakVoice, Manner, parse_commands, speaker_name
from seqaudio.vocabulary import UNKNOWN

WORD = "hey computer"
RATE = 16_000
LONGEST_GAP, AROUND = 0.12, 0.3  # seconds between the words, and of quiet around them
VOICES = ("Andrea", "adam", "Denis", "belinda", "Gene", "linda", "max", "victor")  # of espeak-ng


@dataclass(frozen=True)
class Config:
    """The sounds, and how long to train."""

    background: tuple[Path, ...]  # folders of sound without the words
    rooms: Path  # folder of impulse responses of rooms
    out: Path  # new run folder; its stores and card are beside it
    computer: Path  # folder of clips of people who say "computer"
    people: Path | None = None  # folder of clips of people who say the words, with the table index.tsv
    minutes: float = 10.0  # of training
    seed: int = 1
    workers: int = 2  # processes that speak


def main(config: Config) -> None:
    """Speak, train, judge by synthetic voices and by people."""
    options = wake.Config(
        words=(WORD,), out=config.out, speak=FLITE, real=takes(config), background=config.background,
        room_folder=config.rooms, minutes=config.minutes, seed=config.seed, workers=config.workers,
    )  # fmt: skip
    wake.main(options)
    if config.people is not None:
        card = {
            "positives": config.people / "index.tsv", "where": "word=heycomputer,language=en",
            "background": wake.background(options)[1],
            "near_misses": config.out.with_name(f"{config.out.name}-card") / "words" / UNKNOWN,
            "threshold": spotting_of(RunFolder(config.out)).threshold_of(WORD),
        }  # fmt: skip
        out = config.out.with_name(f"{config.out.name}-people")
        alarms.main(alarms.Config(run=config.out, word=WORD, out=out, force=True, **card))


def takes(config: Config) -> Path:
    """A folder of the people's clips with a "hey" before each, as `seqaudio wake --real` takes it."""
    folder = config.out.with_name(f"{config.out.name}-takes")
    if folder.is_dir():
        return folder
    speakers = (*parse_commands(FLITE), *(EspeakVoice(speaker_name(name, "en-us")) for name in VOICES))
    with written_whole(folder) as partial:
        (partial / WORD).mkdir(parents=True)
        for number, file in enumerate(list_files((config.computer,))):
            draw = np.random.default_rng([config.seed, number])
            samples = read_audio(file, RATE).samples
            spans = segments(samples, RATE)
            word = samples[spans[0][0] : spans[-1][1]]
            hey = speakers[draw.integers(len(speakers))].say("hey", RATE, Manner(), draw)
            hey = hey * (np.std(word) / np.std(hey)) * draw.uniform(0.7, 1.4)
            gap, around = np.zeros(round(draw.uniform(0, LONGEST_GAP) * RATE)), np.zeros(round(AROUND * RATE))
            phrase = np.concatenate([around, hey, gap, word, around]).astype(np.float32)
            write_wav(partial / WORD / f"{number:03d}.wav", unclipped(phrase), RATE)
    return folder


if __name__ == "__main__":
    run(Config, main)
