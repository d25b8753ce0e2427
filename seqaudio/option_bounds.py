"""The least and the greatest value of every option that is a number, by the plain name of the option.

They exclude what cannot be meant: a million layers, a probability of 7, NaN. What fits a model or a store is narrower,
and is checked where it is used. A test finds options that are numbers and not in the table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seqaudio.errors import OptionError
from seqaudio.option_groups import is_nested

SEEDS = 2**63 - 1  # the greatest seed of torch's generators


class Bounds(NamedTuple):
    """The least and the greatest value; `above` excludes the least, `below` the greatest."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value lies within the bounds; NaN never does."""
        over = value > self.least if self.above else value >= self.least
        return over and (value < self.most if self.below else value <= self.most)

    def __str__(self) -> str:
        least, most = _number(self.least), _number(self.most)
        if not (self.above or self.below):
            return f"{least} to {most}"
        return f"{'more than' if self.above else 'at least'} {least}, {'under' if self.below else 'at most'} {most}"


def _number(value: float) -> str:
    if value == SEEDS:
        return "2^63 - 1"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


PERCENT = Bounds(0, 100)
SHARE = Bounds(0, 1)
RATE = Bounds(100, 1_000_000)  # hertz
SEED = Bounds(0, SEEDS)

BOUNDS: dict[str, Bounds] = {
    # training
    "epochs": Bounds(1, 1_000_000),
    "batch_size": Bounds(1, 1_000_000),
    "learning_rate": Bounds(0, 100, above=True),
    "learning_rates": Bounds(0, 100, above=True),
    "warmup": Bounds(0, 1, below=True),
    "weight_decay": Bounds(0, 100),
    "clip_norm": Bounds(0, 1_000_000_000),
    "clip_value": Bounds(0, 1_000_000_000),
    "batch_frames": Bounds(1, 1_000_000_000),
    "accumulate": Bounds(1, 1_000_000),
    "average": Bounds(0, 1, below=True),
    "patience": Bounds(0, 1_000_000),
    "plateau_patience": Bounds(1, 1_000_000),
    "minutes": Bounds(0, 1_000_000, above=True),
    "checkpoint_seconds": Bounds(0, 1_000_000),
    "probe_every": Bounds(0, 1_000_000),
    "check_every": Bounds(1, 1_000_000_000),
    "updates": Bounds(1, 1_000_000_000),
    "passes": Bounds(1, 1_000_000),
    "drop_last": Bounds(0, 1_000_000),
    "thin": Bounds(1, 1_000_000_000),
    "shares": Bounds(1, 1_000_000),
    # truncated BPTT
    "advance": Bounds(1, 1_000_000_000),
    "reach": Bounds(1, 1_000_000_000),
    "spread": Bounds(0, 1_000_000_000),
    "segments": Bounds(1, 1_000_000_000),
    "lanes": Bounds(1, 100_000),
    # n-grams
    "order": Bounds(1, 8),
    # models
    "layers": Bounds(1, 1_000),
    "ForecastModelOptions.layers": Bounds(0, 1_000),  # a window_mlp with 0 is a linear map
    "hidden_size": Bounds(1, 10_000),
    "embedding_size": Bounds(1, 100_000),
    "look_back": Bounds(1, 64),
    "fill": SHARE,
    "parameters": Bounds(1, 100_000_000),
    "dropout": Bounds(0, 1, below=True),
    "input_dropout": Bounds(0, 1, below=True),
    "weight_dropout": Bounds(0, 1, below=True),
    "embedding_dropout": Bounds(0, 1, below=True),
    "nade_size": Bounds(1, 10_000),
    "shared": Bounds(0, 10_000),
    "transpose": Bounds(0, 87),
    "mean_prior": Bounds(0, 1_000_000_000),
    "filters": Bounds(0, 10_000),
    "subsampling": Bounds(1, 100),
    "memory": Bounds(0, 1_000_000),
    "pooling": Bounds(0, 1_000_000),
    "label_smoothing": Bounds(0, 1, below=True),
    "window": Bounds(0, 10_000_000),
    "windows": Bounds(1, 10_000_000),
    "horizon": Bounds(1, 10_000_000),
    "chrono": Bounds(2, 1_000_000_000, above=True),
    # made-up streams
    "stream_seconds": Bounds(0, 100_000, above=True),
    "pause": Bounds(0.1, 10),
    "more_share": SHARE,
    "joined": SHARE,
    "other_speech": SHARE,
    "unknown_share": SHARE,
    "hold": Bounds(0, 1_000, above=True),
    "inside_weight": Bounds(0, 1_000),
    "background_weight": Bounds(0, 1_000),
    "without_noise": SHARE,
    "speech_under": SHARE,
    "gated": SHARE,
    "in_rooms": SHARE,
    "cut_off": SHARE,
    # session
    "seed": SEED,
    "devices": Bounds(1, 256),
    "threads": Bounds(1, 1_024),
    "workers": Bounds(1, 1_024),
    "limit": Bounds(1, 1_000_000_000),
    # augmentation
    "frequency_mask": Bounds(0, 1_000),
    "frequency_masks": Bounds(0, 1_000),
    "time_mask": Bounds(0, 1_000),
    "time_masks": Bounds(0, 1_000),
    "gain": Bounds(0, 200),
    "highest_snr": Bounds(-200, 200),
    "lowest_snr": Bounds(-200, 200),
    "noise": Bounds(0, 1_000_000),
    "noisy": SHARE,
    "offset": Bounds(0, 1_000_000),
    "rooms": SHARE,
    "speed": Bounds(0, 1, below=True),
    "telephone": SHARE,
    "tilt": Bounds(0, 200),
    "time_shift": Bounds(0, 1_000_000),
    "time_stretch": Bounds(0, 1, below=True),
    "vocal_tract_warp": Bounds(0, 1, below=True),
    # preparations
    "sample_rate": RATE,
    "valid_percent": PERCENT,
    "test_percent": PERCENT,
    "noisy_percent": PERCENT,
    "noisy_training": PERCENT,
    "percent": PERCENT,
    "min_count": Bounds(1, 1_000_000_000),
    "vocabulary_size": Bounds(1, 1_000_000),
    "max_seconds": Bounds(0, 10_000_000, above=True),
    "max_megabytes": Bounds(0, 10_000, above=True),
    "longest_minutes": Bounds(0, 1_000_000, above=True),
    "steps_per_quarter": Bounds(1, 10_000),
    "silence": Bounds(0, 1_000_000),
    "unknown": Bounds(0, 1_000_000),
    "speech": Bounds(0, 1_000_000),
    "speak_takes": Bounds(1, 1_000_000),
    "spoken_takes": Bounds(1, 1_000_000),
    "random_voices": Bounds(0, 1_000_000),
    "test_draw": Bounds(1, 1_000_000),
    "voices": Bounds(1, 1_000_000),
    "takes": Bounds(1, 1_000_000),
    "rows": Bounds(0, 10_000_000_000),
    # sound that still comes in
    "rate": RATE,
    "channels": Bounds(1, 64),
    "background": Bounds(0, 1_000_000),
    # generated series and tasks
    "delay": Bounds(0, 1_000_000_000),
    "length": Bounds(1, 1_000_000_000),
    "lengths": Bounds(1, 1_000_000_000),
    "period": Bounds(1, 1_000_000_000),
    "low": SHARE,
    "steps": Bounds(1, 1_000_000_000),
    # commands
    "port": Bounds(0, 65_535),
    "keyword_epochs": Bounds(1, 1_000_000),
    "chorale_epochs": Bounds(1, 1_000_000),
    "count": Bounds(1, 10_000),
    "strings": Bounds(0, 100_000),
    "beam": Bounds(0, 10_000),
    "nbest": Bounds(1, 10_000),
    "min_confidence": SHARE,
    "alpha": Bounds(0, 1_000),
    "beta": Bounds(-1_000, 1_000),
    "tries": Bounds(1, 10_000),
    "max_events": Bounds(1, 10_000_000),
    "bars": Bounds(1, 10_000),
    "tempo": Bounds(4, 1_000),
    "program": Bounds(0, 127),
    "primer_events": Bounds(1, 10_000_000),
    "temperature": Bounds(0, 1_000, above=True),
    "max_copied": Bounds(0, 10_000),
    "top_k": Bounds(1, 1_000_000),
    "top_p": Bounds(0, 1, above=True),
    "min_p": SHARE,
    "per_hour": Bounds(0, 100_000),
    "threshold": SHARE,
    "choosing": Bounds(0, 1, above=True, below=True),
    "low_pass": RATE,
    "anchors": Bounds(1, 1_000_000),
    "lags": Bounds(1, 10_000_000),
    "sequences": Bounds(1, 1_000_000),
}


def bounds_of(config: type, name: str) -> Bounds | None:
    """The bounds of an option of a dataclass, by its plain name; None where it is not in the table."""
    own = (BOUNDS.get(f"{kind.__name__}.{name}") for kind in config.__mro__)
    return next((bounds for bounds in own if bounds is not None), BOUNDS.get(name))


def check_bounds(config: Any) -> None:
    """Raise OptionError for the first option, nested ones included, whose number or path is out of bounds.

    Options of several values that have some by default need at least one.
    """
    for kind, name, value in _values(config):
        option = f"--{name.replace('_', '-')}"
        bounds = bounds_of(kind, name)
        if isinstance(value, Path):
            if not value.absolute().name:
                raise OptionError(f"{option} {value} is the root of all folders; give a folder or a file below it")
            if "\0" in str(value):
                raise OptionError(f"{option} {value} has a NUL character, expected the name of a file or folder")
        elif isinstance(value, (int, float)) and bounds is not None and not bounds.holds(value):
            raise OptionError(f"{option} {value}, expected {bounds}")
        elif value == () and getattr(kind, name, None):
            raise OptionError(f"{option} without a value, expected at least one; leave it out for the usual ones")


def _values(config: Any) -> Iterator[tuple[type, str, object]]:
    """The class, the name and the value of each option; of several values, each of them, or () of none."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if is_nested(field):
            yield from _values(value)
        else:
            parts = value if isinstance(value, tuple) and value else (value,)
            yield from ((type(config), field.name, part) for part in parts)
