"""Train a speech recogniser: frames -> recurrent net -> characters, words or phones, by CTC.

    data_prep/an4.py --source FOLDER --out stores/an4 --features log_mel --keep samples
    recipes/speech_recognition/train.py --store stores/an4 --run runs/an4

The units are all that occur in the training texts. The best epoch is chosen by the word errors of greedy decoding on
validation; only `evaluate.py` reads the test split.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.batching import PaddedBatches
from seqaudio.batching.clips import check_frames
from seqaudio.batching.text_streams import TextStreamOptions, TextStreams, text_streams
from seqaudio.batching.transcribed import TextOptions, alignable, transcribed
from seqaudio.bptt import StoreOptions, TrainingOptions, train
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import finish
from seqaudio.evaluation.metrics import MAX_STEPS
from seqaudio.evaluation.recognition import reached, recognition_metrics, selection, text_baselines
from seqaudio.features.settings import FeatureSettings
from seqaudio.models import Recogniser, RecogniserOptions
from seqaudio.probing import spread_rows
from seqaudio.store import Store
from seqaudio.units import Decibels


@dataclass(frozen=True, kw_only=True)
class SentenceAugmentation(AugmentationOptions):
    """Random changes of the training recordings, new ones in each epoch; 0 turns one off."""

    time_stretch: float = 0.1  # largest change of the tempo, as a share
    vocal_tract_warp: float = 0.1  # largest scaling of all frequencies, as a share: another speaker
    gain: Decibels = 6.0  # largest change of the level
    tilt: Decibels = 6.0  # largest change of the spectral slope, from the lowest to the highest frequency
    offset: float = 0.0  # standard deviation of a constant added to each feature
    noise: float = 0.2  # standard deviation of noise added to each value
    frequency_masks: int = 2  # number of masks over neighbouring filters, filled with the recording's mean


@dataclass(frozen=True, kw_only=True)
class Config(StoreOptions, RecogniserOptions, TextStreamOptions, TextOptions, TrainingOptions):
    """Options of the training."""

    store: Path  # features or samples with texts, as `seqaudio prepare an4` makes them
    batch_size: int = 8  # recordings of a batch
    batch_frames: int = MAX_STEPS  # most frames of a batch, padding included, so long ones come in fewer
    epochs: int = 60  # passes over the training split
    learning_rate: float = 4e-3  # of Adam, at the peak of the schedule
    average: float = 0.99  # validate and keep a running average of the weights, over some 100 updates; 0 = off
    clip_norm: float = 5.0  # largest norm of the gradient of all parameters; 0 = off
    augmentation: SentenceAugmentation = field(default_factory=SentenceAugmentation)


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require(("features", "audio"), "speech recognition")
    settings = FeatureSettings.from_dict(store.setting("features", dict))
    spelling = config.spelling(store)

    changes = config.augmentation
    augment = changes.of_samples(settings, config.seed), changes.of_features(settings, config.seed)
    training = transcribed(store, store["train"].head(config.limit), spelling, *augment)
    training = alignable(training, config.subsampling, config.skip_infeasible, "train")
    valid = transcribed(store, store["valid"], spelling)
    valid = alignable(valid, config.subsampling, config.skip_infeasible, "valid")
    source: PaddedBatches | TextStreams
    if config.words is None:
        check_frames(training.clips, config.batch_frames)
        source = PaddedBatches(training, config.batch_size, seed=config.seed, max_steps=config.batch_frames)
        statistics = store.normalisation and (np.array(store.normalisation.mean), np.array(store.normalisation.std))
    else:
        source = text_streams(store, config, spelling, changes, config.batch_size, config.seed, config.limit)
        statistics = source.statistics()[:2]

    torch.manual_seed(config.seed)
    description = config.description(settings.size, len(spelling.vocabulary), settings.frame_shift, settings.kind)
    model = Recogniser(**description["arguments"])
    if statistics is not None:
        model.set_normalisation(*map(torch.from_numpy, statistics))

    trained = train(
        model,
        config.strategy(),
        source,
        config,
        recipe="speech_recognition",
        description=description,
        data=store,
        labels=spelling.vocabulary,
        validate=lambda device: recognition_metrics(model, valid, device),
        select=selection(spelling),
        probe_on=spread_rows(valid),
        about_input={"text": asdict(spelling.settings), "longest_seconds": max(store["train"].column("duration"))},
    )
    if trained is None:  # the first process has the results
        return

    finish(
        trained,
        reached=reached(trained.best, spelling),
        metric=f"nats_per_{spelling.noun}",
        baselines=text_baselines(training, valid, valid),
    )


if __name__ == "__main__":
    run(Config, main)
