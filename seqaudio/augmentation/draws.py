"""Random generators that depend on (seed, epoch, row id) alone, so that order, batch and process do not matter."""

from __future__ import annotations

import hashlib

import numpy as np

from seqaudio.errors import OptionError

Key = tuple[int, int, str]  # seed, epoch, row id


def check_seed(seed: int) -> None:
    """Raise OptionError for a negative seed, which generators do not take."""
    if seed < 0:
        raise OptionError(f"--seed {seed}, expected 0 or more")


def keyed_generator(key: Key, *stage: int) -> np.random.Generator:
    """The generator for a row in an epoch; each stage 1, 2, .. has another one."""
    seed, epoch, row = key
    return np.random.default_rng((seed, epoch, text_number(row), *stage))


def text_number(text: str) -> int:
    """A 64-bit number for a text, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")
