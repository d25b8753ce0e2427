"""Trained models in Python, in the words of the commands: `seqaudio.load` gives one by the recipe of its run.

    Keywords      keyword_recognition                  recognize, listen
    Recogniser    speech_recognition                   transcribe
    Music         music_generation, polyphonic_music   generate, fill
    Language      language_modelling                   generate
    Forecaster    forecasting                          forecast

Importing this imports nothing heavy; torch comes with a model, of packaged keyword models never.
"""

from seqaudio.api.base import Loaded
from seqaudio.api.forecaster import Forecaster
from seqaudio.api.keywords import Keywords
from seqaudio.api.language import Language
from seqaudio.api.loading import load
from seqaudio.api.music import Music, Piece
from seqaudio.api.recogniser import Recogniser, Transcript

__all__ = ["Forecaster", "Keywords", "Language", "Loaded", "Music", "Piece", "Recogniser", "Transcript", "load"]
