"""Train a keyword recogniser: frames -> recurrent net -> a label after each frame of a stream, or one a clip.

    data_prep/fsdd.py --source FOLDER --out stores/fsdd --features spotting
    recipes/keyword_recognition/train.py --store stores/fsdd --run runs/fsdd_gru --cell gru

Trained on made-up streams (`batching/streams.py`) where the features can be mixed, otherwise on whole clips. The best
epoch is chosen on the clips of validation; only `evaluate.py` reads the test split.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.batching import PaddedBatches, labelled_clips
from seqaudio.batching.clips import check_frames, clip_seconds, joined_clips
from seqaudio.batching.sounds import read_sounds
from seqaudio.batching.streams import StreamOptions, Streams, for_streams, word_seconds
from seqaudio.bptt import StoreOptions, TrainingOptions, train
from seqaudio.cli.options import run
from seqaudio.decoding.spotting import Spotting, keep_spotting
from seqaudio.evaluation.finishing import finish
from seqaudio.evaluation.keywords import chosen_thresholds, clip_metrics, highest_probabilities, neighbour_baselines
from seqaudio.evaluation.metrics import MAX_STEPS
from seqaudio.features.settings import FeatureSettings
from seqaudio.models import KeywordModel, KeywordModelOptions, SpotterModel
from seqaudio.probing import probe_rows
from seqaudio.store import Store


@dataclass(frozen=True, kw_only=True)
class Config(StoreOptions, KeywordModelOptions, StreamOptions, TrainingOptions):
    """Options of the training."""

    USUAL_EPOCHS, LEAST_UPDATES = 24, 450

    store: Path  # features or samples with labels, as `seqaudio prepare audio_folder` makes them
    examples: Literal["auto", "streams", "clips"] = "auto"  # auto: streams if the features are log-mel energies
    batch_size: int = 64  # streams, or clips, of a batch
    batch_frames: int = MAX_STEPS  # clips: most frames of a batch, padding included, so long ones come in fewer
    epochs: int | None = None  # passes over the training split; by default 24, or more until 450 updates are made
    learning_rate: float = 4e-3  # of Adam, at the peak of the schedule
    weight_decay: float = 0.01  # decoupled from the gradient
    average: float = 0.995  # validate and keep a running average of the weights, over some 200 updates; 0 = off
    clip_norm: float = 5.0  # largest norm of the gradient of all parameters; 0 = off
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require(("features", "audio"), "keyword recognition")
    settings = FeatureSettings.from_dict(store.setting("features", dict))
    streams = config.examples == "streams" or (config.examples == "auto" and for_streams(settings))
    labels = config.stream_labels(store.names) if streams else store.names
    added = [name for name in labels if name not in store.names]
    training, valid = store["train"].head(config.limit), store["valid"]
    changes = config.augmentation
    of_samples, of_features = changes.of_samples(settings, config.seed), changes.of_features(settings, config.seed)
    clips, valid_clips = labelled_clips(store, training, labels), labelled_clips(store, valid, labels)

    torch.manual_seed(config.seed)
    if streams:
        # a target after each frame, so streams may be cut: --bptt truncated carries the state through long ones
        joined = joined_clips(store, clips, config.more_stores, labels)
        sounds = read_sounds(settings, config.speech_folders, changes.noise_folder, changes.room_folder)
        source = Streams(
            joined, labels, settings, config, batch_size=config.batch_size, seed=config.seed, sounds=sounds,
            augment=of_features, snr=(changes.lowest_snr, changes.highest_snr), continues=config.bptt == "truncated",
        )  # fmt: skip
        description = config.stream_description(settings.size, len(labels), settings.frame_shift)
        model = SpotterModel(**description["arguments"])
        model.set_normalisation(*map(torch.from_numpy, source.statistics()))
    else:
        # one loss for a whole clip, so clips are not cut; they are padded to the longest of their batch
        augmented = labelled_clips(store, training, labels, of_samples, of_features)
        check_frames(augmented, config.batch_frames)
        source = PaddedBatches(augmented, config.batch_size, seed=config.seed, max_steps=config.batch_frames)
        description = config.clip_description(settings.size, len(labels))
        model = KeywordModel(**description["arguments"])
        if store.normalisation:
            model.set_normalisation(torch.tensor(store.normalisation.mean), torch.tensor(store.normalisation.std))

    trained = train(
        model,
        config.strategy(),
        source,
        config,
        recipe="keyword_recognition",
        description=description,
        data=store,
        labels=labels,
        validate=lambda device: clip_metrics(model, valid_clips, labels, settings, device, added),
        select=("nats_per_clip", "min"),
        probe_on=probe_rows(store, labels),
        about_input={"clip_seconds": clip_seconds(store["train"])},
    )
    if trained is None:  # the first process has the results
        return

    if streams:
        highest = highest_probabilities(trained.folder.model(), valid_clips, labels, settings)
        thresholds = chosen_thresholds(highest, valid_clips.labels, labels)
        seconds = word_seconds(joined, labels, settings)
        keep_spotting(trained.folder.path, Spotting(seconds=seconds, added=added, clip_thresholds=thresholds))
    finish(
        trained,
        reached=f"accuracy {100 * trained.best['accuracy']:.2f} % of {trained.best['count']:,} clips",
        metric="accuracy",
        baselines=neighbour_baselines(clips, valid_clips),
    )


if __name__ == "__main__":
    run(Config, main)
