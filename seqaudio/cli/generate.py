"""Generate music as MIDI, sound and picture, or text, with a model of music_generation or language_modelling.

Example: seqaudio generate chorales --out chorale.mid --wav --png
         seqaudio generate runs/nottingham_lstm --out tune.mid --seed 1 --bars 16

As it is sampled: seqaudio generate runs/nottingham_lstm --live --bars 16 --port Synth

Of text: seqaudio generate runs/book --out text.txt --prompt "It was " --temperature 0.8
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

import tyro

from seqaudio.api.asked import MUSIC, ROLLS, TEXT, Asked, spelt
from seqaudio.api.composing import Composer, music, texts
from seqaudio.api.provenance import describe_model
from seqaudio.cli.outputs import Beside, Engraved, check_output, folder_files, further, written
from seqaudio.errors import OptionError
from seqaudio.trained import recipe_of_run

if TYPE_CHECKING:
    from seqaudio.decoding.live import Clock
    from seqaudio.notes import NoteSequence
    from seqaudio.run_folder import RunFolder

# options of files only, which a live piece is not
OF_FILES = ("out", "without_primer", "max_copied", "wav", "png", "musicxml", "engraved", "force")
PREVIEW = 240  # characters of a text that are printed


class Pieces(Beside, Protocol):
    """The options of a command that writes pieces of music."""

    @property
    def out(self) -> Path | None: ...
    @property
    def seed(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def force(self) -> bool: ...


@dataclass(frozen=True)
class Config(Asked):
    """Options of the generation."""

    FIRST: ClassVar[tuple[str, ...]] = ("out", "wav", "png", "seed", "count", "bars", "tempo", "key", "temperature")

    run: tyro.conf.Positional[Path]  # run folder of music_generation, polyphonic_music or language_modelling, or a name
    out: Path | None = None  # .mid or .txt; with --count 3: NAME-1.mid and so on; or a folder: 01.mid .. and a page
    seed: int = 1  # of the sampling; equal seeds give equal pieces; with --count each piece has the next seed
    count: int = 1  # number of pieces
    max_copied: float | None = None  # of music: bars; pieces with a longer run of a training piece are drawn again
    wav: bool = False  # of music: also write NAME.wav
    png: bool = False  # of music: also write NAME.png, a piano roll
    musicxml: bool = False  # of music: also write NAME.musicxml, a score for notation programs
    engraved: Engraved = None  # of music: also write NAME.score.svg or .png, a picture of the score
    force: bool = False  # replace existing files
    live: bool = False  # of music: play in place of --out: print notes as they begin and end, in time, until Ctrl-C
    port: str | None = None  # of music: play to the MIDI port of that name, or part of a name


def main(config: Config) -> None:
    """Sample pieces, write them, print a line for each."""
    recipe = recipe_of_run(config.run, (MUSIC, ROLLS, TEXT))
    check(config, recipe)

    from seqaudio.run_folder import RunFolder

    run = RunFolder(config.run)
    if is_live(config):
        play_music(run, config)
    elif recipe == TEXT:
        write_texts(run, config)
    else:
        write_music(run, config)


def is_live(config: Config) -> bool:
    """Whether the piece is played, not written."""
    return config.live or config.port is not None


def target(config: Pieces) -> Path:
    """Where the pieces go. Raises OptionError where that is not given."""
    if config.out is None:
        raise OptionError("--out is missing; name a file or a folder, such as --out tune.mid, or give --live")
    return config.out


def play_music(run: RunFolder, config: Config, clock: Clock = time) -> None:
    """Sample pieces of music and play them meanwhile. Raises OptionError for a port that cannot be opened."""
    from seqaudio.cli.live import play_live
    from seqaudio.midi.ports import MidiPort

    port = None if config.port is None else MidiPort(config.port)
    try:
        composer = Composer(run, config)
        warn_of_baseline(run)
        play_live(composer, config, port, clock)
    finally:
        if port is not None:
            port.close()


def write_music(run: RunFolder, config: Config) -> None:
    """Sample pieces of music, write and describe them; in a folder also a page about them."""
    from seqaudio.cli.ideas import PAGE, all_drawn, checked_copies, write_page

    provenance = f"{describe_model(run)}; {command('generate')}"
    if run.recipe == ROLLS:
        for (seed, path), notes in zip(pieces(config), generate(run, config), strict=True):
            print(write_piece(config, notes, path, seed, provenance))
        warn_of_baseline(run)
        return
    out = target(config)
    into = is_folder(out)
    copies = checked_copies(run, config) if into or config.max_copied is not None else None
    composer = Composer(run, config)
    # all are drawn before any is written: one that cannot be drawn leaves nothing half done
    seeds, paths = zip(*pieces(config), strict=True)
    found = [(*one, path) for one, path in zip(all_drawn(composer, config, seeds, copies), paths, strict=True)]
    if into:
        with written(out):
            out.mkdir(parents=True, exist_ok=True)
    for piece, _, path in found:
        print(write_piece(config, piece.notes, path, piece.seed, provenance))
        for remark in piece.remarks:
            print(f"  {remark}")
    if into and copies is not None:
        write_page(out / PAGE, found, composer, config, copies)
        print(out / PAGE)
    warn_of_baseline(run)


def write_piece(config: Pieces, notes: NoteSequence, path: Path, seed: int, provenance: str) -> str:
    """Write a piece as MIDI and what else is asked for. Returns a line about it."""
    from seqaudio.files import write_bytes
    from seqaudio.rendering.piece_files import piece_bytes

    comments = [f"{provenance}; seed {seed}"]
    with written(path):
        for suffix in (".mid", *further(config)):
            if suffix.startswith(".score"):
                from seqaudio.rendering.engraving import engrave

                score = piece_bytes(notes, ".musicxml", path.stem, comments)
                engrave(score, path.with_suffix(suffix))
            else:
                to = path if suffix == ".mid" else path.with_suffix(suffix)
                write_bytes(to, piece_bytes(notes, suffix, path.stem, comments))
    others = [str(path.with_suffix(kind)) for kind in further(config)]
    also = f"; also {' and '.join(others)}" if others else ""
    return f"{path}: {len(notes)} notes, {notes.duration:.1f} s, seed {seed}{also}"


def write_texts(run: RunFolder, config: Config) -> None:
    """Sample texts, write them, show how they begin."""
    from seqaudio.decoding.text import unit_of

    unit = unit_of(run)
    places = pieces(config)
    found = texts(run, config, [seed for seed, _ in places])
    for (seed, path), text in zip(places, found, strict=True):
        with written(path):
            path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{path}: {len(unit.split(text)):,} {unit.name}s, seed {seed}")
        print(preview(text))
    warn_of_baseline(run)


def preview(text: str) -> str:
    """The beginning of a text, without control characters."""
    shown = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text[:PREVIEW])
    return shown.rstrip() + (" ..." if len(text) > PREVIEW else "")


def generate(run: RunFolder, config: Config) -> Iterator[NoteSequence]:
    """The pieces of music that the options ask for, one after the other. Raises OptionError for an unfit primer."""
    for piece in music(run, config, [seed for seed, _ in pieces(config)]):
        yield piece.notes


def warn_of_baseline(run: RunFolder) -> None:
    """Warn on stderr of a model that predicts its validation split no better than a baseline does."""
    from seqaudio.evaluation.finishing import lost_to
    from seqaudio.evaluation.results import main_metric, read_results

    if not (run.path / "results.json").is_file():
        return
    found = read_results(run.path)
    baselines = {name: scores["valid"] for name, scores in found["baselines"].items() if "valid" in scores}
    if lost := lost_to(found["valid"], baselines, main_metric(found["valid"])).removeprefix("; "):
        print(f"warning: {run.path}: on validation {lost}", file=sys.stderr)


def pieces(config: Pieces) -> list[tuple[int, Path]]:
    """The seed and the file of each piece: in a folder 01, 02, and so on."""
    out = target(config)
    if isinstance(config, Config) and is_folder(out):
        width = max(2, len(str(config.count)))
        numbers = range(1, config.count + 1)
        return [(config.seed + n - 1, out / f"{n:0{width}}.mid") for n in numbers]
    if config.count == 1:
        return [(config.seed, out)]
    names = (out.with_stem(f"{out.stem}-{number}") for number in range(1, config.count + 1))
    return [(config.seed + number, path) for number, path in enumerate(names)]


def is_folder(out: Path) -> bool:
    """Whether `--out` is a folder for numbered pieces: one that exists, or a name without a suffix."""
    return out.is_dir() or (not out.suffix and not out.exists())


def check(config: Config, recipe: str) -> None:
    """Raise RunError or OptionError for a run or options that cannot work, before torch and the model are loaded."""
    config.check(config.run, recipe)
    if is_live(config):
        for name in OF_FILES:
            if config.is_given(name):
                raise OptionError(f"{spelt(name)} is for files, --live and --port play; leave one of them out")
        return
    other, suffix, wrong = ("music", ".txt", ".mid") if recipe == TEXT else ("text", ".mid", ".txt")
    out = target(config)
    if out.suffix.lower() == wrong:
        raise OptionError(f"--out {out} is for {other}, {config.run} is a run of {recipe!r}; write {suffix}")
    if recipe == ROLLS:
        check_output("--out", out, suffix, force=True)  # rolls have no folder
    check_files(config, suffix, config.primer)


def check_files(config: Pieces, suffix: str = ".mid", given: Path | None = None) -> None:
    """Raise OptionError for files that cannot be written, or exist, or need a package that is missing.

    given: a file that is read, which is never replaced.
    """
    if given is not None and any(path.resolve() == given.resolve() for _, path in pieces(config)):
        raise OptionError(f"--out {given}: the file that is read; choose another name")
    if config.engraved:
        from seqaudio.rendering.engraving import require_engraver

        require_engraver(config.engraved)
    out = target(config)
    if isinstance(config, Config) and is_folder(out) and suffix == ".mid":
        kinds = [suffix, *further(config)]
        for _, path in pieces(config):
            folder_files(out, path.stem, kinds, config.force)
        folder_files(out, "index", [".html"], config.force)
        return
    if suffix != ".mid":
        check_output("--out", out, suffix, force=True)  # texts have no folder
    for _, path in pieces(config):
        check_output("--out", path, suffix, config.force)
        for kind in further(config) if suffix == ".mid" else ():
            check_output("--out", path.with_suffix(kind), f".{kind.rpartition('.')[2]}", config.force)


def command(name: str) -> str:
    """The command of this process, quoted for a shell."""
    return shlex.join(["seqaudio", *sys.argv[1:]]) if sys.argv[1:2] == [name] else f"seqaudio {name}"
