"""Measure how surprising pieces of music are to a model: nats an event and a note, and over time.

Example: seqaudio score runs/chorales chorale.mid --out scored
Example: seqaudio score runs/tunes tunes/ --csv

A nat is a factor of e: an event of 2 nats had a probability of 0.14. The table has a line for each piece, --csv a line
for each onset time of each piece, and --out gets a picture of each piece, with its surprise above its notes.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from seqaudio.cli.outputs import folder_files, written
from seqaudio.errors import OptionError, RunError, SeqAudioError
from seqaudio.files import json_text, write_json
from seqaudio.progress import say
from seqaudio.terminal import visible

if TYPE_CHECKING:
    from seqaudio.evaluation.music.surprise import Surprise

SCORES = "scores.json"  # beside the pictures
COLUMNS = ("path", "quarter", "bar", "notes", "tokens", "nats")  # of --csv


@dataclass(frozen=True)
class Config:
    """The model, and the pieces to score."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe music_generation, or a name
    files: tyro.conf.Positional[tuple[Path, ...]]  # MIDI files, or folders of them
    out: Path | None = None  # folder to write NAME.png of each piece and scores.json into
    json: bool = False  # print one JSON object, with every onset time
    csv: bool = False  # print CSV with a header, a line for each onset time
    force: bool = False  # replace existing files in --out


def main(config: Config) -> None:
    """Score each piece, print and draw. A file that cannot be scored does not stop the others."""
    if config.json and config.csv:
        raise OptionError("--json and --csv exclude each other; give one of them")
    from seqaudio.evaluation.music.pieces import midi_files

    files = midi_files(config.files)
    pictures = outputs(config.out, files, config.force)
    scored, failures = scores(config.run, files)
    if scored:
        if config.json:
            print(json_text({"run": str(config.run), "pieces": [as_json(*pair) for pair in scored.items()]}))
        elif config.csv:
            print_csv(scored)
        else:
            print("\n".join(described(scored)))
        if config.out is not None:
            write(config.run, config.out, scored, pictures)
    if failures:
        raise SeqAudioError("; ".join(failures))


def outputs(out: Path | None, files: Sequence[Path], force: bool) -> dict[Path, Path]:
    """The picture of each file. Raises OptionError where one exists, and for two files of one name."""
    if out is None:
        return {}
    pictures: dict[Path, Path] = {}
    taken: dict[str, Path] = {}
    for file in files:
        if (other := taken.setdefault(file.stem, file)) is not file:
            raise OptionError(f"{other} and {file} would both be drawn as {file.stem}.png; score them one at a time")
        (pictures[file],) = folder_files(out, file.stem, (".png",), force)
    folder_files(out, Path(SCORES).stem, (".json",), force)
    return pictures


def scores(run: Path, files: Sequence[Path]) -> tuple[dict[Path, Surprise], list[str]]:
    """The surprise of each piece, and a line for each file that cannot be scored."""
    from seqaudio.api.asked import MUSIC
    from seqaudio.decoding.trained_music import representation_of
    from seqaudio.evaluation.music.surprise import surprise
    from seqaudio.midi import read_midi
    from seqaudio.models.events import EventModel, narrowed
    from seqaudio.prepare.music.midi_rows import check_length
    from seqaudio.run_folder import RunFolder

    folder = RunFolder(run, (MUSIC,))
    if folder.recipe != MUSIC:
        raise RunError(f"{run}: a run of {folder.recipe!r}, scoring music needs one of {MUSIC!r}")
    representation = representation_of(folder)
    model = narrowed(folder.model(), len(representation.tokens))
    if not isinstance(model, EventModel):
        raise RunError(f"{run}: its model gives no probability of an event; scoring needs a model of events")
    pedal: Literal["kept", "unread"] = "kept" if representation.encodes_pedals else "unread"
    scored: dict[Path, Surprise] = {}
    failures: list[str] = []
    for file in files:
        try:
            notes = read_midi(file, pedal=pedal)
            check_length(file, notes)
            scored[file] = surprise(model, representation, notes)
        except OptionError as error:
            failures.append(f"{file}: {error}")
        except SeqAudioError as error:
            failures.append(str(error))
        else:
            if lost := scored[file].lost.remarks(representation.spelt, representation.keeps):
                say(f"{file}: {'; '.join(lost)}")
    return scored, failures


def described(scored: dict[Path, Surprise]) -> Iterator[str]:
    """A table with a line for each piece, and one for all together where there are several."""
    from seqaudio.evaluation.intervals import ratio_of_sums
    from seqaudio.evaluation.tables import table

    rows: list[Sequence[str]] = []
    for file, one in scored.items():
        most = max(one.moments, key=lambda moment: moment.nats)
        rows.append(
            (
                visible(file), f"{len(one.nats):,}", f"{len(one.notes):,}", f"{one.total:,.1f}",
                f"{one.per_event:.4g}", f"{one.per_note:.4g}", f"{most.nats:.3g} in bar {most.bar}",
            )
        )  # fmt: skip
    if len(scored) > 1:
        nats, events, notes = zip(*((one.total, len(one.nats), len(one.notes)) for one in scored.values()), strict=True)
        means = []
        for under in (events, notes):
            interval = ratio_of_sums(nats, under)
            means.append(
                f"{sum(nats) / sum(under):.4g}" + ("" if interval is None else " ({:.3g} .. {:.3g})".format(*interval))
            )
        rows.append((f"all {len(scored):,}", f"{sum(events):,}", f"{sum(notes):,}", f"{sum(nats):,.1f}", *means, ""))
    return table(("piece", "events", "notes", "nats", "an event", "a note", "most at once"), rows)


def as_json(file: Path, one: Surprise) -> dict[str, Any]:
    """A piece with all of its moments."""
    return {
        "path": str(file),
        "events": len(one.nats),
        "notes": len(one.notes),
        "nats": one.total,
        "nats_per_event": one.per_event,
        "nats_per_note": one.per_note,
        "nats_of_end": float(one.nats[-1]),
        "notes_in_file": one.lost.notes,
        "moments": [asdict(moment) for moment in one.moments],
    }


def print_csv(scored: dict[Path, Surprise]) -> None:
    """A line for each onset time of each piece."""
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(COLUMNS)
    for file, one in scored.items():
        for at in one.moments:
            lines.writerow([file, f"{at.quarter:g}", at.bar, at.notes, at.tokens, f"{at.nats:.6f}"])


def write(run: Path, out: Path, scored: dict[Path, Surprise], pictures: dict[Path, Path]) -> None:
    """Write a picture of each piece, and all numbers as JSON."""
    from seqaudio.rendering.piano_roll import draw_piano_roll

    with written(out):
        out.mkdir(parents=True, exist_ok=True)
        for file, one in scored.items():
            title = f"{file.stem}: {one.per_event:.3f} nats an event"
            draw_piano_roll(one.shown, pictures[file], title, one.lines)
        write_json(out / SCORES, {"run": str(run), "pieces": [as_json(*pair) for pair in scored.items()]})
    say(f"wrote {len(scored):,} picture{'s' * (len(scored) > 1)} and {SCORES} into {out}")
