"""Stores made of random numbers, for tests of batching, models and training, and a model with random logits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.store import Store, StoreDescription
from seqaudio.vocabulary import SPECIAL_TOKENS

TOKENS = (*SPECIAL_TOKENS, *"abcdefg")


@dataclass(frozen=True)
class RandomTokens:
    """Token ids 3..9 in which each token leans on the two before it; the length depends on the id too."""

    longest: int = 30

    def __call__(self, item: Item) -> list[Row]:
        draw = np.random.default_rng(int(item.id))
        ids = [3, 4]
        for _ in range(int(draw.integers(0, self.longest))):
            likely = 3 + (ids[-1] + 2 * ids[-2]) % 7
            ids.append(likely if draw.random() < 0.8 else int(draw.integers(3, 10)))
        return [Row(item.id, np.array(ids[2:], dtype=np.int64), duration=float(len(ids)))]


@dataclass(frozen=True)
class LabelledFrames:
    """Frames [T, 4] whose mean tells the label."""

    def __call__(self, item: Item) -> list[Row]:
        draw = np.random.default_rng(int(item.id))
        frames = draw.normal(size=(int(draw.integers(3, 12)), 4)) + (2.0 if item.label == "high" else 0.0)
        return [Row(item.id, frames.astype(np.float32), duration=1.0)]


@dataclass(frozen=True)
class RisingThirds:
    """Rolls [T, 88] of two notes a third apart that rise by a key each frame; the first key depends on the id."""

    def __call__(self, item: Item) -> list[Row]:
        draw = np.random.default_rng(int(item.id))
        frames = np.zeros((int(draw.integers(5, 20)), 88), dtype=np.uint8)
        low = int(draw.integers(20, 60)) + np.arange(len(frames))
        frames[np.arange(len(frames)), low] = 1
        frames[np.arange(len(frames)), low + 4] = 1
        return [Row(item.id, frames, duration=0.5 * len(frames))]


def items(folder: Path, count: int, labels: tuple[str, ...] = ("",)) -> list[Item]:
    """Items 0..count-1, 80 % train; all read the same empty file."""
    file = folder / "input"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    splits = ["train"] * 8 + ["valid", "test"]
    return [Item(str(n), file, str(n), split=splits[n % 10], label=labels[n // 10 % len(labels)]) for n in range(count)]


def token_store(folder: Path, count: int = 50, longest: int = 30) -> Store:
    """A store of kind tokens over the alphabet a..g."""
    settings = {"representation": {"name": "letters"}}
    description = StoreDescription("tokens", settings, vocabulary=TOKENS)
    return build_store(folder / "tokens", items(folder, count), RandomTokens(longest), description)


def frame_store(folder: Path, count: int = 60) -> Store:
    """A store of kind features with the labels high and low."""
    settings = {"features": {"kind": "random"}}
    description = StoreDescription("features", settings, normalise=True)
    return build_store(folder / "frames", items(folder, count, ("high", "low")), LabelledFrames(), description)


def roll_store(folder: Path, count: int = 50) -> Store:
    """A store of kind roll."""
    settings = {"representation": {"name": "roll", "steps_per_quarter": 1, "repeats": "joined"}}
    description = StoreDescription("roll", settings)
    return build_store(folder / "rolls", items(folder, count), RisingThirds(), description)


class Wilful:
    """Other random logits at every step: it wants anything at any time."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.draw = size, np.random.default_rng(seed)

    def initial_state(self, batch_size: int) -> None:
        return None

    def step(self, inputs: Tensor, state: None) -> tuple[Tensor, None]:
        return torch.from_numpy(self.draw.normal(0, 3, (1, self.size))), None
