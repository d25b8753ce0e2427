"""Base of loaded models: a name, a folder, a recipe and, where they come with seqaudio, a card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seqaudio.trained import Card, card_of

if TYPE_CHECKING:
    from seqaudio.run_folder import RunFolder


class Loaded:
    """A trained model.

    Attributes:
        run: its folder, opened.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run

    @property
    def name(self) -> str:
        """The name of its folder, which is that of a packaged model."""
        return self.path.name

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.run.path

    @property
    def recipe(self) -> str:
        """The recipe that made it, such as music_generation."""
        return self.run.recipe

    @property
    def card(self) -> Card | None:
        """Data, licence and figures of a model that comes with seqaudio; None for a run of yours."""
        return card_of(self.path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"
