"""Random voices: timbres for espeak-ng that are drawn at random, so that a net is trained on hundreds of speakers.

    random_timbre("drawn-0017")       the lines of a voice variant, the same for the same name

espeak-ng has some fifty human timbres. A net trained on forty of them learns these vocal tracts and fails on others; a
thousand random ones cover the whole range. The lines are described in espeak-ng's documentation of voices: a formant
has a frequency, a height and a width in percent of the plain voice's, and a shift in hertz; formant 0 is the hum below
the three that make a vowel.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

PREFIX = "drawn-"  # as in existing stores; the hash of the whole name decides the timbre
FORMANTS = range(9)
VOWEL_FORMANTS = range(1, 4)
STRESSES = 8  # levels of stress that a voice raises or stretches


def random_names(count: int) -> list[str]:
    """Names of the first random voices: drawn-0000, drawn-0001, and so on."""
    return [f"{PREFIX}{number:04d}" for number in range(count)]


def is_random(name: str) -> bool:
    """Whether a voice of this name is a random one, not one of espeak-ng's own."""
    return name.startswith(PREFIX)


def random_timbre(name: str) -> str:
    """The timbre of a name, for `seqaudio.synthesis.espeak.speak`; equal names give equal timbres on every machine.

    The length of the vocal tract shifts all formants together, its shape each of them independently; pitch, flutter and
    breath of the source are random too.
    """
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    draw = np.random.default_rng(int.from_bytes(digest, "little"))
    lines = [*_formants(draw), *_source(draw), *_prosody(draw)]
    return "\n".join(lines)


def _formants(draw: np.random.Generator) -> list[str]:
    throat = _ratio(draw, 0.8, 1.3)
    tilt, width = draw.normal(0, 0.12), _ratio(draw, 0.6, 1.6)
    lines = []
    for number in FORMANTS:
        vowel = number in VOWEL_FORMANTS
        frequency = (throat if number else 1.0) * math.exp(draw.normal(0, 0.08 if vowel else 0.15))
        height = math.exp(tilt * (number - 2) + draw.normal(0, 0.35))
        breadth = width * math.exp(draw.normal(0, 0.25))
        shift = draw.normal(0, 60) if vowel and draw.uniform() < 0.4 else 0.0
        percent = [round(100 * min(max(value, 0.2), 2.2)) for value in (frequency, height, breadth)]
        lines.append(f"formant {number} {' '.join(map(str, percent))} {round(shift)}")
    return lines


def _source(draw: np.random.Generator) -> list[str]:
    lowest = _ratio(draw, 65, 240)  # hertz
    lines = [
        f"pitch {round(lowest)} {round(lowest * _ratio(draw, 1.03, 1.7))}",
        f"flutter {draw.integers(0, 8)}",
        f"roughness {draw.integers(0, 6)}",
    ]
    if draw.uniform() < 0.5:
        lines.append(f"voicing {round(_ratio(draw, 35, 150))}")
    if draw.uniform() < 0.6:
        lines.append(f"consonants {round(_ratio(draw, 40, 150))} {round(_ratio(draw, 20, 150))}")
    if draw.uniform() < 0.3:
        lines.append(f"breath 0 {_numbers(draw.integers(0, 8, 7))}")
    if draw.uniform() < 0.4:
        edges = [draw.integers(100, 1000), draw.integers(1000, 2000), draw.integers(2200, 4500)]  # hertz
        heights = [draw.integers(lowest_height, 255) for lowest_height in (80, 60, 40)]
        lines.append("tone " + " ".join(f"{edge} {height}" for edge, height in zip(edges, heights, strict=True)))
    if draw.uniform() < 0.25:
        lines.append(f"klatt {draw.integers(1, 6)}")  # another model of the glottis
    return lines


def _prosody(draw: np.random.Generator) -> list[str]:
    lines = []
    if draw.uniform() < 0.4:
        lines.append(f"intonation {draw.integers(1, 5)}")
    if draw.uniform() < 0.5:
        lines.append(f"stressAmp {_numbers(draw.integers(12, 30, STRESSES))}")
    if draw.uniform() < 0.5:
        lines.append(f"stressAdd {_numbers(draw.integers(-20, 150, STRESSES))}")
    return lines


def _ratio(draw: np.random.Generator, low: float, high: float) -> float:
    """A number between two others, uniform on a logarithmic scale."""
    return math.exp(draw.uniform(math.log(low), math.log(high)))


def _numbers(values: np.ndarray) -> str:
    return " ".join(str(value) for value in values.tolist())
