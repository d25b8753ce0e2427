"""New music as a MIDI file, from a model that recipes/music_generation/train.py trained.

Example: seqaudio generate runs/nottingham_lstm --out tune.mid --seed 1
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from seqaudio.errors import OptionError


@dataclass(frozen=True)
class Config:
    """Which model writes what."""

    run: tyro.conf.Positional[Path]  # folder that recipes/music_generation/train.py made
    out: Path  # MIDI file to write
    seed: int = 1  # equal seeds write equal pieces
    temperature: float = 1.0  # below 1 plays safe, above 1 dares more
    max_events: int = 1000  # longest piece, in tokens; the model may end it before
    force: bool = False  # replace a file that is there


def main(config: Config) -> None:
    """Sample one piece, write it, say what it is."""
    check(config)

    import torch

    from seqaudio.bptt.run_folder import RunFolder
    from seqaudio.decoding.sampling import sample
    from seqaudio.notes import build_representation
    from seqaudio.notes.writing import write_midi

    run = RunFolder(config.run)
    run.require("music_generation", "generating music")
    settings = dict(run.input["settings"]["representation"])
    representation = build_representation(settings.pop("name"), settings)
    generator = torch.Generator().manual_seed(config.seed)
    ids = sample(
        run.model(),
        representation,
        generator=generator,
        temperature=config.temperature,
        max_events=config.max_events,
        minimum_events=min(32, config.max_events),  # a model may end at once; a file without notes helps nobody
    )
    notes = representation.decode(ids)
    write_midi(notes, config.out)
    print(f"{config.out}: {len(notes)} notes, {notes.duration:.1f} s, {len(ids)} events")


def check(config: Config) -> None:
    """Raise OptionError for options that cannot work, before anything heavy is loaded."""
    if not config.temperature > 0:
        raise OptionError(f"--temperature {config.temperature}, expected a number above 0, such as 0.9")
    if config.max_events < 1:
        raise OptionError(f"--max-events {config.max_events}, expected at least 1")
    if config.out.exists() and not config.force:
        raise OptionError(f"{config.out} exists; give --force to replace it, or choose another --out")
    if not config.out.resolve().parent.is_dir():
        raise OptionError(f"{config.out.parent}: no such folder; make it first, or choose another --out")
