"""Feature settings by name, for `--features NAME`, with optional changes: `default+deltas=2+normalise=sliding`."""

from __future__ import annotations

import types
from dataclasses import replace
from typing import Any, Union, get_args, get_origin, get_type_hints

from seqaudio.audio.recording import FULL_SCALE
from seqaudio.errors import OptionError
from seqaudio.features.settings import FeatureSettings
from seqaudio.registry import Registry, did_you_mean

PRESETS: Registry[FeatureSettings] = Registry("feature preset")

PRESETS.register("default")(FeatureSettings())
PRESETS.register("log_mel")(FeatureSettings(kind="log_mel"))
# long frames, half as many: words take half the time to train, and accuracy does not suffer
PRESETS.register("keywords")(FeatureSettings(frame_length=0.04, frame_shift=0.02, coefficients=20))
# 49 frames of 10 values a second, for microcontrollers. Source: Zhang et al. (2017), Hello Edge
PRESETS.register("hello_edge")(FeatureSettings(frame_length=0.04, frame_shift=0.02, coefficients=10))
# log-mel energies of long frames, which made-up streams are mixed from; a 6 kHz limit, common in compressed speech, is
# above their highest filter
SPOTTING_TOP = 5800.0  # hertz
PRESETS.register("spotting")(FeatureSettings(kind="log_mel", frame_length=0.04, frame_shift=0.02, high=SPOTTING_TOP))
# what the front end of microcontrollers with ESPHome sums before its gain control, every second of its frames
PRESETS.register("micro")(
    FeatureSettings(kind="log_mel", frame_length=0.03, frame_shift=0.02, low=125.0, high=7500.0, triangles="mel")
)
PRESETS.register("asr")(FeatureSettings(kind="log_mel", mels=80))

# the defaults of other toolkits; for whole recordings only

# librosa.feature.mfcc(y=..., sr=22050)
PRESETS.register("librosa")(
    FeatureSettings(
        sample_rate=22050,
        frame_length=2048 / 22050,
        frame_shift=512 / 22050,
        mels=128,
        coefficients=20,
        low=0.0,
        scale="slaney",
        equal_area=True,
        decibels=True,
        top_db=80.0,
        edges="zeros",
    )
)
# torchaudio.transforms.MFCC(); some of its 128 filters lie between the bins of 400 points
PRESETS.register("torchaudio")(
    FeatureSettings(
        frame_shift=0.0125,
        mels=128,
        coefficients=40,
        low=0.0,
        fft_points=400,
        blind_filters=True,
        decibels=True,
        top_db=80.0,
        edges="reflect",
    )
)
# compute-mfcc-feats --use-energy=false --dither=0 --snip-edges=false
PRESETS.register("kaldi")(
    FeatureSettings(
        window="povey",
        mels=23,
        floor=1.1920928955078125e-07,
        pre_emphasis=0.97,
        remove_mean=True,
        full_scale=float(FULL_SCALE),
        triangles="mel",
        lifter=22.0,
        edges="mirror",
    )
)

IN_SAMPLES = ("librosa", "torchaudio")  # presets whose frames have a fixed number of samples at any rate


def feature_settings(spec: str, sample_rate: int | None = None) -> FeatureSettings:
    """The settings of a specification, at another sample rate (hertz) where one is given.

    spec: a preset, optionally followed by changed settings: "default+deltas=2", "asr+mels=40+normalise=sliding".

    Raises:
        OptionError: no such preset or setting, an invalid value, or a rate at which its frames have no sample.
    """
    preset, *changes = spec.split("+")
    settings = PRESETS[preset]
    values: dict[str, Any] = {} if sample_rate is None else {"sample_rate": sample_rate}
    if sample_rate and preset in IN_SAMPLES:  # a rate of 0 is refused below
        values["frame_length"] = settings.window_samples / sample_rate
        values["frame_shift"] = settings.hop_samples / sample_rate
    if sample_rate and settings.high is not None and settings.high > sample_rate / 2:
        values["high"] = None  # a preset's upper edge, at a rate that does not reach it
    for change in changes:
        name, value = _change(change)
        values[name] = value
    return replace(settings, **values)


def _change(text: str) -> tuple[str, Any]:
    """Name and parsed value of a change "name=value"."""
    name, _, value = text.partition("=")
    known = get_type_hints(FeatureSettings)
    if name not in known:
        raise OptionError(f"unknown feature setting {name!r}; {did_you_mean(name, list(known))}")
    return name, _value(name, value, known[name])


def _value(name: str, text: str, kind: Any) -> Any:
    """The text, converted to the type of the setting."""
    if get_origin(kind) in (types.UnionType, Union):  # the type, or None
        if text == "none":
            return None
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    try:
        if kind is bool:
            return {"true": True, "false": False}[text]
        return kind(text) if kind in (int, float) else text
    except (ValueError, KeyError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise OptionError(f"{name}={text}: expected {wanted}, as in {name}={_example(name)}") from None


def _example(name: str) -> str:
    value = getattr(FeatureSettings(), name)
    return str(value).lower() if value is not None else "4000"
