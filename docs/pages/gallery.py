"""Compose the pieces of docs/gallery.md from trained runs, and write the page, its pictures and its sounds.

    python docs/pages/gallery.py --tunes runs/tunes --style runs/ocarolan --filling runs/filling \\
        --chorales runs/chorales --rolls runs/jsb

Each command on the page is run as it stands there, in a folder where the runs have the names of the page. Pieces are
those of seeds 1, 2 and 3; picture and sound are always those of seed 1. The melody that is harmonised is the soprano
of the first validation piece of the store of chorales.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from seqaudio.audio import resample
from seqaudio.cli.ideas import Copies
from seqaudio.cli.options import run as run_command
from seqaudio.decoding.trained_music import representation_of
from seqaudio.errors import OptionError, SeqAudioError
from seqaudio.evaluation.listening import Heard
from seqaudio.evaluation.music.surprise import surprise
from seqaudio.files import read_plain, write_bytes
from seqaudio.midi import read_midi, write_midi
from seqaudio.models.events import EventModel, narrowed
from seqaudio.notes import NoteSequence
from seqaudio.notes.bars import bars
from seqaudio.notes.keys import key_name, with_key
from seqaudio.notes.operations.excerpt import excerpt
from seqaudio.rendering.piano_roll import draw_piano_roll
from seqaudio.rendering.sound import SAMPLE_RATE, render, write_wav
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tokens import TokenRepresentation

ROOT = Path(__file__).parents[2]
SEEDS = (1, 2, 3)
COUNT = f"--count {len(SEEDS)}"
WIDTH, COLOURS = 1100, 32  # pixels of a picture, and its colours
RATE, SECONDS, FADE = 11_025, 12.0, 1.0  # of a sound: hertz, mono; seconds
LARGEST_PICTURE, LARGEST_SOUND = 100_000, 300_000  # bytes
LOCAL = ("seed", "store", "threads", "devices", "tensorboard", "figure_format")  # options that shape no model
COLUMNS = ("seed", "bars", "metre", "tempo", "key", "longest note, quarters", "notes at once", "nats a note",
           "longest copied run, bars")  # fmt: skip

HEAD = """# Gallery

Written by `python docs/pages/gallery.py`; no piece is chosen by ear. Each command on this page is what made its pieces,
and they are those of seeds 1, 2 and 3; picture and sound are of seed 1. Sounds are the first {seconds:g} seconds, mono
at {rate:,} Hz; `--wav` writes the whole piece in stereo. The commands write into a folder
`pieces`, which has to be there.

Columns: tempo in quarters a minute, the most notes that sound together, how surprising the piece is to the model that
wrote it (`seqaudio score`), and the longest run of quarters that also stands in one of its training pieces, in any key.
"""


@dataclass(frozen=True)
class Config:
    """The run folders, and the folder of the page."""

    tunes: Path  # of music_generation, on folk tunes
    style: Path  # of music_generation, begun from another run, on few tunes
    filling: Path  # of music_generation, trained with --fill
    chorales: Path  # of music_generation, on the representation chorale
    rolls: Path  # of polyphonic_music
    out: Path = ROOT / "docs"  # gets gallery.md and gallery/
    engraved: bool = False  # also draw the harmonised melody as a score (extra scores, and cairosvg)


@dataclass(frozen=True)
class Section:
    """Pieces of one run."""

    title: str
    about: str
    run: str  # its name on the page
    prepare: str  # the command that made its store
    compose: str  # the command that writes pieces/NAME.mid; {key} stands for the key of the melody
    name: str
    sound: bool = True


SECTIONS = (
    Section(
        "A folk tune",
        "Tokens of bars, a net that looks back 1, 2, 4 and 8 bars; which bars return is drawn from training pieces.",
        "tunes",
        "seqaudio prepare midi_folder --source NOTTINGHAM --out stores/tunes",
        f"seqaudio generate runs/tunes --out pieces/tune.mid --bars 16 --instruments piano {COUNT}",
        "tune",
    ),
    Section(
        "Thirty tunes by one composer",
        "A net of many folk tunes, trained on with thirty by Turlough O'Carolan (1670-1738): `docs/own_style.md`.",
        "style",
        "seqaudio prepare midi_folder --source FOLDER_OF_TUNES --valid-percent 30 --test-percent 2 --out stores/style",
        f"seqaudio generate runs/style --out pieces/style.mid --bars 16 {COUNT}",
        "style",
        sound=False,
    ),
    Section(
        "New bars in a piece",
        "Bars 5 to 8 of the folk tune of seed 1 above, written anew; all others are as they were.",
        "filling",
        "seqaudio prepare midi_folder --source NOTTINGHAM --out stores/filling",
        f"seqaudio fill runs/filling pieces/tune-1.mid --bars 5-8 --out pieces/filled.mid {COUNT}",
        "filled",
        sound=False,
    ),
    Section(
        "Three voices to a melody",
        "The soprano of a chorale of Bach that is not among the training pieces stays note for note; the key is the "
        "one that fits this melody best.",
        "chorales",
        "seqaudio prepare bach_chorales --out stores/chorales",
        f"seqaudio harmonize runs/chorales pieces/melody.mid --out pieces/harmonised.mid --key '{{key}}' {COUNT}",
        "harmonised",
    ),
    Section(
        "A roll, chord by chord",
        "A piano roll that is sampled a frame at a time, the notes of each frame given each other.",
        "rolls",
        "seqaudio prepare polyphonic --set jsb --source POLYPHONIC --out stores/rolls",
        f"seqaudio generate runs/rolls --out pieces/roll.mid --bars 12 {COUNT}",
        "roll",
    ),
)


def main(config: Config) -> None:
    """Compose, write the page, print what was written."""
    folder = config.out / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for section in SECTIONS:
        for old in (f"{section.name}.png", f"{section.name}_score.png", f"{section.name}.wav"):
            (folder / old).unlink(missing_ok=True)  # of an earlier page, which may have had others
    parts = [HEAD.format(seconds=SECONDS, rate=RATE)]
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        (work / "runs").mkdir()
        (work / "pieces").mkdir()
        for section in SECTIONS:
            (work / "runs" / section.run).symlink_to(getattr(config, section.run).resolve())
        key = write_melody(RunFolder(config.chorales), work / "pieces" / "melody.mid")
        for section in SECTIONS:
            command = section.compose.replace("{key}", key)
            if config.engraved and section.name == "harmonised":
                command += " --engraved png"
            parts.append("\n".join(composed(section, command, work, folder)))
    write_bytes(config.out / "gallery.md", "\n".join(parts).encode())
    print(f"{config.out / 'gallery.md'}: {len(SECTIONS)} sections, {len(SECTIONS) * len(SEEDS)} pieces")


def composed(section: Section, command: str, work: Path, folder: Path) -> Iterator[str]:
    """Run the command of a section, draw and play its first piece. Yields the lines of the page."""
    names = {path.resolve(): path.name for path in (work / "runs").iterdir()}
    path = work / "runs" / section.run
    program = [sys.executable, "-c", "from seqaudio.cli.main import entry; entry()"]
    done = subprocess.run([*program, *shlex.split(command)[1:]], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OptionError(f"{command}: {done.stderr.strip()}")
    run = RunFolder(path)
    yield from (f"## {section.title}", "", section.about, "", "```sh")
    yield from (section.prepare, training_command(run, section.run, names), command, "```", "")
    yield from table(run, [work / "pieces" / f"{section.name}-{seed}.mid" for seed in SEEDS])
    first = work / "pieces" / f"{section.name}-{SEEDS[0]}.mid"
    notes = read_midi(first)
    draw_piano_roll(notes, work / "roll.png", title=f"{section.title}, seed {SEEDS[0]}")
    yield from ("", *picture(work / "roll.png", folder / f"{section.name}.png", f"Piano roll: {section.title}"))
    if "--engraved" in command:
        yield from picture(first.with_suffix(".score.png"), folder / f"{section.name}_score.png", "The same as a score")
    if section.sound:
        sound = folder / f"{section.name}.wav"
        write_wav(sound, beginning(notes), RATE)
        check_size(sound, LARGEST_SOUND)
        yield f"[Hear its beginning]({folder.name}/{sound.name})"
    yield ""


def write_melody(run: RunFolder, path: Path) -> str:
    """Write the soprano of the first validation piece of the store of a run of chorales. Returns its estimated key."""
    store, representation = Store(run.setting("store", Path)), representation_of(run)
    piece = representation.decode(store["valid"].sequence(0).tolist())
    melody = with_key(piece.select(piece.track == piece.track_names.index("Soprano")))
    write_midi(melody, path)
    return key_name(melody.key_signatures[0])


def training_command(run: RunFolder, name: str, names: Mapping[Path, str]) -> str:
    """The command of a training with the options that are no defaults; folders have the names of the page.

    names: of the runs on the page, by their folders.
    """
    file = ROOT / "recipes" / run.recipe / "train.py"
    spec = importlib.util.spec_from_file_location(f"gallery_{run.recipe}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    defaults = {field.name: field.default for field in dataclasses.fields(module.Config)}
    words = ["seqaudio", "train", run.recipe, "--store", f"stores/{name}", "--run", f"runs/{name}"]
    for option, value in run.config["settings"].items():
        if option not in LOCAL and option in defaults and value != plain(defaults[option]):
            words += spelt(option, value, names)
    return shlex.join(words)


def plain(value: Any) -> Any:
    """A default as JSON has it."""
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def spelt(option: str, value: Any, names: Mapping[Path, str]) -> list[str]:
    """An option as words of a command; a folder becomes one of the same name under runs/."""
    name = option.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, str) and "/" in value:
        return [f"--{name}", f"runs/{names.get(Path(value).resolve(), Path(value).name)}"]
    return [f"--{name}", *(map(str, value) if isinstance(value, list) else [f"{value}"])]


def table(run: RunFolder, paths: Sequence[Path]) -> Iterator[str]:
    """A row of figures for each piece."""
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|" + "---|" * len(COLUMNS)
    copies = Copies.of(run)
    for seed, path in zip(SEEDS, paths, strict=True):
        yield "| " + " | ".join((str(seed), *figures(run, read_midi(path), copies))) + " |"


def figures(run: RunFolder, notes: NoteSequence, copies: Copies) -> Iterator[str]:
    """The cells of a piece in the table, in the order of COLUMNS, without its seed."""
    heard = Heard.of(notes)
    assert heard is not None  # a piece that was written has notes
    keys = with_key(notes).key_signatures
    bar = next(bars(notes))
    quarters = float((bar.end - bar.start) / notes.ticks_per_quarter)
    copied = copies.bars(notes, quarters)
    yield from (str(heard.bars), heard.metre, f"{heard.tempo:.4g}", key_name(keys[0]) if keys else "none")
    yield from (f"{heard.longest:.3g}", str(heard.at_once), nats(run, notes))
    yield "not checked" if copied is None else f"{copied:.3g}"


def nats(run: RunFolder, notes: NoteSequence) -> str:
    """Nats a note under the model of a run of tokens; of rolls, whose frames have no such figure, a dash."""
    model = run.model()
    try:
        representation = representation_of(run)
    except SeqAudioError:
        return "-"
    assert isinstance(representation, TokenRepresentation)
    small = narrowed(model, len(representation.tokens))
    return f"{surprise(small, representation, notes).per_note:.2f}" if isinstance(small, EventModel) else "-"


def picture(source: Path, target: Path, words: str) -> Iterator[str]:
    """Write a picture in few colours. Yields the line that shows it."""
    with Image.open(io.BytesIO(read_plain(source))) as full:
        height = round(full.height * WIDTH / full.width)
        small = full.convert("RGB").resize((WIDTH, height)).quantize(COLOURS)
        content = io.BytesIO()
        small.save(content, "PNG", optimize=True)
    write_bytes(target, content.getvalue())
    check_size(target, LARGEST_PICTURE)
    yield from (f"![{words}]({target.parent.name}/{target.name})", "")


def beginning(notes: NoteSequence) -> npt.NDArray[np.float32]:
    """The first seconds of a piece, mono, faded out."""
    starts = np.flatnonzero(notes.start >= SECONDS)
    if len(starts):
        notes = excerpt(notes, 0, int(notes.start_tick[starts[0]]))
    samples = resample(render(notes).mean(axis=1)[: int(SECONDS * SAMPLE_RATE)], SAMPLE_RATE, RATE)
    faded = np.array(samples, dtype=np.float32)
    count = min(len(faded), int(FADE * RATE))
    faded[len(faded) - count :] *= np.linspace(1, 0, count, dtype=np.float32)
    return faded / max(1.0, float(np.abs(faded).max(initial=0.0)))


def check_size(path: Path, most: int) -> None:
    """Raise OptionError for a file that is too large for the page."""
    if (size := path.stat().st_size) > most:
        raise OptionError(f"{path}: {size:,} bytes, expected at most {most:,}; ask for fewer bars")


if __name__ == "__main__":
    run_command(Config, main)
