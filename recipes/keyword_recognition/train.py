"""Train a keyword recogniser: MFCC sequences -> recurrent net -> one label a clip.

    data_prep/fsdd.py --source FOLDER --out stores/fsdd
    recipes/keyword_recognition/train.py --store stores/fsdd --run runs/fsdd_gru --cell gru

The best epoch is chosen on validation. The test split stays closed; `evaluate.py` opens it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from seqaudio.augmentation.frames import Augmentation, augment
from seqaudio.augmentation.waveforms import WaveformAugmentation, WaveformAugmenter
from seqaudio.batching import Augmenter, PaddedBatches, labelled_clips
from seqaudio.bptt import TrainingOptions, train
from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.evaluation.figures import draw_curves, read_metrics
from seqaudio.evaluation.keywords import neighbour_accuracy
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.results import command_line, results
from seqaudio.features.settings import FeatureSettings
from seqaudio.files import write_json
from seqaudio.models import KeywordModel, build_model, choose_width
from seqaudio.probing import probe_rows
from seqaudio.store import Store
from seqaudio.units import Decibels, Seconds

TIME_MASK: Seconds = 0.06  # longest


@dataclass(frozen=True, kw_only=True)
class Config(TrainingOptions):
    """Options of the training."""

    store: Path  # features or samples with labels, as data_prep/fsdd.py and data_prep/audio_folder.py make them
    cell: str = "gru"  # recurrent cell, wrappers too, as in lstm+zoneout=0.1; `seqaudio info --cells` lists the names
    hidden_size: int | None = None  # units a layer; 128 where neither this nor --parameters is given
    parameters: int | None = None  # of the whole model, instead: picks the width that comes nearest
    layers: int = 2
    initialisation: str = ""  # such as chrono=100 or orthogonal+forget_bias=2; empty is the cell's own
    learned_state: bool = False  # the state before the first frame is learned; zero otherwise
    bidirectional: bool = False  # better on whole clips, but cannot listen to a stream
    dropout: float = 0.3
    mean_prior: float = 10.0  # frames of the training mean that a clip's own running mean starts from; 0 = off
    augment: bool = True  # --no-augment turns off all changes of features, whatever the next eight say
    time_stretch: float = 0.25  # augmentation, drawn anew for each clip and epoch: largest change of pace
    vocal_tract_warp: float = 0.2  # augmentation: largest shift of all frequencies, as by another speaker
    gain: float = 12.0  # augmentation: largest change of the level, in decibels
    tilt: float = 15.0  # augmentation: largest change from the lowest to the highest frequency, in decibels
    offset: float = 0.4  # augmentation: deviation of a constant added to each feature
    noise: float = 0.4  # augmentation: deviation of noise added to each value
    time_masks: int = 2  # augmentation: stretches of up to 60 ms replaced by the clip's mean
    frequency_masks: int = 0  # augmentation: bands of filters replaced by the clip's mean
    speed: float = 0.0  # augmentation of samples (prepare with --keep samples): largest change of speed and pitch
    time_shift: Seconds = 0.0  # augmentation of samples: largest shift to either side
    rooms: float = 0.0  # augmentation of samples: share of clips that are heard in a room
    room_folder: Path | None = None  # recorded impulse responses for --rooms; without it they are synthetic
    noisy: float = 0.0  # augmentation of samples: share of clips that get noise
    noise_folder: Path | None = None  # recordings for --noisy; without it noises are synthetic
    lowest_snr: Decibels = 0.0  # least signal-to-noise ratio of --noisy
    highest_snr: Decibels = 25.0  # greatest signal-to-noise ratio of --noisy
    telephone: float = 0.0  # augmentation of samples: share of clips limited to 300 to 3400 Hz
    batch_size: int = 64  # clips
    epochs: int = 24  # passes over the training split
    learning_rate: float = 4e-3  # Adam; the highest of the schedule
    weight_decay: float = 0.01  # apart from the gradient


def feature_augment(config: Config, store: Store) -> Augmenter | None:
    """The augmentation of features that the options name. Raises OptionError where the features cannot be changed."""
    if not config.augment:
        return None
    settings = FeatureSettings.from_dict(store.settings["features"])
    if settings.normalise != "none":
        raise OptionError(
            f"features with normalise={settings.normalise} cannot be augmented: they no longer tell the spectrum; give "
            f"--no-augment, and augment samples instead (prepare with --keep samples)"
        )
    augmentation = Augmentation(
        time_stretch=config.time_stretch,
        vocal_tract_warp=config.vocal_tract_warp,
        gain=config.gain,
        tilt=config.tilt,
        offset=config.offset,
        noise=config.noise,
        time_masks=config.time_masks,
        time_mask_frames=round(TIME_MASK / settings.frame_shift),
        frequency_masks=config.frequency_masks,
    )
    return lambda frames, epoch, name: augment(frames, settings, augmentation, (config.seed, epoch, name))


def waveform_augment(config: Config, store: Store) -> Augmenter | None:
    """The augmentation of samples that the options name; None where all of it is off."""
    if not (config.speed or config.time_shift or config.rooms or config.noisy or config.telephone):
        return None
    augmentation = WaveformAugmentation(
        speed=config.speed,
        time_shift=config.time_shift,
        room=config.rooms,
        room_folder=config.room_folder,
        noise=config.noisy,
        noise_folder=config.noise_folder,
        snr=(config.lowest_snr, config.highest_snr),
        telephone=config.telephone,
        gain=0.0,  # --gain changes the level of the features
    )
    settings = FeatureSettings.from_dict(store.settings["features"])
    return WaveformAugmenter(augmentation, settings.sample_rate, config.seed)


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require(("features", "audio"), "keyword recognition")
    labels = store.names
    training, valid = store["train"].head(config.limit), store["valid"]
    train_clips = labelled_clips(
        store, training, labels, waveform_augment(config, store), feature_augment(config, store)
    )
    valid_clips = labelled_clips(store, valid, labels)
    settings = FeatureSettings.from_dict(store.settings["features"])

    torch.manual_seed(config.seed)
    arguments = {
        "input_size": settings.size,
        "classes": len(labels),
        "cell": config.cell,
        "layers": config.layers,
        "dropout": config.dropout,
        "bidirectional": config.bidirectional,
        "mean_prior": config.mean_prior,
        "initialisation": config.initialisation,
        "learned_state": config.learned_state,
    }
    arguments["hidden_size"] = choose_width(
        "keyword", arguments, hidden_size=config.hidden_size, parameters=config.parameters, default=128
    )
    model = build_model("keyword", arguments)
    assert isinstance(model, KeywordModel)
    if store.normalisation:
        model.set_normalisation(torch.tensor(store.normalisation.mean), torch.tensor(store.normalisation.std))

    train_batches = PaddedBatches(train_clips, config.batch_size, seed=config.seed)
    valid_batches = PaddedBatches(valid_clips, 256, max_steps=MAX_STEPS)
    trained = train(
        model,
        arguments,
        train_batches,
        config,
        recipe="keyword_recognition",
        name="keyword",
        store=store,
        validate=lambda device: evaluate(model, valid_batches, device),
        select=("nats_per_clip", "min"),
        probe_on=probe_rows(store, labels),
    )
    if trained is None:
        return

    hits = neighbour_accuracy(labelled_clips(store, training, labels), valid_clips)
    outcome = results(
        recipe="keyword_recognition",
        seed=config.seed,
        valid=trained.best,
        baselines={"5-nearest-neighbours": {"valid": {"accuracy": hits}}},
        parameters=model.parameter_count(),
        wall_seconds=trained.seconds,
        command=command_line(),
    )
    write_json(config.run / "results.json", outcome)
    draw_curves(read_metrics(trained.folder.metrics_file), trained.folder.figure("curves"))
    print(
        f"validation accuracy {100 * trained.best['accuracy']:.2f} % of {trained.best['count']:,} clips "
        f"(5 nearest neighbours {100 * hits:.2f} %), {trained.seconds:.0f} s; "
        f"next: recipes/keyword_recognition/evaluate.py --run {config.run} --split test"
    )


if __name__ == "__main__":
    run(Config, main)
