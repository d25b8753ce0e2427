"""Read what decoding needs of a run of music: representation, statistics and forms of its training pieces."""

from __future__ import annotations

from typing import Any

from seqaudio.errors import RunError
from seqaudio.run_folder import RunFolder
from seqaudio.tokens import TokenRepresentation, build_representation
from seqaudio.tokens.forms import Forms
from seqaudio.tokens.repertoire import Repertoire


def repertoire_of(run: RunFolder) -> Repertoire | None:
    """The statistics of its training pieces; None for a run, or a store, that was made without them."""
    found: Repertoire | None = run.input_setting("repertoire", Repertoire | None)
    return found


def forms_of(run: RunFolder) -> Forms | None:
    """The forms of its training pieces; None for a run that was made without them."""
    found: Forms | None = run.input_fact("forms", Forms | None)
    return found


def representation_of(run: RunFolder) -> TokenRepresentation:
    """The representation that the run was trained on. Raises RunError where it is not one of tokens."""
    settings = run.input_setting("representation", dict[str, Any])
    representation = build_representation(str(settings.pop("name", "")), settings)
    if not isinstance(representation, TokenRepresentation):
        raise RunError(
            f"{run.path}: trained on {representation.name}, which has no tokens to sample; "
            f"use a run that was trained on tokens, such as melody"
        )
    return representation
