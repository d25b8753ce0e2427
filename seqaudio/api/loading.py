"""Load a trained model by the name or the folder of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from seqaudio.api.arguments import typed
from seqaudio.api.base import Loaded
from seqaudio.api.forecaster import Forecaster
from seqaudio.api.keywords import Keywords
from seqaudio.api.language import Language
from seqaudio.api.music import Music
from seqaudio.api.recogniser import Recogniser
from seqaudio.errors import RunError
from seqaudio.run_folder import RunFolder

KINDS: dict[str, type[Loaded]] = {
    "keyword_recognition": Keywords,
    "speech_recognition": Recogniser,
    "music_generation": Music,
    "polyphonic_music": Music,
    "language_modelling": Language,
    "forecasting": Forecaster,
}

Kind = TypeVar("Kind", bound=Loaded)


@overload
def load(run: Literal["digits", "commands", "hey_computer"]) -> Keywords: ...
@overload
def load(run: Literal["chorales", "folk"]) -> Music: ...
@overload
def load(run: Literal["digit_strings"]) -> Recogniser: ...
@overload
def load(run: str | Path, kind: type[Kind]) -> Kind: ...
@overload
def load(run: str | Path) -> Any: ...
@typed
def load(run: str | Path, kind: type[Loaded] = Loaded) -> Any:
    """A trained model: one that comes with seqaudio, by its name, or that of a run folder.

    >>> load("chorales")
    Music('.../seqaudio/trained/models/chorales')

    Args:
        run: such as "digits"; `seqaudio models` lists the names. A run folder of the same name goes first.
        kind: the class that is expected, such as Music, which type checkers then know.
    Raises:
        RunError: no such model or folder, a damaged one, one of a recipe without such a class, or of another class.
    """
    recipes = [recipe for recipe, made in KINDS.items() if issubclass(made, kind)]
    folder = RunFolder(run, recipes)
    if folder.recipe not in KINDS:
        raise RunError(f"{run}: a run of {folder.recipe!r}, expected one of {', '.join(KINDS)}")
    if folder.recipe not in recipes:
        raise RunError(f"{run}: a run of {folder.recipe!r}, a {kind.__name__} needs one of {', '.join(recipes)}")
    return KINDS[folder.recipe](folder)
