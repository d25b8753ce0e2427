"""Models of text: new text, or the continuation of a given one."""

from __future__ import annotations

from typing import Any

from seqaudio.api.arguments import typed
from seqaudio.api.asked import Asked, names_of_python
from seqaudio.api.base import Loaded
from seqaudio.api.music import check_seeds, options_of


class Language(Loaded):
    """A model of characters or words."""

    @typed
    def generate(self, seed: int = 1, prompt: str = "", **asked: Any) -> str:
        """A new text that begins with the prompt; equal seeds and options give equal texts.

        Args:
            seed: of the sampling.
            asked: max_events, temperature, top_k, top_p and min_p of `seqaudio generate`.
        Raises:
            OptionError: an option that is unknown or out of range, or a prompt with characters never seen.
        """
        from seqaudio.api.composing import texts

        with names_of_python():
            options = options_of(Asked, prompt=prompt or None, **asked)
            options.check(self.path, self.recipe)
            check_seeds([seed])
            (text,) = texts(self.run, options, [seed])
        return text
