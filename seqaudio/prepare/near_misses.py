"""Words that are nearly a keyword, so that a recogniser learns to reject what only resembles one.

A near miss is a keyword with one or two of its phonemes exchanged for others of the same kind, vowel for vowel and
consonant for consonant. Which phonemes an accent has is learnt from words that need no translation: digits are read
as numbers in nearly every language, and pictures by their names in about fifty.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqaudio.errors import OptionError
from seqaudio.speech_synthesis import WORD_GAP, phonemes

NUMBERS = (*range(13), *range(20, 101, 10), 1000, 1_000_000)
EMOJI = "🐱🐶🐴🐷🐟🐦🌳🌹🍎🍞🧀🔥💧🌙⭐🌍🏠🚗🚲📖🔑🎁👂👄🦷🧦🪑🐑🦊🎸"
COMMON_WORDS = (*map(str, NUMBERS), *EMOJI)
STRESS = "',%="  # marks before a mnemonic
IPA_VOWELS = frozenset("iyɨʉɯuɪʏʊeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒᵻᵿɚɝ")
SYLLABIC = "\u0329"  # below an IPA consonant that forms a syllable
UNHEARD = frozenset("ˈˌːˑ")  # stress and length: two words that differ in these alone sound alike
ATTEMPTS = 200  # draws of a near miss before giving up

Sounds = tuple[str, ...]  # phonemes without stress and length, to tell whether words sound alike


@dataclass(frozen=True)
class Inventory:
    """Phonemes of an accent: mnemonics of espeak-ng without stress marks, one for each sound."""

    vowels: tuple[str, ...]
    consonants: tuple[str, ...]
    sounds: dict[str, str]  # mnemonic -> IPA letters without stress and length

    @classmethod
    def of(cls, accent: str, words: Sequence[str] = ()) -> Inventory:
        """What is heard in numbers, pictures and the given words. Words of another language are left out."""
        ipa: dict[str, str] = {}
        for word in (*COMMON_WORDS, *words):
            mnemonics, letters = phonemes(word, accent), phonemes(word, accent, ipa=True)
            # where a mnemonic has no IPA letter of its own, it is unknown which letter is whose
            if is_native(mnemonics) and len(mnemonics) == len(letters):
                ipa.update(zip(map(_bare, mnemonics), map(_audible, letters), strict=True))
        ipa.pop(WORD_GAP, None)
        by_sound = {sound: mnemonic for mnemonic, sound in reversed(ipa.items())}
        vowels = sorted(mnemonic for sound, mnemonic in by_sound.items() if _is_vowel(sound))
        consonants = sorted(mnemonic for sound, mnemonic in by_sound.items() if _is_consonant(sound))
        return cls(tuple(vowels), tuple(consonants), ipa)

    def sounds_of(self, mnemonics: Sequence[str]) -> Sounds:
        """What is heard of a word."""
        bare = (_bare(mnemonic) for mnemonic in mnemonics)
        return tuple(self.sounds.get(mnemonic, mnemonic) for mnemonic in bare if mnemonic != WORD_GAP)

    def others(self, mnemonic: str) -> list[str]:
        """Phonemes of the same kind and another sound; none for a pause, a tone or a phoneme of unknown kind."""
        sound = self.sounds.get(_bare(mnemonic), "")
        kind = self.vowels if _is_vowel(sound) else self.consonants if _is_consonant(sound) else ()
        return [other for other in kind if self.sounds[other] != sound]


def near_miss(
    keyword: Sequence[str], inventory: Inventory, keywords: set[Sounds], generator: np.random.Generator
) -> list[str]:
    """The phonemes of a keyword with one or two exchanged, such that it sounds like none of the keywords.

    Raises:
        OptionError: the word has no phoneme that could be exchanged, or every exchange gives a keyword.
    """
    places = [place for place, mnemonic in enumerate(keyword) if inventory.others(mnemonic)]
    for _ in range(ATTEMPTS if places else 0):
        missed = list(keyword)
        for place in generator.permutation(places)[: generator.integers(1, 3)]:
            stress = keyword[place][: -len(_bare(keyword[place]))]
            missed[place] = stress + str(generator.choice(inventory.others(keyword[place])))
        if inventory.sounds_of(missed) not in keywords:
            return missed
    raise OptionError(
        f"the word with the phonemes {' '.join(keyword)} has no near miss; choose another word, or --unknown 0"
    )


def is_native(mnemonics: Sequence[str]) -> bool:
    """False for a word that the voice reads in another language: it cannot be spoken from its phonemes."""
    return not any(mnemonic.startswith("(") for mnemonic in mnemonics)


def _bare(mnemonic: str) -> str:
    return mnemonic.lstrip(STRESS)


def _audible(ipa: str) -> str:
    return "".join(letter for letter in ipa if letter not in UNHEARD)


def _is_vowel(sound: str) -> bool:
    return any(letter in IPA_VOWELS for letter in unicodedata.normalize("NFD", sound))


def _is_consonant(sound: str) -> bool:
    letters = unicodedata.normalize("NFD", sound)
    return not _is_vowel(sound) and SYLLABIC not in letters and any(letter.isalpha() for letter in letters)
