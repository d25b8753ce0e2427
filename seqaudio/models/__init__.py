"""Models by name: `build_model` makes one from the name and the plain arguments in a run's `config.json`."""

from __future__ import annotations

from seqaudio.models.base import MODELS, Model
from seqaudio.models.budget import choose_width, width_within
from seqaudio.models.building import build_model, check_forms
from seqaudio.models.events import EventModel
from seqaudio.models.forecaster import Forecaster
from seqaudio.models.forecaster_base import ForecastModel
from seqaudio.models.keyword import KeywordModel, KeywordState
from seqaudio.models.options import (
    Description,
    EventModelOptions,
    ForecastModelOptions,
    KeywordModelOptions,
    MemoryModelOptions,
    MusicModelOptions,
    RecogniserOptions,
    RollModelOptions,
)
from seqaudio.models.phrases import PhraseModel
from seqaudio.models.recall import RecallModel
from seqaudio.models.recogniser import Recogniser, RecogniserState
from seqaudio.models.rolls import RollModel
from seqaudio.models.series import SeriesModel
from seqaudio.models.spotter import SpotterModel, SpotterState
from seqaudio.models.voices import VoicesModel, VoicesState
from seqaudio.models.window_mlp import WindowMLP

__all__ = [
    "MODELS",
    "Description",
    "EventModel",
    "EventModelOptions",
    "ForecastModel",
    "ForecastModelOptions",
    "Forecaster",
    "KeywordModel",
    "KeywordModelOptions",
    "KeywordState",
    "MemoryModelOptions",
    "Model",
    "MusicModelOptions",
    "PhraseModel",
    "RecallModel",
    "Recogniser",
    "RecogniserOptions",
    "RecogniserState",
    "RollModel",
    "RollModelOptions",
    "SeriesModel",
    "SpotterModel",
    "SpotterState",
    "VoicesModel",
    "VoicesState",
    "WindowMLP",
    "build_model",
    "check_forms",
    "choose_width",
    "width_within",
]
