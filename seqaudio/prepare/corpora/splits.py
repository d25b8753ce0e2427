"""Choose splits and samples by a stable hash: a name has the same split on every machine and in every selection."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import Literal

from seqaudio.errors import OptionError
from seqaudio.prepare.engine import Item

SplitName = Literal["train", "valid", "test"]


def check_limit(limit: int | None) -> None:
    """Raise OptionError for a limit below 1."""
    if limit is not None and limit < 1:
        raise OptionError(f"--limit {limit}, expected at least 1")


def hash_sample(items: Sequence[Item], limit: int | None) -> list[Item]:
    """The `limit` items whose ids have the smallest SHA-256, in their order; all items where `limit` is None.

    The first items of a sorted corpus often share one label or speaker; these are spread over all.

    Raises:
        OptionError: a limit below 1.
    """
    check_limit(limit)
    if limit is None or limit >= len(items):
        return list(items)
    by_hash = sorted(range(len(items)), key=lambda index: hash_fraction(items[index].id))
    return [items[index] for index in sorted(by_hash[:limit])]


def hash_split(key: str, valid_percent: float, test_percent: float) -> SplitName:
    """The split of a speaker, a file or a piece, by the SHA-256 of its name.

    The hash, as a fraction of its range, falls below `valid_percent`, within the next `test_percent`, or above both:

        [0, valid)  valid      [valid, valid + test)  test      [valid + test, 100)  train

    Names are hashed in Unicode normal form C, so that the split does not depend on how a file system stores accents.
    Use the speaker as the key where it is known: all recordings of one voice then fall into one split.

    Raises:
        OptionError: a negative percentage, or nothing left to train on.
    """
    check_percentages(valid_percent, test_percent)
    percent = 100.0 * hash_fraction(key)
    if percent < valid_percent:
        return "valid"
    return "test" if percent < valid_percent + test_percent else "train"


def hash_fraction(key: str) -> float:
    """SHA-256 of a name, in Unicode normal form C, as a fraction of its range, in [0, 1)."""
    normal = unicodedata.normalize("NFC", key).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.sha256(normal).digest()[:6], "big") / 2**48  # 48 bits are exact in a float


def check_percentages(valid_percent: float, test_percent: float) -> None:
    """Raise OptionError unless both are at least 0 and together below 100."""
    if not (valid_percent >= 0 and test_percent >= 0 and valid_percent + test_percent < 100):
        raise OptionError(
            f"valid {valid_percent} % and test {test_percent} %, expected at least 0 each and less than 100 together"
        )
