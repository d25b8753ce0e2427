"""Near misses: words that are nearly a keyword, so that a recogniser learns to reject what only resembles one.

A near miss is a keyword with one vowel and one consonant replaced: "yes" may become "yam" or "joes". The phonemes of an
accent are collected from texts that need no translation: digits, read as numbers in nearly every language, and emoji,
read by their names in about fifty.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from seqaudio.errors import OptionError
from seqaudio.synthesis.clips import clip_generator
from seqaudio.synthesis.espeak import WORD_GAP, phonemes, spell

NUMBERS = (*range(13), *range(20, 101, 10), 1000, 1_000_000)
EMOJI = "🐱🐶🐴🐷🐟🐦🌳🌹🍎🍞🧀🔥💧🌙⭐🌍🏠🚗🚲📖🔑🎁👂👄🦷🧦🪑🐑🦊🎸"
COMMON_WORDS = (*map(str, NUMBERS), *EMOJI)
STRESS = "',%="  # marks before a mnemonic
IPA_VOWELS = frozenset("iyɨʉɯuɪʏʊeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒᵻᵿɚɝ")
SYLLABIC = "\u0329"  # below an IPA consonant that forms a syllable
IGNORED = frozenset("ˈˌːˑ")  # stress and length: two words that differ only in these count as sounding alike
ATTEMPTS = 200  # draws of a near miss before giving up

Sounds = tuple[str, ...]  # phonemes without stress and length; words with equal ones sound alike


@dataclass(frozen=True)
class Inventory:
    """Phonemes of an accent: mnemonics of espeak-ng without stress marks, one for each sound."""

    vowels: tuple[str, ...]
    consonants: tuple[str, ...]
    sounds: dict[str, str]  # mnemonic -> IPA letters without stress and length

    @classmethod
    def of(cls, accent: str, words: Sequence[str] = ()) -> Inventory:
        """The phonemes of numbers, emoji and the given words. Words read in another language are left out."""
        ipa: dict[str, str] = {}
        for word in (*COMMON_WORDS, *words):
            mnemonics, letters = phonemes(word, accent), phonemes(word, accent, ipa=True)
            # with lists of different length, it is unknown which letter belongs to which mnemonic
            if is_native(mnemonics) and len(mnemonics) == len(letters):
                ipa.update(zip(map(_bare, mnemonics), map(_sound, letters), strict=True))
        ipa.pop(WORD_GAP, None)
        by_sound = {sound: mnemonic for mnemonic, sound in reversed(ipa.items())}
        vowels = sorted(mnemonic for sound, mnemonic in by_sound.items() if _is_vowel(sound))
        consonants = sorted(mnemonic for sound, mnemonic in by_sound.items() if _is_consonant(sound))
        return cls(tuple(vowels), tuple(consonants), ipa)

    def sounds_of(self, mnemonics: Sequence[str]) -> Sounds:
        """The sounds of a word."""
        bare = (_bare(mnemonic) for mnemonic in mnemonics)
        return tuple(self.sounds.get(mnemonic, mnemonic) for mnemonic in bare if mnemonic != WORD_GAP)

    def kind(self, mnemonic: str) -> tuple[str, ...]:
        """The phonemes of the same kind, vowels or consonants; none for a pause, a tone or an unknown phoneme."""
        sound = self.sounds.get(_bare(mnemonic), "")
        return self.vowels if _is_vowel(sound) else self.consonants if _is_consonant(sound) else ()

    def exchange(self, mnemonic: str, generator: np.random.Generator) -> str:
        """A random other phoneme of the same kind, with the same stress; itself where there is no other."""
        bare = _bare(mnemonic)
        others = [other for other in self.kind(mnemonic) if self.sounds[other] != self.sounds[bare]]
        stress = mnemonic[: len(mnemonic) - len(bare)]
        return stress + str(generator.choice(others)) if others else mnemonic


@dataclass(frozen=True)
class NearMisses:
    """Near misses of keywords in one accent."""

    keywords: tuple[tuple[str, ...], ...]  # phonemes of the keywords that can be spoken from phonemes
    inventory: Inventory
    keyword_sounds: frozenset[Sounds]  # sounds of all keywords
    seed: int

    @classmethod
    def of(cls, words: dict[str, list[str]], accent: str, seed: int, inventory: Inventory | None = None) -> NearMisses:
        """Near misses of words, given with their phonemes.

        inventory: of the accent and these words, where it is known; to find it takes half a second.

        Raises:
            OptionError: the accent reads every word in another language, so none can be spoken from its phonemes.
        """
        inventory = inventory or Inventory.of(accent, tuple(words))
        native = tuple(tuple(word) for word in words.values() if is_native(word))
        if not native:
            raise OptionError(
                f"{accent} reads all words in another language; give that one as --language, or --unknown 0"
            )
        return cls(native, inventory, frozenset(map(inventory.sounds_of, words.values())), seed)

    def draw(self, name: str) -> str:
        """The text of the clip with this name, for `speak`: a near miss of one of the keywords."""
        generator = clip_generator(self.seed, f"{name}/near miss")
        keyword = self.keywords[generator.integers(len(self.keywords))]
        return spell(near_miss(keyword, self.inventory, self.keyword_sounds, generator))


def near_miss(
    keyword: Sequence[str], inventory: Inventory, keyword_sounds: Set[Sounds], generator: np.random.Generator
) -> list[str]:
    """The phonemes of a keyword with a vowel and a consonant replaced, as far as it has both.

    The result has none of the `keyword_sounds`.

    Raises:
        OptionError: the word has no phoneme that could be replaced, or every replacement gives a keyword.
    """
    for _ in range(ATTEMPTS):
        missed = list(keyword)
        for kind in (inventory.vowels, inventory.consonants):
            places = [place for place, mnemonic in enumerate(keyword) if inventory.kind(mnemonic) == kind]
            if places:
                place = int(generator.choice(places))
                missed[place] = inventory.exchange(keyword[place], generator)
        if inventory.sounds_of(missed) not in keyword_sounds:
            return missed
    raise OptionError(f"the phonemes {' '.join(keyword)} have no near miss; choose another word, or --unknown 0")


def is_native(mnemonics: Sequence[str]) -> bool:
    """False for a word that the voice reads in another language, and that cannot be spoken from its phonemes."""
    return not any(mnemonic.startswith("(") for mnemonic in mnemonics)


def _bare(mnemonic: str) -> str:
    return mnemonic.lstrip(STRESS)


def _sound(ipa: str) -> str:
    return "".join(letter for letter in ipa if letter not in IGNORED)


def _is_vowel(sound: str) -> bool:
    return any(letter in IPA_VOWELS for letter in unicodedata.normalize("NFD", sound))


def _is_consonant(sound: str) -> bool:
    letters = unicodedata.normalize("NFD", sound)
    return not _is_vowel(sound) and SYLLABIC not in letters and any(letter.isalpha() for letter in letters)
