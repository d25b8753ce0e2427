"""Pad clips with quiet or noise at both ends, as recordings of words are, and score them beside the clips alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from seqaudio.augmentation.draws import keyed_generator
from seqaudio.augmentation.spectra import at_snr, check_energies, made_up_noise, word_level
from seqaudio.batching import Clips
from seqaudio.decoding.spotting import Spotting, answer_without_keyword, keywords_of
from seqaudio.decoding.torch_logits import quiet_value
from seqaudio.errors import OptionError
from seqaudio.evaluation.keywords import highest_probabilities
from seqaudio.features.settings import FeatureSettings
from seqaudio.models import Model, SpotterModel
from seqaudio.units import Decibels, Seconds
from seqaudio.vocabulary import Vocabulary

NOISE: Decibels = 20.0  # below the word
LONGEST: Seconds = 600.0
SEED = 0


class Padding(NamedTuple):
    """Padding at each end of a clip."""

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
    kinds = [Padding(seconds, noise) for seconds in times for noise in (False, True)]
    return {described(kind): accuracy_within(kind, model, clips, labels, settings, about) for kind in kinds}


def accuracy_within(
    around: Padding,
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
    within = replace(clips, feature_augment=PadClip(settings, around))
    highest = highest_probabilities(model, within, labels, settings)
    keywords = keywords_of(labels)
    least = np.array([about.threshold_of(name) if name in keywords else np.inf for name in labels])
    sure = np.where(highest >= least, highest, 0.0)
    answers = [
        labels[int(scores.argmax())] if scores.any() else answer_without_keyword(heard, labels)[0]
        for scores, heard in zip(sure, highest, strict=True)
    ]
    return float(
        np.mean([answer == labels[label] for answer, label in zip(answers, clips.labels.tolist(), strict=True)])
    )


def table(alone: float, found: Mapping[str, float], count: int) -> Sequence[str]:
    """Lines about clips within longer sound."""
    lines = [f"  {'before and behind':<26}  accuracy of {count:,}, and what is lost against {100 * alone:.2f} % alone"]
    for around, accuracy in found.items():
        lines.append(f"  {around:<26}  {100 * accuracy:.2f} %, {100 * (accuracy - alone):+.2f}")
    return lines


def described(around: Padding) -> str:
    """`2 s of quiet`."""
    return f"{around.seconds:g} s of " + (f"noise {NOISE:g} dB below" if around.noise else "quiet")


class PadClip:
    """Pads log-mel frames [T, M] with quiet or noise at both ends, the same in each epoch."""

    def __init__(self, settings: FeatureSettings, around: Padding) -> None:
        self.settings = settings
        self.around = around

    def __call__(self, frames: np.ndarray, epoch: int, row: str) -> np.ndarray:
        count = round(self.around.seconds / self.settings.frame_shift)
        if not self.around.noise:
            quiet = np.full((count, frames.shape[1]), quiet_value(self.settings), dtype=np.float32)
            return np.concatenate([quiet, frames, quiet])
        draw = keyed_generator((SEED, epoch, row))
        noise = at_snr(NOISE, word_level(frames, self.settings), made_up_noise(2 * count, frames.shape[1], draw))
        parts = [np.log(noise[:count]), frames, np.log(noise[count:])]
        return np.concatenate(parts).astype(np.float32)
