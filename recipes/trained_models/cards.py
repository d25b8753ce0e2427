"""Say of each packaged model what it hears or writes, what it learned from, and which commands measure it."""

from __future__ import annotations

from seqaudio.trained import Card, Figure, Source

FSDD = Source(
    "Free Spoken Digit Dataset", "CC BY-SA 4.0", "https://github.com/Jakobovski/free-spoken-digit-dataset",
    "3,000 digits by six people",
)  # fmt: skip
SPEECH_COMMANDS = Source(
    "Speech Commands v0.01, a part", "CC BY 4.0", "https://arxiv.org/abs/1804.03209", "words by hundreds of people"
)
ESPEAK = Source(
    "espeak-ng", "of the program GPL-3.0, none on what it speaks", "https://github.com/espeak-ng/espeak-ng",
    "hundreds of random voices",
)  # fmt: skip
FLITE = Source("Flite", "of the program BSD-like", "https://github.com/festvox/flite", "four voices")
MUSIC21 = "as distributed in the package music21 with the permission of the encoders"

TABLES = 'python recipes/trained_models/tables.py --data "$SEQAUDIO_DATA" --out tables'


def table(name: str, more: str = "") -> str:
    """The command that makes the store `clips` of one of the tables."""
    return f"seqaudio prepare audio_folder --source tables/{name}.csv --split-column split{more} --features spotting --out clips"


def read(model: str, store: str = "clips") -> str:
    """The command that measures a model on the test of a store."""
    return f"seqaudio evaluate {model} --store {store} --split test --json"


def heard(what: str, condition: str) -> Figure:
    """A figure of the scorecard of the wake word."""
    return Figure(what, 0.0, "%", (ALARMS,), f"detectors.0.judged.1.missed.{condition}.share", 0.11)


ALARMS = (
    'seqaudio alarms hey_computer --positives "$SEQAUDIO_DATA/speech/wake_precise/index.tsv" '
    '--where word=heycomputer,language=en --background "$SEQAUDIO_DATA/speech/background" --snr clean,20 --out card --json'
)
CHORALES = "seqaudio prepare bach_chorales --out chorales-store"
TUNES = (
    "python recipes/trained_models/tunes.py --out tunes",
    "seqaudio prepare midi_folder --source tunes --out folk-store",
)
STRINGS = 'seqaudio prepare fsdd --source "$SEQAUDIO_DATA/speech/fsdd" --features spotting --strings 100 --out strings'

CARDS = {
    "digits": Card(
        title="the ten digits in English",
        about="Hears zero to nine within sound of any length, at 8 kHz, and tells other speech from them.",
        recipe="keyword_recognition",
        licence="CC-BY-SA-4.0",
        commercial=True,
        output_commercial=True,
        terms="Share alike: what is made of the weights is given on under the same licence. What it hears is yours.",
        data=(FSDD, SPEECH_COMMANDS, ESPEAK, FLITE),
        figures=(
            Figure(
                "right of 120 clips of people it never heard: digits, and other words as unknown", 0.0, "%",
                (TABLES, table("digits_people", " --sample-rate 8000"), read("digits")), "metrics.accuracy", 0.02,
            ),
            Figure(
                "right of 300 clips of six people it knows, the official test", 0.0, "%",
                (TABLES, table("digits_known", " --sample-rate 8000"), read("digits")), "metrics.accuracy", 0.01,
            ),
        ),
        language=("en",),
        tags=("keyword-spotting",),
        training=(
            "recipes/trained_models/digits.py --fsdd FSDD --speech-commands SPEECH_COMMANDS --out runs/digits",
        ),
    ),
    "commands": Card(
        title="ten commands in English, from synthetic voices alone",
        about="Hears yes, no, up, down, left, right, on, off, stop and go. No person was in its training.",
        recipe="keyword_recognition",
        licence="CC0-1.0",
        commercial=True,
        output_commercial=True,
        terms="All of its training is sound that programs made.",
        data=(ESPEAK, FLITE),
        figures=(
            Figure(
                "right of 141 clips of people: the words, and others as unknown", 0.0, "%",
                (TABLES, table("commands_people"), read("commands")), "metrics.accuracy", 0.02,
            ),
        ),
        language=("en",),
        tags=("keyword-spotting",),
        training=("recipes/trained_models/commands.py --out runs/commands",),
    ),
    "hey_computer": Card(
        title='the wake word "hey computer"',
        about='Hears "hey computer" in English, at 16 kHz, in quiet rooms better than in noise.',
        recipe="keyword_recognition",
        licence="CC-BY-4.0",
        commercial=True,
        output_commercial=True,
        terms="Some of the noises in its training ask for attribution, which the list of their authors gives.",
        data=(
            Source(
                "Picovoice wake-word benchmark", "Apache-2.0", "https://github.com/Picovoice/wake-word-benchmark",
                '200 clips of people who say "computer", with a synthetic "hey" before each',
            ),
            Source("LibriSpeech dev-clean, speechocean762, orders of drinks, meetings", "CC BY 4.0, free, Apache-2.0"),
            Source("ESC-10 and other noise and music, nine rooms", "CC0, CC BY, a licence a file"),
            ESPEAK,
            FLITE,
        ),
        figures=(
            heard("missed of ten clips of people it never heard, in quiet", "clean"),
            heard("missed of them with noise and speech 20 dB below", "20 dB"),
            Figure(
                "false alarms an hour in 2.1 hours of other people's speech, noise and music", 0.0, "",
                (ALARMS,), "detectors.0.judged.1.alarms.per_hour", 0.5,
            ),
        ),
        language=("en",),
        tags=("wake-word",),
        training=(
            "recipes/trained_models/hey_computer.py --background BACKGROUND --rooms ROOMS --computer COMPUTER "
            "--people PEOPLE --out runs/hey_computer",
        ),
    ),
    "digit_strings": Card(
        title="strings of digits in English, written down as they are spoken",
        about="Writes figures, one after the other, at 8 kHz. It knows no other words, and writes figures for them too.",
        recipe="speech_recognition",
        licence="CC-BY-SA-4.0",
        commercial=True,
        output_commercial=True,
        terms="Share alike: what is made of the weights is given on under the same licence. What it writes is yours.",
        data=(FSDD, ESPEAK),
        figures=(
            Figure(
                "of digits wrong in 78 strings by six people it knows", 0.0, "%",
                (STRINGS, read("digit_strings", "strings")), "metrics.wer", 0.01,
            ),
            Figure(
                "wrong of 130 single digits by people it never heard", 0.0, "%",
                (TABLES, table("strings_people", " --text-column text --sample-rate 8000"), read("digit_strings")),
                "metrics.wer", 0.03,
            ),
        ),
        language=("en",),
        tags=("speech-recognition", "ctc"),
        training=("recipes/trained_models/digit_strings.py --fsdd FSDD --out runs/digit_strings",),
    ),
    "chorales": Card(
        title="four-part chorales in the manner of Bach",
        about="Writes chorales of four voices, whole or to a given melody.",
        recipe="music_generation",
        licence="CC0-1.0",
        commercial=True,
        output_commercial=True,
        terms="The chorales are in the public domain.",
        data=(Source("Bach's chorales", "public domain", "https://www.music21.org", f"222 scores, {MUSIC21}"),),
        figures=(
            Figure(
                "nats an event on 74 chorales it never saw (counting n-grams: 1.5536)", 0.0, "",
                (CHORALES, read("chorales", "chorales-store")), "metrics.nats_per_event", 0.002,
            ),
        ),
        tags=("music-generation", "midi"),
        training=("recipes/trained_models/chorales.py --out runs/chorales",),
    ),
    "folk": Card(
        title="fiddle tunes in the manner of Ryan's Mammoth Collection (1883)",
        about="Writes reels, jigs, hornpipes and other tunes of one voice, with parts that return.",
        recipe="music_generation",
        licence="CC0-1.0",
        commercial=True,
        output_commercial=True,
        terms="The tunes are in the public domain.",
        data=(Source("Ryan's Mammoth Collection", "public domain", "https://www.music21.org", f"820 tunes, {MUSIC21}"),),
        figures=(
            Figure(
                "nats an event on 98 tunes it never saw (counting n-grams: 0.8506)", 0.0, "",
                (*TUNES, read("folk", "folk-store")), "metrics.nats_per_event", 0.002,
            ),
        ),
        tags=("music-generation", "midi"),
        training=("recipes/trained_models/folk.py --out runs/folk",),
    ),
}  # fmt: skip
