"""Everything that is no keyword, for voices of several accents: near misses, running speech, and both as plain letters.

accents = choose_accents("en", ("all",))                   en-gb, en-us, en-gb-scotland ...
accent_of("drawn-0017", accents)                           one of them, the same for the same voice
Negatives.of(words, seed=1).near_misses()["en-us"].draw("unknown/f3+en-us/02/noisy")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seqaudio.errors import OptionError
from seqaudio.prepare.corpora.splits import hash_fraction
from seqaudio.synthesis.espeak import voices
from seqaudio.synthesis.near_misses import Inventory, NearMisses, Sounds
from seqaudio.synthesis.random_speech import RandomSpeech, Respellings

ALL = "all"
Spoken = Mapping[str, dict[str, list[str]]]  # accent -> keyword -> its phonemes


@dataclass(frozen=True)
class Negatives:
    """Texts that are no keyword in any of the accents."""

    words: Spoken
    seed: int
    other_words: tuple[str, ...]
    inventories: dict[str, Inventory]
    keyword_sounds: frozenset[Sounds]  # in all accents: what is a keyword to a Scot is none to be rejected

    @classmethod
    def of(cls, words: Spoken, seed: int, other_words: tuple[str, ...] = ()) -> Negatives:
        """The negatives of keywords with their phonemes in each accent. `other_words`: see `RandomSpeech`."""
        inventories = {accent: Inventory.of(accent, tuple(spoken)) for accent, spoken in words.items()}
        sounds = frozenset(
            inventories[accent].sounds_of(word) for accent, spoken in words.items() for word in spoken.values()
        )
        return cls(words, seed, other_words, inventories, sounds)

    def near_misses(self) -> dict[str, NearMisses]:
        """Near misses by accent. Raises OptionError as `NearMisses.of`."""
        found = {
            accent: NearMisses.of(spoken, accent, self.seed, self.inventories[accent])
            for accent, spoken in self.words.items()
        }
        return {accent: replace(misses, keyword_sounds=self.keyword_sounds) for accent, misses in found.items()}

    def speech(self) -> dict[str, RandomSpeech]:
        """Running speech by accent. Raises OptionError where an accent has no phonemes to make words of."""
        return {
            accent: RandomSpeech(accent, inventory, self.keyword_sounds, self.seed, self.other_words)
            for accent, inventory in self.inventories.items()
        }

    def respellings(self) -> Respellings:
        """Near misses and phrases as plain letters, judged by the first accent."""
        accent, spoken = next(iter(self.words.items()))
        return Respellings(
            tuple(spoken), accent, self.inventories[accent], self.keyword_sounds, self.seed, self.other_words
        )


def choose_accents(language: str, accents: Sequence[str]) -> tuple[str, ...]:
    """The accents as espeak-ng names them; without any, the most usual one of the language; `all`: all of it.

    Raises:
        OptionError: no such language or accent, or one that is given twice.
    """
    if not accents:
        return tuple(voices(language)[:1])
    if ALL in accents:
        return tuple(voices(language))
    chosen = tuple(voices(accent)[0] for accent in accents)
    if twice := [accent for accent in chosen if chosen.count(accent) > 1]:
        raise OptionError(f"--accents {' '.join(accents)}: {twice[0]} is given twice; its language has {_of(language)}")
    return chosen


def accent_of(voice: str, accents: Sequence[str]) -> str:
    """The accent of a voice, drawn by a hash of its name."""
    return accents[int(hash_fraction(f"{voice}/accent") * len(accents))]


def _of(language: str) -> str:
    return ", ".join(voices(language))
