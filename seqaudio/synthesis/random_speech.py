"""Speech that is no keyword: words of random phonemes, phrases of given words, and near misses as plain letters.

    RandomSpeech    running speech, of made-up words in the phonemes of an accent or of words from a list
    Respellings     near misses and phrases for synthesisers that read letters but no phonemes of espeak-ng

A net that has heard keywords and near misses alone takes much of what people say for a keyword. What is drawn here
never contains a keyword, as espeak-ng says it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqaudio.errors import OptionError, SourceError
from seqaudio.files import read_plain_text
from seqaudio.synthesis.clips import clip_generator
from seqaudio.synthesis.espeak import WORD_GAP, phonemes, spell
from seqaudio.synthesis.near_misses import ATTEMPTS, Inventory, Sounds

WORDS = (3, 8)  # of a passage, least and most
SYLLABLES = (0.35, 0.4, 0.2, 0.05)  # shares of words with 1 to 4 syllables
ONSETS, CODAS = (0.15, 0.7, 0.15), (0.55, 0.4, 0.05)  # shares of 0 to 2 consonants before and behind a vowel
NUMBERS = (13, 9999)  # spoken by any synthesiser in any language
LETTERS = ("aeiou", "bcdfghjklmnpqrstvwxz")  # a letter is exchanged for another of its kind


@dataclass(frozen=True)
class RandomSpeech:
    """Running speech in one accent, without any keyword."""

    accent: str
    inventory: Inventory
    keyword_sounds: frozenset[Sounds]
    seed: int
    words: tuple[str, ...] = ()  # to make phrases of; none: words are made up

    def __post_init__(self) -> None:
        """Raise OptionError where words must be made up and the accent has no phonemes of its own."""
        if not self.words and not (self.inventory.vowels and self.inventory.consonants):
            raise OptionError(f"{self.accent} reads all words in another language; give --other-words, or --speech 0")

    def draw(self, name: str) -> str:
        """The text of the clip with this name, for `speak`."""
        make = self._phrase if self.words else self._made_up
        return _without_keywords(make, self._sounds, self.keyword_sounds, clip_generator(self.seed, f"{name}/speech"))

    def _phrase(self, generator: np.random.Generator) -> str:
        return phrase(self.words, generator)

    def _made_up(self, generator: np.random.Generator) -> str:
        spoken: list[str] = []
        for _ in range(generator.integers(*WORDS, endpoint=True)):
            spoken += [WORD_GAP] * bool(spoken) + self._word(generator)
        return spell(spoken)

    def _word(self, generator: np.random.Generator) -> list[str]:
        count = 1 + int(generator.choice(len(SYLLABLES), p=SYLLABLES))
        stressed = int(generator.integers(count))
        word: list[str] = []
        for syllable in range(count):
            vowel = str(generator.choice(self.inventory.vowels))
            word += self._consonants(ONSETS, generator)
            word.append(f"'{vowel}" if syllable == stressed else vowel)
            word += self._consonants(CODAS, generator)
        return word

    def _consonants(self, shares: Sequence[float], generator: np.random.Generator) -> list[str]:
        count = int(generator.choice(len(shares), p=shares))
        return [str(consonant) for consonant in generator.choice(self.inventory.consonants, count)]

    def _sounds(self, text: str) -> Sounds:
        if text.startswith("[["):
            return self.inventory.sounds_of(text[2:-2].split("|"))
        return self.inventory.sounds_of([each for word in text.split() for each in _phonemes(word, self.accent)])


@dataclass(frozen=True)
class Respellings:
    """Negatives as plain letters, for synthesisers that know no phonemes of espeak-ng."""

    keywords: tuple[str, ...]
    accent: str
    inventory: Inventory
    keyword_sounds: frozenset[Sounds]
    seed: int
    words: tuple[str, ...] = ()  # to make phrases of; none: numbers

    def near_miss(self, name: str) -> str:
        """A keyword with one or two letters exchanged, for the clip with this name: jorvis, bewter, view flass.

        It is a number where no letter of the keyword can be exchanged.
        """
        return self._draw(self._respelled, f"{name}/near miss")

    def passage(self, name: str) -> str:
        """Several words or numbers, for the clip with this name."""
        return self._draw(self._phrase, f"{name}/speech")

    def _draw(self, make: Callable[[np.random.Generator], str], name: str) -> str:
        return _without_keywords(make, self._sounds, self.keyword_sounds, clip_generator(self.seed, name))

    def _respelled(self, generator: np.random.Generator) -> str:
        letters = list(self.keywords[generator.integers(len(self.keywords))])
        places = [place for place, letter in enumerate(letters) if _kind(letter)]
        if not places:
            return _number(generator)
        for place in generator.permutation(places)[: generator.integers(1, 3)]:
            others = [other for other in _kind(letters[place]) if other != letters[place].lower()]
            letters[place] = str(generator.choice(others))
        return "".join(letters)

    def _phrase(self, generator: np.random.Generator) -> str:
        if self.words:
            return phrase(self.words, generator)
        return ", ".join(_number(generator) for _ in range(generator.integers(1, 4)))

    def _sounds(self, text: str) -> Sounds:
        return self.inventory.sounds_of(phonemes(text, self.accent))


def read_words(file: Path) -> tuple[str, ...]:
    """Words or sentences from a file, UTF-8, one a line; a line's words are kept together.

    Raises:
        SourceError: the file cannot be read, is no UTF-8, has no words, or a word holds a NUL character.
    """
    try:
        lines = read_plain_text(file).splitlines()
    except UnicodeDecodeError:
        raise SourceError(f"{file}: not UTF-8, expected words in that encoding, one a line") from None
    except OSError as error:
        raise SourceError(f"{file}: {error.strerror or error}; give a file of words, one a line") from None
    words = tuple(word for line in lines if (word := " ".join(line.split())) and any(map(str.isalnum, word)))
    if not words:
        raise SourceError(f"{file}: has no words, expected one a line")
    if any("\0" in word for word in words):
        raise SourceError(f"{file}: has NUL characters, expected words, one a line")
    return words


def phrase(words: Sequence[str], generator: np.random.Generator) -> str:
    """Drawn lines, as many as make three words or more, so that a sentence stands alone."""
    drawn: list[str] = []
    while len(" ".join(drawn).split()) < WORDS[0]:
        drawn.append(words[int(generator.integers(len(words)))])
    return " ".join(drawn)


def has_keyword(sounds: Sounds, keyword_sounds: frozenset[Sounds]) -> bool:
    """Whether the sounds of a keyword follow one another somewhere in those of a text."""
    return any(
        sounds[place : place + len(keyword)] == keyword
        for keyword in keyword_sounds
        for place in range(len(sounds) - len(keyword) + 1)
    )


def _without_keywords(
    make: Callable[[np.random.Generator], str],
    sounds_of: Callable[[str], Sounds],
    keyword_sounds: frozenset[Sounds],
    generator: np.random.Generator,
) -> str:
    for _ in range(ATTEMPTS):
        text = make(generator)
        sounds = sounds_of(text)
        if sounds and not has_keyword(sounds, keyword_sounds):
            return text
    raise OptionError(
        f"{ATTEMPTS} draws of other speech all had a keyword; spell figures out, or give --speech 0 --unknown 0"
    )


def _number(generator: np.random.Generator) -> str:
    return str(generator.integers(*NUMBERS, endpoint=True))


def _kind(letter: str) -> str:
    return next((kind for kind in LETTERS if letter.lower() in kind), "")


@functools.lru_cache(maxsize=4096)
def _phonemes(word: str, accent: str) -> tuple[str, ...]:
    return tuple(phonemes(word, accent))
