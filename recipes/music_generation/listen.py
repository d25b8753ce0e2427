"""Listen to generated pieces by figures, beside the training pieces of a store.

    seqaudio generate runs/tunes --out pieces/tune.mid --count 24
    recipes/music_generation/listen.py pieces --store stores/tunes
    recipes/music_generation/listen.py pieces --store stores/tunes --json

Prints the longest note, the notes at once, bars, metres, tempos and programs, the share of patterns of eight intervals
that return within a piece, the share of pieces that end on a bar line, and how many pieces lie outside what those of
the training have. Figures of training pieces are those of their tokens: what a representation leaves out, such as the
metre, counts as 4/4, and tempos and programs are those that decoded notes have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from seqaudio.cli.options import run
from seqaudio.errors import SourceError
from seqaudio.evaluation.listening import Heard, against, summary
from seqaudio.files import json_text
from seqaudio.midi import read_midi
from seqaudio.prepare.music.options import midi_items
from seqaudio.prepare.music.stored_pieces import store_representation
from seqaudio.store import Store


@dataclass(frozen=True)
class Config:
    """Options of the listening."""

    pieces: tyro.conf.Positional[Path]  # folder of MIDI files
    store: Path  # of tokens, whose training pieces are the measure
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the figures of the pieces and those of the training pieces."""
    items = midi_items(config.pieces, "a folder of generated pieces")
    training = list(training_pieces(Store(config.store)))
    heard = [one for item in items if (one := Heard.of(read_midi(item.file))) is not None]
    if not heard:
        raise SourceError(f"{config.pieces}: has no pitched notes; give a folder of generated pieces")
    found = {"pieces": summary(heard), "training": summary(training), "outside": against(heard, training)}
    print(json_text(found) if config.json else "\n".join(described(found)))


def training_pieces(store: Store) -> Iterator[Heard]:
    """The figures of the training pieces of a store. Raises StoreError as `store_representation`."""
    store.require("tokens", "listening")
    representation = store_representation(store)
    for ids in store["train"]:
        if (heard := Heard.of(representation.decode(ids.tolist()))) is not None:
            yield heard


def described(found: dict[str, Any]) -> Iterator[str]:
    """The figures as a table."""
    yield f"{'':<22} {'pieces':>28} {'training':>28}"
    for name, value in found["pieces"].items():
        yield f"{name.replace('_', ' '):<22} {_shown(value):>28} {_shown(found['training'][name]):>28}"
    for name, count in found["outside"].items():
        yield f"{name.replace('_', ' '):<22} {count:>28,} {'':>28}".rstrip()


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        words = [f"{name} {number:.4g}" for name, number in value.items()]
        return ", ".join(words[:3]) + (" ..." if len(words) > 3 else "")
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"


if __name__ == "__main__":
    run(Config, main)
