"""The recogniser of a run: its model, features and spelling."""

from __future__ import annotations

from pathlib import Path

from seqaudio.errors import RunError
from seqaudio.models.recogniser import Recogniser
from seqaudio.run_folder import RunFolder
from seqaudio.transcripts import Spelling, TextSettings, read_lexicon


def spelling_of(run: RunFolder, with_lexicon: bool = False) -> Spelling:
    """How a run of speech recognition writes texts.

    with_lexicon: read the lexicon of a recogniser of phones, which turns texts into phones.
    Raises RunError for a run of another recipe or a damaged one, SourceError where its lexicon cannot be read.
    """
    run.require("speech_recognition", "writing text")
    settings = run.input_fact("text", TextSettings | None)
    if settings is None:
        raise RunError(f"{run.path / 'config.json'}: damaged (it does not say how texts are written)")
    lexicon = None
    if with_lexicon and settings.units == "phones":
        lexicon = read_lexicon(run.setting("lexicon", Path))
    return Spelling(settings, run.vocabulary, lexicon)


def recogniser_of(run: RunFolder) -> Recogniser:
    """The trained model of a run of speech recognition. Raises RunError for another model."""
    model = run.model()
    if not isinstance(model, Recogniser):
        raise RunError(f"{run.path}: holds a {type(model).__name__}, expected a recogniser")
    return model
