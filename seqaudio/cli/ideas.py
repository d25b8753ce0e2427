"""Write several pieces of one model into a folder, with a page about them, and draw again what copies too much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from seqaudio.cli.outputs import further, written
from seqaudio.errors import OptionError, RunError, StoreError

if TYPE_CHECKING:
    from seqaudio.api.composing import Composed, Composer
    from seqaudio.cli.generate import Config
    from seqaudio.evaluation.copying import CopySearch
    from seqaudio.notes import NoteSequence
    from seqaudio.run_folder import RunFolder

PAGE = "index.html"
REDRAWN = 20  # times that a piece is drawn again at most
HEADINGS = ("seed", "key", "bars", "tempo", "nats an event", "longest copied run, bars")


@dataclass(frozen=True)
class Copies:
    """The training pieces of a run, in which copies are searched, or why there are none."""

    search: CopySearch | None
    about: str  # a line

    @classmethod
    def of(cls, run: RunFolder) -> Copies:
        """The training split of the store that the run was trained on, where it still is what it was."""
        from seqaudio.evaluation.copying import CopySearch
        from seqaudio.evaluation.music.pieces import pieces_of_split
        from seqaudio.store import Store

        try:
            store = Store(run.training_store())
            if store.fingerprint != run.config["store"]:
                return cls(None, f"copies were not checked: {store.path.name} is another store than in the training")
            corpus = pieces_of_split(store, "train")
        except (RunError, StoreError) as error:
            return cls(None, f"copies were not checked: {error}")
        some = "".join(f"; {remark.rpartition(': ')[2]}" for remark in corpus.remarks)
        about = f"copies: the longest run of quarters that also stands in a training piece, in any key{some}"
        return cls(CopySearch([piece.notes for piece in corpus.pieces]), about)

    def bars(self, notes: NoteSequence, quarters: float) -> float | None:
        """Length of the longest copied run, in bars of so many quarters; None where it is not known."""
        return None if self.search is None else self.search.longest(notes).beats / quarters


def all_drawn(
    composer: Composer, config: Config, seeds: Sequence[int], copies: Copies | None
) -> list[tuple[Composed, float | None]]:
    """For each seed the first piece of its sequence that copies at most `--max-copied`, and what it copies, in bars.

    The sequence is the seed, then every `--count`-th seed after it, so that no two pieces share one.

    Raises OptionError where 20 more seeds give no such piece.
    """
    from seqaudio.tokens.repertoire import bar_quarters

    quarters, least = float(bar_quarters(composer.plan.metre)), dict.fromkeys(seeds, float("inf"))
    found: dict[int, tuple[Composed, float | None]] = {}
    for attempt in range(REDRAWN + 1):
        wanted = [seed for seed in seeds if seed not in found]
        tried = composer.compose([seed + attempt * config.count for seed in wanted]) if wanted else []
        for seed, piece in zip(wanted, tried, strict=True):
            bars = None if copies is None else copies.bars(piece.notes, quarters)
            if config.max_copied is None or (bars is not None and bars <= config.max_copied):
                found[seed] = piece, bars
            elif bars is not None:
                least[seed] = min(least[seed], bars)
    for seed in seeds:
        if seed not in found:
            raise OptionError(
                f"--max-copied {config.max_copied:g}: the piece of seed {seed} and {REDRAWN} more copy at least "
                f"{least[seed]:g} bars each; give more bars, or raise --temperature"
            )
    return [found[seed] for seed in seeds]


def checked_copies(run: RunFolder, config: Config) -> Copies:
    """The training pieces. Raises OptionError where `--max-copied` needs them and they are not there."""
    copies = Copies.of(run)
    if copies.search is None and config.max_copied is not None:
        raise OptionError(f"--max-copied {config.max_copied:g}: {copies.about}; leave out --max-copied")
    return copies


def write_page(
    path: Path, found: Sequence[tuple[Composed, float | None, Path]], composer: Composer, config: Config, copies: Copies
) -> None:
    """Write the page of pieces that were written: each with what it copies, in bars, and its MIDI file."""
    from seqaudio.files import write_bytes
    from seqaudio.rendering.gallery import Entry, gallery

    nats = surprise_of(composer)
    entries = [
        Entry(
            name=midi.stem,
            figures=figures(piece, bars, nats),
            midi=midi.name,
            picture=picture_of(piece.notes, midi),
            wav=midi.with_suffix(".wav").name if config.wav else None,
            remark="; ".join(piece.remarks),
            others=tuple(midi.with_suffix(kind).name for kind in further(config) if kind not in (".wav", ".png")),
        )
        for piece, bars, midi in found
    ]
    key = "keys are those asked for" if config.key is not None else "keys are estimated, unless a primer gives them"
    notes = (f"{key}; tempo in quarters a minute", copies.about)
    with written(path):
        write_bytes(path, gallery(f"{len(entries)} pieces of {config.run.name}", HEADINGS, entries, notes).encode())


def figures(piece: Composed, copied: float | None, nats: Callable[[list[int]], float | None]) -> tuple[str, ...]:
    """The figures of a piece in the order of HEADINGS."""
    from seqaudio.notes.bars import bars
    from seqaudio.notes.keys import key_name

    keys, surprise = piece.notes.key_signatures, nats(piece.ids)
    return (
        str(piece.seed),
        key_name(keys[0]) if keys else "none",
        str(len(list(bars(piece.notes)))),
        f"{60e6 / int(piece.notes.tempo[0]):.4g}",
        "not known" if surprise is None else f"{surprise:.3f}",
        "not checked" if copied is None else f"{copied:.3g}",
    )


def surprise_of(composer: Composer) -> Callable[[list[int]], float | None]:
    """A function from the tokens of a piece to its nats an event; it returns None for a model without probabilities."""
    from seqaudio.evaluation.music.surprise import token_nats
    from seqaudio.models.events import EventModel

    model = composer.model
    if not isinstance(model, EventModel):
        return lambda ids: None
    return lambda ids: float(token_nats(model, np.array(ids, dtype=np.int64)).mean())


def picture_of(notes: NoteSequence, midi: Path) -> bytes:
    """The piano roll of a piece as PNG."""
    from seqaudio.files import read_plain
    from seqaudio.rendering.piano_roll import draw_piano_roll

    with TemporaryDirectory() as folder:
        path = Path(folder) / "roll.png"
        draw_piano_roll(notes, path, title=midi.stem)
        return read_plain(path)
