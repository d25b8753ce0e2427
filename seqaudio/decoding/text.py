"""Characters of a run of the recipe language_modelling: text to ids and back, and what may follow what."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from seqaudio.errors import VocabularyError
from seqaudio.tokens.representation import Grammar, refuse_special
from seqaudio.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, Vocabulary


class CharacterGrammar(Grammar):
    """Any character may follow any other, and the text may end everywhere."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.ended = False

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        permitted = np.full(self.size, not self.ended and (room is None or room > 0))
        permitted[[PAD, BOS, EOS]] = False, False, not self.ended
        return permitted

    def push(self, token: int) -> None:
        refuse_special(token, self.size)
        if self.ended:
            raise ValueError("nothing follows the end of a text")
        self.ended = token == EOS

    def shortest_end(self) -> int:
        return 0


class Characters:
    """The characters of a vocabulary, as `sample` takes them; the first three names are PAD, BOS and EOS."""

    name = "text"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.vocabulary.names

    def grammar(self) -> CharacterGrammar:
        """A grammar at the beginning of a text."""
        return CharacterGrammar(len(self.vocabulary))

    def encode(self, text: str) -> list[int]:
        """Ids of a text in Unicode normal form C, with line ends as \\n.

        Raises VocabularyError for characters that the model has never seen; all of them are named.
        """
        characters = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
        strangers = sorted(set(characters) - set(self.vocabulary.names))
        if strangers:
            raise VocabularyError(
                f"{', '.join(map(repr, strangers))} not among the {len(self.vocabulary) - len(SPECIAL_TOKENS):,} "
                f"characters that the model knows; leave out what it has never seen"
            )
        return [self.vocabulary.index(character) for character in characters]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, in normal form C. Raises ValueError for PAD, BOS, EOS and ids outside the vocabulary."""
        characters = []
        for token in ids:
            refuse_special(token, len(self.vocabulary))
            if token == EOS:
                raise ValueError(f"{SPECIAL_TOKENS[EOS]} stands behind a text, not in it")
            characters.append(self.vocabulary[token])
        return unicodedata.normalize("NFC", "".join(characters))
