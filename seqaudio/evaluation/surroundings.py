"""Hear clips with quiet or noise before and behind them, as recordings of words are, beside the clips alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from seqaudio.augmentation.draws import keyed_generator
from seqaudio.augmentation.spectra import active_frames, at_snr, check_energies, made_up_noise
from seqaudio.batching import Clips
from seqaudio.decoding.spotting import THRESHOLD, Spotting, keywords_of, quiet_value
from seqaudio.errors import OptionError
from seqaudio.evaluation.keywords import highest_probabilities
from seqaudio.features.settings import FeatureSettings
from seqaudio.models import Model, SpotterModel
from seqaudio.units import Decibels, Seconds
from seqaudio.vocabulary import SILENCE, UNKNOWN, Vocabulary

NOISE: Decibels = 20.0  # below the word
LONGEST: Seconds = 600.0
SEED = 0


class Surroundings(NamedTuple):
    """What lies before and behind each clip."""

    seconds: Seconds
    noise: bool  # else digital silence


def parsed_seconds(text: str) -> tuple[Seconds, ...]:
    """The times of `--around 0.5,2,10`, each once; none for an empty text. Raises OptionError for anything else."""
    found = []
    for part in (word.strip() for word in text.split(",")) if text.strip() else ():
        try:
            seconds = float(part)
        except ValueError:
            seconds = np.nan
        if not 0 < seconds <= LONGEST:
            raise OptionError(
                f"--around {part!r}, expected more than 0 and at most {LONGEST:g} s, as in --around 0.5,2,10"
            )
        found.append(seconds)
    return tuple(dict.fromkeys(found))


def accuracies_within(
    times: Sequence[Seconds],
    model: Model,
    clips: Clips,
    labels: Vocabulary,
    settings: FeatureSettings,
    about: Spotting,
) -> dict[str, float]:
    """The accuracy within so many seconds of quiet, and of noise, by what lies around. Raises as `accuracy_within`."""
    kinds = [Surroundings(seconds, noise) for seconds in times for noise in (False, True)]
    return {described(kind): accuracy_within(kind, model, clips, labels, settings, about) for kind in kinds}


def accuracy_within(
    around: Surroundings,
    model: Model,
    clips: Clips,
    labels: Vocabulary,
    settings: FeatureSettings,
    about: Spotting,
) -> float:
    """Share of the clips that are recognised within longer sound, as `seqaudio recognize` answers to a long recording.

    The surest keyword above its threshold; without one `unknown` where that is probable, else `silence`.
    Raises OptionError for frames that are no plain log-mel energies, and for a model of whole clips.
    """
    if not isinstance(model, SpotterModel):
        raise OptionError("--around needs a run that was trained on streams; train with --examples streams")
    try:
        check_energies(settings)
    except OptionError:
        raise OptionError("--around adds frames of plain log-mel energies; prepare with --features spotting") from None
    within = replace(clips, feature_augment=Surrounding(settings, around))
    highest = highest_probabilities(model, within, labels, settings)
    keywords = keywords_of(labels)
    least = np.array([about.threshold_of(name) if name in keywords else np.inf for name in labels])
    sure = np.where(highest >= least, highest, 0.0)
    guesses = np.where(sure.any(axis=1), sure.argmax(axis=1), _without_word(highest, labels))
    return float((guesses == clips.labels).mean())


def _without_word(highest: np.ndarray, labels: Vocabulary) -> np.ndarray:
    """The answer [N] to recordings in which no keyword was heard; -1 where the labels have none."""
    silence = labels.index(SILENCE) if SILENCE in labels else -1
    if UNKNOWN not in labels:
        return np.full(len(highest), silence)
    other = labels.index(UNKNOWN)
    speech = np.delete(highest, silence, axis=1).max(axis=1) if silence >= 0 else highest.max(axis=1)
    return np.where(speech >= THRESHOLD, other, silence)


def table(alone: float, found: Mapping[str, float], count: int) -> Sequence[str]:
    """Lines about clips within longer sound."""
    lines = [f"  {'before and behind':<26}  accuracy of {count:,}, and what is lost against {100 * alone:.2f} % alone"]
    for around, accuracy in found.items():
        lines.append(f"  {around:<26}  {100 * accuracy:.2f} %, {100 * (accuracy - alone):+.2f}")
    return lines


def described(around: Surroundings) -> str:
    """`2 s of quiet`."""
    return f"{around.seconds:g} s of " + (f"noise {NOISE:g} dB below" if around.noise else "quiet")


class Surrounding:
    """Puts quiet or noise before and behind log-mel frames [T, M], the same in each epoch."""

    def __init__(self, settings: FeatureSettings, around: Surroundings) -> None:
        self.settings = settings
        self.around = around

    def __call__(self, frames: np.ndarray, epoch: int, row: str) -> np.ndarray:
        count = round(self.around.seconds / self.settings.frame_shift)
        if not self.around.noise:
            quiet = np.full((count, frames.shape[1]), quiet_value(self.settings), dtype=np.float32)
            return np.concatenate([quiet, frames, quiet])
        power = np.exp(frames.astype(np.float64))
        first, end = active_frames(frames, self.settings)
        speech = float(np.log(power[first:end].sum(axis=1).mean()))
        draw = keyed_generator((SEED, epoch, row))
        noise = at_snr(NOISE, speech, made_up_noise(2 * count, frames.shape[1], draw))
        parts = [np.log(noise[:count]), frames, np.log(noise[count:])]
        return np.concatenate(parts).astype(np.float32)
