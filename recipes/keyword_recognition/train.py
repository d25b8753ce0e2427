"""Train a keyword recogniser: MFCC sequences -> recurrent net -> one label a clip.

    data_prep/fsdd.py --source FOLDER --out stores/fsdd
    recipes/keyword_recognition/train.py --store stores/fsdd --run runs/fsdd_gru --cell gru

The best epoch is chosen on validation; only `evaluate.py` reads the test split.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.batching import PaddedBatches, labelled_clips
from seqaudio.batching.clips import check_frames, clip_seconds
from seqaudio.bptt import StoreOptions, TrainingOptions, train
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import finish
from seqaudio.evaluation.keywords import neighbour_accuracy
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.features.settings import FeatureSettings
from seqaudio.models import KeywordModel, KeywordModelOptions, build_model
from seqaudio.probing import probe_rows
from seqaudio.store import Store


@dataclass(frozen=True, kw_only=True)
class Config(StoreOptions, KeywordModelOptions, TrainingOptions):
    """Options of the training."""

    store: Path  # features or samples with labels, as `seqaudio prepare audio_folder` makes them
    batch_size: int = 64  # clips of a batch
    batch_frames: int = MAX_STEPS  # most frames of a batch, padding included: long clips come in smaller batches
    epochs: int = 24  # passes over the training split
    learning_rate: float = 4e-3  # of Adam, at the peak of the schedule
    weight_decay: float = 0.01  # decoupled from the gradient
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require(("features", "audio"), "keyword recognition")
    labels, settings = store.names, FeatureSettings.from_dict(store.setting("features", dict))
    training, valid = store["train"].head(config.limit), store["valid"]

    # one loss for a whole clip, so clips are not cut; they are padded to the longest of their batch
    of_samples = config.augmentation.of_samples(settings, config.seed)
    of_features = config.augmentation.of_features(settings, config.seed)
    clips = labelled_clips(store, training, labels, of_samples, of_features)
    check_frames(clips, config.batch_frames)
    batches = PaddedBatches(clips, config.batch_size, seed=config.seed, max_steps=config.batch_frames)
    valid_clips = labelled_clips(store, valid, labels)
    valid_batches = PaddedBatches(valid_clips, 256, max_steps=MAX_STEPS)

    torch.manual_seed(config.seed)
    description = config.description(settings.size, len(labels))
    model = build_model(**description)
    assert isinstance(model, KeywordModel)
    if store.normalisation:
        model.set_normalisation(torch.tensor(store.normalisation.mean), torch.tensor(store.normalisation.std))

    trained = train(
        model,
        config.strategy(),
        batches,
        config,
        recipe="keyword_recognition",
        description=description,
        data=store,
        validate=lambda device: evaluate(model, valid_batches, device),
        select=("nats_per_clip", "min"),
        probe_on=probe_rows(store, labels),
        about_input={"clip_seconds": clip_seconds(store["train"])},
    )
    if trained is None:  # the first process has the results
        return

    neighbours = neighbour_accuracy(labelled_clips(store, training, labels), valid_clips)
    finish(
        trained,
        reached=f"accuracy {100 * trained.best['accuracy']:.2f} % of {trained.best['count']:,} clips",
        metric="accuracy",
        baselines={"5-nearest-neighbours": {"accuracy": neighbours}},
    )


if __name__ == "__main__":
    run(Config, main)
