"""Units of a run of the recipe language_modelling: text to ids and back, and what may follow what."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from seqaudio.errors import VocabularyError
from seqaudio.run_folder import RunFolder
from seqaudio.text_units import CharacterUnit, TextUnit, UnitSettings, cleaned
from seqaudio.tokens.representation import Grammar, refuse_special
from seqaudio.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, UNKNOWN_WORD, Vocabulary


def unit_of(run: RunFolder) -> TextUnit:
    """The unit of a run's texts. Raises RunError for settings that are damaged."""
    settings: UnitSettings | None = run.input_setting("text", UnitSettings | None)
    return (settings or UnitSettings()).built


class TextGrammar(Grammar):
    """Any unit may follow any other, and the text may end everywhere; the one for unknown words is never sampled.

    Args:
        size: of the vocabulary.
        unknown: the id for unknown words, where there is one.
    """

    def __init__(self, size: int, unknown: int | None = None) -> None:
        self.size = size
        self.unknown = unknown
        self.ended = False

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        permitted = np.full(self.size, not self.ended and (room is None or room > 0))
        permitted[[PAD, BOS, EOS]] = False, False, not self.ended
        if self.unknown is not None:
            permitted[self.unknown] = False
        return permitted

    def push(self, token: int) -> None:
        refuse_special(token, self.size)
        if self.ended:
            raise ValueError("nothing follows the end of a text")
        self.ended = token == EOS

    def shortest_end(self) -> int:
        return 0


class TextTokens:
    """The units of a vocabulary, as `sample` takes them; the names that the unit reserves are first."""

    name = "text"

    def __init__(self, vocabulary: Vocabulary, unit: TextUnit | None = None) -> None:
        self.vocabulary = vocabulary
        self.unit = CharacterUnit() if unit is None else unit
        self.unknown = vocabulary.index(UNKNOWN_WORD) if UNKNOWN_WORD in vocabulary else None

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.vocabulary.names

    def grammar(self) -> TextGrammar:
        """A grammar at the beginning of a text."""
        return TextGrammar(len(self.vocabulary), self.unknown)

    def split(self, text: str) -> list[str]:
        """The units of a text."""
        return self.unit.split(cleaned(text))

    def unseen(self, text: str) -> list[str]:
        """The units of a text that the model has never seen, each once."""
        return sorted(set(self.split(text)) - set(self.vocabulary.names))

    def encode(self, text: str) -> list[int]:
        """Ids of a text; words that the model has never seen have the id of `<unk>`.

        Raises VocabularyError for characters that it has never seen; all of them are named.
        """
        unseen = self.unseen(text)
        if unseen and self.unknown is None:
            raise VocabularyError(
                f"{', '.join(map(repr, unseen))} not among the {len(self.vocabulary) - len(SPECIAL_TOKENS):,} "
                f"{self.unit.name}s that the model knows; leave out what it has never seen"
            )
        ids: list[int] = self.vocabulary.encode(self.split(text), UNKNOWN_WORD).tolist()
        return ids

    def decode(self, ids: Iterable[int], prompt: str = "") -> str:
        """The text of ids, in normal form C. Raises ValueError for PAD, BOS, EOS and ids outside the vocabulary.

        prompt: the text that the first ids encode; its words stay, also those that became `<unk>`.
        """
        units = self.split(prompt)
        for token in [*ids][len(units) :]:
            refuse_special(token, len(self.vocabulary))
            if token == EOS:
                raise ValueError(f"{SPECIAL_TOKENS[EOS]} stands behind a text, not in it")
            units.append(self.vocabulary[token])
        return self.unit.join(units)
