"""Models of text beside the acoustic one, prefix by prefix: n-grams, recurrent nets, a lexicon.

A model keeps a state for each prefix of the beam, and the ln p of every unit that could follow it. When the beam has
moved on by one frame, `advance` says where each prefix came from, and by which unit it has become longer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from seqaudio.decoding.sampling import StepModel
from seqaudio.decoding.text import unit_of
from seqaudio.errors import VocabularyError
from seqaudio.models.base import Model
from seqaudio.models.sampler import RowSampler
from seqaudio.ngrams import BackOff, read_arpa
from seqaudio.ngrams.back_off import UNKNOWN
from seqaudio.run_folder import RunFolder
from seqaudio.state import map_state
from seqaudio.terminal import few
from seqaudio.text_units import WordUnit
from seqaudio.vocabulary import BOS, EOS, Vocabulary

SPACE = " "  # the unit that separates words
BLANK = 0
NAMED = 20  # names in a message

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Units:
    """The outputs of a recogniser: names [V], the first of which is the blank.

    Where one is a space, the others are characters, and spaces separate words. Otherwise each unit is a word.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or len(self.names) < 2:
            raise ValueError(f"got the units {few(map(repr, self.names), NAMED)}, expected a blank and unique units")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def space(self) -> int | None:
        """The id of the space."""
        return self.names.index(SPACE) if SPACE in self.names[1:] else None

    def words(self, ids: Iterable[int]) -> list[str]:
        """The words of units, without the blank."""
        if self.space is None:
            return [self.names[unit] for unit in ids]
        return [word for word in "".join(self.names[unit] for unit in ids).split(SPACE) if word]

    def spell(self, word: str) -> list[int] | None:
        """The ids of a word; None where the units cannot spell it."""
        known = {name: number for number, name in enumerate(self.names) if number not in (BLANK, self.space)}
        names = [word] if self.space is None else list(word)
        return [known[name] for name in names] if names and all(name in known for name in names) else None


class PrefixModel(ABC):
    """ln p of what follows each of n prefixes.

    Attributes:
        scores: [n, V] of each unit; that of the blank is not read. -inf where a unit must not follow.
    """

    scores: Floats

    @abstractmethod
    def start(self) -> None:
        """Go back to one prefix, the empty one."""

    @abstractmethod
    def advance(self, sources: Ints, units: Ints) -> None:
        """Go on to n prefixes: each comes from the prefix at `sources` [n], longer by `units` [n], BLANK for none."""

    @abstractmethod
    def ends(self) -> Floats:
        """[n] what is added where the text ends after each prefix; -inf where it must not."""


# --- n-grams ---


class UnitNgram(PrefixModel):
    """An n-gram model whose words are the units.

    Raises VocabularyError for units that the model does not know.
    """

    def __init__(self, model: BackOff, units: Units) -> None:
        self.model = model
        self._columns = np.full(len(model.words), -1)
        self._columns[[UNKNOWN, *_known(units, model, "the n-gram model")]] = np.arange(len(units))
        self.start()

    def start(self) -> None:
        self._states = np.array([self.model.start])
        self.scores, self._following = self.model.rows(self._states, self._columns)

    def advance(self, sources: Ints, units: Ints) -> None:
        longer = np.flatnonzero(units)
        states, scores, following = self._states[sources], self.scores[sources], self._following[sources]
        states[longer] = following[longer, units[longer]]
        scores[longer], following[longer] = self.model.rows(states[longer], self._columns)
        self._states, self.scores, self._following = states, scores, following

    def ends(self) -> Floats:
        return self.model.steps(self._states, np.full(len(self._states), EOS))[0]


class Spellings:
    """Words as a tree of their units: node 0 is the beginning of a word, and the last one, also -1, that of no word.

    Args:
        words: with their ids; those that the units cannot spell are left out.
    Attributes:
        child: [N, V] the node after one more unit, -1 where no word goes on so.
        word: [N] the id of the word that is spelled by then, -1 where none is.
        left_out: the words that the units cannot spell.
    """

    def __init__(self, words: Iterable[tuple[str, int]], units: Units) -> None:
        self.left_out: list[str] = []
        children: list[dict[int, int]] = [{}]
        spelled: dict[int, int] = {}
        for word, number in words:
            ids = units.spell(word)
            if ids is None:
                self.left_out.append(word)
                continue
            node = 0
            for unit in ids:
                if unit not in children[node]:
                    children[node][unit] = len(children)
                    children.append({})
                node = children[node][unit]
            spelled[node] = number
        self.child = np.full((len(children) + 1, len(units)), -1, dtype=np.int32)
        for node, after in enumerate(children):
            self.child[node, list(after)] = list(after.values())
        self.word = np.full(len(children) + 1, -1)
        self.word[list(spelled)] = list(spelled.values())

    @property
    def none(self) -> bool:
        """Whether there are no words."""
        return len(self.word) == 2

    def best(self, values: Floats, otherwise: float) -> Floats:
        """[N] the highest value, by ids, of the words that go on from each node; `otherwise` where none does."""
        found = np.where(self.word >= 0, values[self.word], -np.inf)
        for node in range(len(found) - 2, -1, -1):  # parents come before their children
            after = self.child[node]
            found[node] = max(found[node], found[after[after >= 0]].max(initial=-np.inf))
        found[-1] = otherwise
        return found


class WordNgram(PrefixModel):
    """An n-gram model of words that the units spell.

    A word counts when a space or the end has completed it. Until then its prefix has the unigram probability of the
    best word that goes on so, which a space replaces; otherwise prefixes that put off the space would fill the beam.
    What is no word of the model counts as its `<unk>`, spelled by units that are equally likely; otherwise one long
    unknown word would stand for any sentence:

        ln p(w | h) = ln p(<unk> | h) + |w| unknown

    A space must follow a word: as spaces are free, they would take the place of words that are hard to hear. Source:
    Ortmanns, Ney and Eiden (1996), look-ahead in a tree of words.

    Args:
        unknown: for each unit of an unknown word, 0 or less; by default ln 1 / (V - 1).
    Raises:
        VocabularyError: units without a space, or a model none of whose words they can spell.
    """

    def __init__(self, model: BackOff, units: Units, unknown: float | None = None) -> None:
        if units.space is None:
            raise VocabularyError("words that units spell need a space among the units; give an n-gram of these units")
        self.model, self.space = model, units.space
        self.unknown = -math.log(len(units) - 1) if unknown is None else unknown
        self._spellings = Spellings(((word, number) for number, word in enumerate(model.words) if number > EOS), units)
        if self._spellings.none:
            raise VocabularyError(
                f"the units {few(map(repr, units.names[1:]), NAMED)} spell none of the words of the n-gram model, such "
                f"as {few(map(repr, self._spellings.left_out), 3)}; make it by seqaudio ngram TEXT --like RUN --words, "
                "of a text in the recogniser's case and alphabet"
            )
        unigrams = model.trie.log_probability[1 : 1 + len(model.words)]
        self._ahead = self._spellings.best(unigrams, otherwise=unigrams[UNKNOWN])
        self._ahead[0] = 0.0  # no word has begun
        self.start()

    def start(self) -> None:
        # of each prefix: the state before its last word, the node and number of units of that, the state behind it
        self._states, self._nodes, self._lengths = np.array([self.model.start]), np.array([0]), np.array([0])
        self.scores, self._completed = self._read(self._states, self._nodes, self._lengths)

    def advance(self, sources: Ints, units: Ints) -> None:
        longer = np.flatnonzero(units)
        states, nodes, lengths = self._states[sources], self._nodes[sources], self._lengths[sources]
        scores, completed, by = self.scores[sources], self._completed[sources], units[longer]
        spaces = by == self.space
        states[longer] = np.where(spaces, completed[longer], states[longer])
        nodes[longer] = np.where(spaces, 0, self._spellings.child[nodes[longer], by])
        lengths[longer] = np.where(spaces, 0, lengths[longer] + 1)
        scores[longer], completed[longer] = self._read(states[longer], nodes[longer], lengths[longer])
        self._states, self._nodes, self._lengths = states, nodes, lengths
        self._completed, self.scores = completed, scores

    def _read(self, states: Ints, nodes: Ints, lengths: Ints) -> tuple[Floats, Ints]:
        """The scores [n, V] of prefixes, and the states after their last words."""
        child, words = self._spellings.child[nodes], self._spellings.word[nodes]
        ahead = self._ahead[nodes] + np.where(nodes < 0, self.unknown * lengths, 0.0)
        scores = self._ahead[child] + np.where(child < 0, self.unknown * (lengths + 1)[:, None], 0.0) - ahead[:, None]
        of_words, following = self.model.steps(states, np.maximum(words, UNKNOWN))
        of_words += np.where(words < 0, self.unknown * lengths, 0.0)
        scores[:, self.space] = np.where(nodes == 0, -math.inf, of_words - ahead)
        return scores, np.where(nodes == 0, states, following)

    def ends(self) -> Floats:
        of_words = np.where(self._nodes == 0, 0.0, self.scores[:, self.space])
        return of_words + self.model.steps(self._completed, np.full(len(self._states), EOS))[0]


# --- recurrent nets ---


class RecurrentText(PrefixModel):
    """A recurrent language model over the units: all prefixes of the beam that became longer take one step together.

    Args:
        model: in evaluation mode, whose first tokens are PAD, BOS and EOS.
        vocabulary: of the model; it has every unit.
        mark: a token, such as a line end, that stands before and after each utterance; None: BOS and EOS do.
    Raises:
        VocabularyError: units, or a mark, that the model does not know.
    """

    def __init__(self, model: StepModel, vocabulary: Vocabulary, units: Units, mark: str | None = None) -> None:
        sampler = model.sampler() if isinstance(model, Model) else None
        # steps of many prefixes at once; those of a sampler that takes each row's alone are no gain
        self.model = model if sampler is None or isinstance(sampler, RowSampler) else sampler
        self._tokens = torch.tensor([EOS, *_known(units, vocabulary, "the language model")])  # the blank's is not read
        self._mark = None if mark is None else vocabulary.index(mark)
        self.start()

    @torch.no_grad()
    def start(self) -> None:
        state = self.model.initial_state(1)
        for token in (BOS, *([] if self._mark is None else [self._mark])):
            logits, state = self.model.step(torch.tensor([token]), state)
        self._state = state
        self.scores, self._end = self._read(logits)

    def _read(self, logits: torch.Tensor) -> tuple[Floats, Floats]:
        """ln p of the units [n, V] and of the end [n]."""
        every = torch.log_softmax(logits.double(), dim=-1)
        return every[:, self._tokens].numpy(), every[:, EOS if self._mark is None else self._mark].numpy()

    @torch.no_grad()
    def advance(self, sources: Ints, units: Ints) -> None:
        places, longer = torch.from_numpy(sources), np.flatnonzero(units)
        self.scores, self._end = self.scores[sources], self._end[sources]
        self._state = map_state(lambda part: part[places], self._state)
        if not len(longer):
            return
        rows = torch.from_numpy(longer)
        logits, after = self.model.step(
            self._tokens[torch.from_numpy(units[longer])], map_state(lambda part: part[rows], self._state)
        )
        self._state = map_state(lambda part, new: part.index_copy(0, rows, new), self._state, after)
        self.scores[longer], self._end[longer] = self._read(logits)

    def ends(self) -> Floats:
        return self._end


# --- lexicon ---


class Lexicon(PrefixModel):
    """Words of a list alone: every other continuation is ruled out, and so are two spaces in a row.

    Attributes:
        may_end: [n, V] whether the text may end after each prefix, in the blank's column, and after it and each unit.

    Raises VocabularyError for words that the units cannot spell, and for an empty list.
    """

    def __init__(self, words: Iterable[str], units: Units) -> None:
        self.space = units.space
        self._spellings = Spellings(((word, number) for number, word in enumerate(words)), units)
        if self._spellings.left_out:
            raise VocabularyError(
                f"the units {few(map(repr, units.names[1:]), NAMED)} cannot spell "
                f"{few(map(repr, self._spellings.left_out), NAMED)}; leave these words out, or write them as the "
                f"recogniser does"
            )
        if self._spellings.none:
            raise VocabularyError("got a lexicon without words, expected at least one")
        whole = self._spellings.word >= 0
        self._allowed = self._spellings.child >= 0  # [N, V]
        if self.space is None:
            self._allowed[whole] = self._allowed[0]  # each unit is a word, which any other may follow
        else:
            self._allowed[:, self.space] = whole
        self._scores = np.where(self._allowed, 0.0, -math.inf)
        self._ends = np.where(whole, 0.0, -math.inf)
        self._ends[0] = 0.0
        ends = np.isfinite(self._ends)
        self._may_end = self._allowed & ends[self._spellings.child]
        if self.space is not None:
            self._may_end[:, self.space] = whole
        self._may_end[:, BLANK] = ends
        self.start()

    def start(self) -> None:
        self._nodes = np.array([0])
        self._read()

    def _read(self) -> None:
        self.scores, self.may_end = self._scores[self._nodes], self._may_end[self._nodes]

    def advance(self, sources: Ints, units: Ints) -> None:
        before = self._nodes[sources]
        if self.space is None:
            before[units != BLANK] = 0
        after = self._spellings.child[before, units]
        if self.space is not None:
            after[units == self.space] = 0
        self._nodes = np.where(units == BLANK, before, after)
        self._read()

    def ends(self) -> Floats:
        ends: Floats = self._ends[self._nodes]
        return ends


# --- files ---


def open_language_model(path: Path, units: Units) -> PrefixModel:
    """The language model of an ARPA file, over the units or over words, or of a run of language_modelling, over units.

    An n-gram model that knows the space is taken for one of units. A net that knows the line end, which is not among
    the units, has learned from a text whose lines are utterances.

    Raises:
        ArpaError, RunError: a damaged file or folder, or a run of another recipe.
        VocabularyError: a model of other units or words.
        OSError: from the operating system.
    """
    if path.is_dir():
        run = RunFolder(path)
        run.require("language_modelling", "a language model beside a recogniser")
        unit = unit_of(run)
        if isinstance(unit, WordUnit) and units.space is not None:
            raise VocabularyError(
                f"{path}: a model of words, and the recogniser writes characters; give a run of a store of "
                f"--units characters, or n-grams of words by seqaudio ngram TEXT --like RUN --words"
            )
        mark = "\n" if "\n" in run.vocabulary and "\n" not in units.names else None
        return RecurrentText(run.model().eval(), run.vocabulary, units, mark)
    model = read_arpa(path)
    if units.space is None or SPACE in model:  # a space is no word
        return UnitNgram(model, units)
    return WordNgram(model, units)


def _known(units: Units, names: BackOff | Vocabulary, whose: str) -> list[int]:
    """The ids of the units but the blank. Raises VocabularyError for those that are not known."""
    strangers = [name for name in units.names[1:] if name not in names]
    if strangers:
        raise VocabularyError(
            f"{few(map(repr, strangers), NAMED)} not among the words of {whose}, which needs every unit of the "
            f"recogniser; make it by seqaudio ngram TEXT --like RUN"
        )
    return [names.index(name) for name in units.names[1:]]
