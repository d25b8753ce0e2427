"""Generate music as MIDI, sound and picture, or text, with a model of music_generation or language_modelling.

Example: seqaudio generate runs/nottingham_lstm --out tune.mid --seed 1 --wav --png

As it is sampled: seqaudio generate runs/nottingham_lstm --live --bars 16 --port Synth

Of text: seqaudio generate runs/book --out text.txt --prompt "It was " --temperature 0.8
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import tyro

from seqaudio.cli.outputs import Beside, Engraved, check_output, folder_files, further, written
from seqaudio.cli.scripts import recipe_of_run
from seqaudio.errors import OptionError, RunError, VocabularyError
from seqaudio.sampling_options import SamplingOptions
from seqaudio.terminal import few
from seqaudio.version import __version__

if TYPE_CHECKING:
    from seqaudio.decoding.kept_wishes import KeptWish
    from seqaudio.decoding.live import Clock
    from seqaudio.decoding.plan import Plan, Wishes
    from seqaudio.decoding.sampling import Stream, Tokens
    from seqaudio.models import Model
    from seqaudio.models.sampler import Sampler
    from seqaudio.notes import NoteSequence
    from seqaudio.notes.sequence import KeySignature
    from seqaudio.run_folder import RunFolder
    from seqaudio.tokens import Representation, TokenRepresentation
    from seqaudio.tokens.bounds import Bounds
    from seqaudio.tokens.conditions import Conditions
    from seqaudio.tokens.forms import Form, Forms
    from seqaudio.tokens.repertoire import Repertoire

MIN_EVENTS = 32  # before a model may end a piece; it could end at once, in an empty file
MUSIC, ROLLS, TEXT = "music_generation", "polyphonic_music", "language_modelling"
# options for music only
OF_MUSIC = (
    "primer", "primer_events", "without_primer", "bars", "tempo", "metre", "program", "instruments", "form", "key",
    "density", "max_copied", "wild", "wav", "png", "musicxml", "engraved", "live", "port",
)  # fmt: skip
# options of tokens only, which piano rolls do not have
OF_TOKENS = (
    "primer_events", "max_events", "metre", "program", "instruments", "form", "key", "density", "max_copied", "wild",
    "top_k", "top_p", "min_p", "live", "port",
)  # fmt: skip
# options of files only, which a live piece is not
OF_FILES = ("out", "without_primer", "max_copied", "wav", "png", "musicxml", "engraved", "force")
ROLL_BARS = 16  # of four quarters, with the primer, by default
MOST_GROUPS = 32  # letters of a form
MAX_EVENTS = 1000  # by default, after a primer or a prompt, where no end is planned
NAMED = 10  # words in a message
PREVIEW = 240  # characters of a text that are printed
FORM_RUNS = 40  # runs of bars of a form that are printed
AT_ONCE = 64  # pieces that are sampled together; more fill the caches and win nothing


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
class Config(SamplingOptions):
    """Options of the generation."""

    run: tyro.conf.Positional[Path]  # run folder of music_generation, polyphonic_music or language_modelling
    out: Path | None = None  # .mid or .txt; with --count 3: NAME-1.mid and so on; or a folder: 01.mid .. and a page
    seed: int = 1  # of the sampling; equal seeds give equal pieces; with --count each piece has the next seed
    max_events: int | None = None  # most tokens, characters or words; by default 1,000, or none if bars are planned
    bars: int | None = None  # of music: length, primer included; by default as in training, of piano rolls at most 16
    tempo: float | None = None  # of music: quarters a minute; by default that of the primer, or of the training pieces
    metre: str | None = None  # of music: time signature such as 6/8; by default likewise
    program: int | None = None  # of music: General MIDI instrument, counted from 0; by default likewise
    instruments: str | None = None  # of music: the only ones sampled, such as piano,bass,drums or alto sax or 73
    form: str | None = None  # of music: groups of bars such as AABA, or free; by default bars return as in training
    key: str | None = None  # of music: such as "D minor", outside whose scale no pitch is sampled
    density: Literal["low", "medium", "high"] | None = None  # of music: notes a quarter, a wish
    wild: bool = False  # of music: also notes longer, and pitches and tokens others, than the training pieces have
    prompt: str | None = None  # beginning of the text
    primer: Path | None = None  # of music: MIDI file to continue, in its tempo, time signature and instrument
    primer_events: int | None = None  # of music: continue only the first N tokens of the primer
    without_primer: bool = False  # of music: write only what is new, from the bar line where the primer ended
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
    recipe = recipe_of_run(config.run)
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
    from seqaudio.midi.writing import write_midi

    with written(path):
        write_midi(notes, path, comments=[f"{provenance}; seed {seed}"])
        if config.wav:
            from seqaudio.rendering.sound import render, write_wav

            write_wav(path.with_suffix(".wav"), render(notes))
        if config.png:
            from seqaudio.rendering.piano_roll import draw_piano_roll

            draw_piano_roll(notes, path.with_suffix(".png"), title=path.stem)
        if config.musicxml or config.engraved:
            from seqaudio.midi.musicxml import musicxml

            score = musicxml(notes, title=path.stem, comments=[f"{provenance}; seed {seed}"])
            if config.musicxml:
                write_bytes(path.with_suffix(".musicxml"), score)
            if config.engraved:
                from seqaudio.rendering.engraving import engrave

                engrave(score, path.with_suffix(f".score.{config.engraved}"))
    others = [str(path.with_suffix(kind)) for kind in further(config)]
    also = f"; also {' and '.join(others)}" if others else ""
    return f"{path}: {len(notes)} notes, {notes.duration:.1f} s, seed {seed}{also}"


def shortened(form: str) -> str:
    """The beginning of a form; behind a long primer all of it would fill the screen."""
    runs = form.split(" ")
    return " ".join([*runs[:FORM_RUNS], "..."]) if len(runs) > FORM_RUNS else form


def write_texts(run: RunFolder, config: Config) -> None:
    """Sample texts, write them, show how they begin."""
    from seqaudio.decoding.text import unit_of

    unit = unit_of(run)
    for (seed, path), text in zip(pieces(config), texts(run, config), strict=True):
        with written(path):
            path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{path}: {len(unit.split(text)):,} {unit.name}s, seed {seed}")
        print(preview(text))
    warn_of_baseline(run)


def preview(text: str) -> str:
    """The beginning of a text, without control characters."""
    shown = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text[:PREVIEW])
    return shown.rstrip() + (" ..." if len(text) > PREVIEW else "")


def texts(run: RunFolder, config: Config) -> Iterator[str]:
    """Sample the texts one after the other. Raises OptionError for a prompt that the model cannot continue."""
    from seqaudio.decoding.text import TextTokens, unit_of
    from seqaudio.models.events import narrowed

    tokens, prompt = TextTokens(run.vocabulary, unit_of(run)), config.prompt or ""
    noun = f"{tokens.unit.name}s"
    try:
        primer = tokens.encode(prompt)
    except VocabularyError as error:
        raise OptionError(f"--prompt: {error}") from None
    if config.max_events is not None and len(primer) >= config.max_events:
        raise OptionError(
            f"--prompt of {len(primer):,} {noun} leaves no room within --max-events {config.max_events:,}; raise it"
        )
    if unseen := tokens.unseen(prompt):
        named = few(map(repr, unseen), NAMED)
        print(f"note: --prompt: the model has never seen {named}, and reads <unk>", file=sys.stderr)
    sampler = narrowed(run.model(), len(tokens.tokens)).sampler()
    for seeds in batches([seed for seed, _ in pieces(config)]):
        streams = [stream(config, primer, seed)[0] for seed in seeds]
        for ids in drawn(sampler, config, tokens, streams):
            yield tokens.decode(ids, prompt)


def batches(seeds: Sequence[int]) -> Iterator[Sequence[int]]:
    """The seeds of pieces that are sampled together."""
    for start in range(0, len(seeds), AT_ONCE):
        yield seeds[start : start + AT_ONCE]


def stream(config: Config, primer: list[int], seed: int, plan: Plan | None = None) -> tuple[Stream, Bounds | None]:
    """The stream of a seed for `sample_many`, and its bounds; None where nothing is planned."""
    import torch

    from seqaudio.decoding.sampling import Stream

    generator = torch.Generator().manual_seed(seed)
    bounds = None if plan is None else plan.bounds(generator)
    planned = bounds is not None and bounds.end is not None
    most = config.max_events or (None if planned else MAX_EVENTS + len(primer))
    asked = Stream(
        generator,
        grammar=None if plan is None or bounds is None else plan.representation.bounded(bounds),
        primer=primer,
        max_events=most,
        minimum_events=0 if planned else min(len(primer) + MIN_EVENTS, most or 0),
    )
    return asked, bounds


def drawn(sampler: Sampler, config: Config, representation: Tokens, streams: Sequence[Stream]) -> list[list[int]]:
    """The ids of pieces, those of the primer first. Raises OptionError for an unfit primer."""
    from seqaudio.decoding.sampling import sample_many

    try:
        return sample_many(sampler, representation, streams, config.options)
    except ValueError as error:
        raise OptionError(str(error)) from None


@dataclass(frozen=True)
class Composed:
    """A piece of music as it is written."""

    seed: int
    notes: NoteSequence
    ids: list[int]  # its tokens, those of the primer first, without BOS and EOS
    kept: list[KeptWish]  # how far it is what was asked for
    form: Form | None = None  # where it was to have one, that which it has

    @property
    def remarks(self) -> list[str]:
        """How far it is what was asked for, and its form, each in a line where there is something to tell."""
        from seqaudio.decoding.kept_wishes import described
        from seqaudio.tokens.forms import returning, spelt

        lines = [described(self.kept)] if self.kept else []
        if self.form is not None:
            lines.append(f"form {shortened(spelt(self.form))}: {returning(self.form)} of {len(self.form)} bars return")
        return lines


class Composer:
    """A model of music and the plan of its pieces. Raises OptionError for wishes or a primer that do not fit it."""

    def __init__(self, run: RunFolder, config: Config) -> None:
        from seqaudio.decoding.plan import Plan
        from seqaudio.models.events import narrowed

        self.config = config
        self.conditions = conditions_for(run, config)
        self.representation = representation_of(run)
        primer = read_primer(config)
        self.primer_ids = encode_primer(self.representation, primer, config)
        self.plan = Plan(
            self.representation, repertoire_of(run), wishes(config), primer, self.primer_ids, forms_of(run)
        )
        self.model = narrowed(run.model(), len(self.representation.tokens))
        if self.conditions is not None:
            ask(run, self.model, self.conditions, self.plan)
        self.sampler = self.model.sampler()

    def compose(self, seeds: Sequence[int]) -> list[Composed]:
        """The pieces of some seeds, each as it comes alone. Raises OptionError for an unfit primer."""
        found = []
        for batch in batches(seeds):
            streams, bounds = zip(
                *(stream(self.config, self.primer_ids, seed, self.plan) for seed in batch), strict=True
            )
            ids = drawn(self.sampler, self.config, self.representation, streams)
            found += [self._composed(*piece) for piece in zip(batch, ids, bounds, strict=True)]
        return found

    def tokens(self, seed: int) -> Iterator[int]:
        """The tokens of the piece of a seed as they are drawn, after those of the primer; the last is EOS.

        Raises OptionError for an unfit primer.
        """
        from seqaudio.decoding.sampling import events_of

        asked, _ = stream(self.config, self.primer_ids, seed, self.plan)
        try:
            for _, token in events_of(self.sampler, self.representation, [asked], self.config.options):
                yield token
        except ValueError as error:
            raise OptionError(str(error)) from None

    def _composed(self, seed: int, ids: list[int], bounds: Bounds | None) -> Composed:
        from seqaudio.decoding.kept_wishes import kept_wishes
        from seqaudio.notes.keys import with_key
        from seqaudio.tokens.forms import form_of_ids

        config, plan = self.config, self.plan
        notes = self.representation.decode(ids)
        if bounds is not None and not bounds.may_end(notes.last_tick):
            print(
                f"warning: a piece was cut off at --max-events {config.max_events:,}, before its last bar; raise that, "
                f"or give fewer --bars",
                file=sys.stderr,
            )
        played = with_key(plan.played(notes))
        form = None if bounds is None or bounds.form is None else form_of_ids(self.representation, ids)
        kept = kept_wishes(plan, bounds, notes, played, form, self.conditions)
        return Composed(seed, self._new(notes, played) if config.without_primer else played, ids, kept, form)

    def _new(self, sampled: NoteSequence, played: NoteSequence) -> NoteSequence:
        """The piece without its primer. Raises OptionError where nothing comes after it."""
        from seqaudio.decoding.continuation import without_primer
        from seqaudio.decoding.kept_wishes import of_primer

        primer = self.plan.primer
        assert primer is not None  # the options are checked
        own = of_primer(self.plan, primer, sampled)
        try:
            return without_primer(played, own, self.representation.ends_on_bars)
        except ValueError as error:
            raise OptionError(f"--without-primer: {error}; ask for more --bars, or give another --seed") from None


def generate(run: RunFolder, config: Config) -> Iterator[NoteSequence]:
    """The pieces of music that the options ask for, one after the other. Raises OptionError for an unfit primer."""
    if run.recipe == ROLLS:
        from seqaudio.notes.keys import with_key

        yield from map(with_key, rolls(run, config))
        return
    composer = Composer(run, config)
    for seeds in batches([seed for seed, _ in pieces(config)]):
        yield from (piece.notes for piece in composer.compose(seeds))


def rolls(run: RunFolder, config: Config) -> Iterator[NoteSequence]:
    """Pieces sampled frame by frame. Raises OptionError for a primer that leaves no room."""
    import numpy as np
    import torch

    from seqaudio.decoding.sampling import sample_roll
    from seqaudio.tokens import RollRepresentation, build_representation

    settings = run.input_setting("representation", dict[str, Any])
    representation = build_representation(str(settings.pop("name", "")), settings)
    assert isinstance(representation, RollRepresentation)  # a store of rolls has no other
    given = read_primer(config)
    primer = None if given is None else representation.encode(given)
    if primer is not None and not primer.any():
        raise unfit_primer(config, representation)
    quarter = representation.steps_per_quarter * representation.frames_per_step
    frames = (config.bars or ROLL_BARS) * 4 * quarter
    if primer is not None and len(primer) >= frames:
        raise OptionError(
            f"--primer {config.primer}: its {len(primer) / quarter:g} quarters leave no room within "
            f"{frames // quarter}; give more --bars, which have four quarters each"
        )
    model = run.model()
    for seed, _ in pieces(config):
        generator = torch.Generator().manual_seed(seed)
        roll = sample_roll(
            model, representation, generator=generator, frames=frames, temperature=config.temperature, primer=primer
        )
        if primer is not None and config.without_primer:
            roll = roll[len(primer) :]
        notes = representation.decode(roll)
        tempo = given.tempo[:1] if given is not None else notes.tempo
        yield replace(notes, tempo=tempo if config.tempo is None else np.array([round(60e6 / config.tempo)]))


def wishes(config: Config) -> Wishes:
    """The wishes that the options state. Raises OptionError for an invalid metre or key."""
    from seqaudio.decoding.plan import Wishes
    from seqaudio.midi.programs import instruments_named
    from seqaudio.tokens.repertoire import metre_named

    return Wishes(
        bars=config.bars,
        tempo=None if config.tempo is None else round(60e6 / config.tempo),
        metre=None if config.metre is None else metre_named(config.metre, "--metre"),
        program=config.program,
        instruments=() if config.instruments is None else instruments_named(config.instruments),
        key=key_of(config.key),
        wild=config.wild,
        form=None if config.form is None else form_asked(config.form),
        density=config.density,
    )


def key_of(name: str | None) -> KeySignature | None:
    """The key of `--key`. Raises OptionError for a name of none."""
    from seqaudio.notes.keys import key_named

    try:
        return None if name is None else key_named(name)
    except ValueError as error:
        raise OptionError(f"--key {error}") from None


def form_asked(form: str) -> str:
    """A form as `Wishes` has it. Raises OptionError for an invalid one."""
    from seqaudio.decoding.plan import DRAWN, FREE

    if form in (DRAWN, FREE):
        return form
    if not (form.isascii() and form.isalpha() and len(form) <= MOST_GROUPS):
        raise OptionError(f"--form {form!r}, expected drawn, free, or letters of equal groups of bars such as AABA")
    return form.upper()


def conditions_for(run: RunFolder, config: Config) -> Conditions | None:
    """The conditions of the model, or None. Raises OptionError for a density where it is not conditioned on that."""
    from seqaudio.evaluation.music.conditioned import conditions_of

    conditions = conditions_of(run)
    if config.density is not None and (conditions is None or "density" not in conditions.names):
        raise OptionError(
            f"--density {config.density}: {run.path} is not conditioned on density; leave it out, or train a run "
            f"with --conditions density"
        )
    return conditions


def ask(run: RunFolder, model: Model, conditions: Conditions, plan: Plan) -> None:
    """Tell the model what is asked for. Raises RunError for a model that does not take the conditions of its run."""
    from seqaudio.decoding.asked import asked_values
    from seqaudio.models import EventModel

    try:
        if not isinstance(model, EventModel):
            raise ValueError(f"a {type(model).__name__} takes no conditions")
        model.ask(asked_values(conditions, plan))
    except ValueError as error:
        raise RunError(f"{run.path / 'config.json'}: damaged ({error})") from None


def repertoire_of(run: RunFolder) -> Repertoire | None:
    """The statistics of its training pieces; None for a run, or a store, that was made without them."""
    from seqaudio.tokens.repertoire import Repertoire

    found: Repertoire | None = run.input_setting("repertoire", Repertoire | None)
    return found


def forms_of(run: RunFolder) -> Forms | None:
    """The forms of its training pieces; None for a run that was made without them."""
    from seqaudio.tokens.forms import Forms

    found: Forms | None = run.input_fact("forms", Forms | None)
    return found


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


def representation_of(run: RunFolder) -> TokenRepresentation:
    """The representation that the run was trained on. Raises RunError where it is not one of tokens."""
    from seqaudio.tokens import TokenRepresentation, build_representation

    settings = run.input_setting("representation", dict[str, Any])
    representation = build_representation(str(settings.pop("name", "")), settings)
    if not isinstance(representation, TokenRepresentation):
        raise RunError(
            f"{run.path}: trained on {representation.name}, which has no tokens to sample; "
            f"use a run that was trained on tokens, such as melody"
        )
    return representation


def read_primer(config: Config) -> NoteSequence | None:
    """The primer, or None without one. Raises MidiError for a file that cannot be read or is too long."""
    if config.primer is None:
        return None
    from seqaudio.midi import read_midi
    from seqaudio.prepare.music.midi_rows import check_length

    notes = read_midi(config.primer)
    check_length(config.primer, notes)
    return notes


def unfit_primer(config: Config, representation: Representation) -> OptionError:
    """The error for a primer that is empty in the representation of the run, such as one of drums alone."""
    return OptionError(
        f"--primer {config.primer}: has no notes that {representation.name} can represent; give another MIDI file"
    )


def encode_primer(representation: Representation, primer: NoteSequence | None, config: Config) -> list[int]:
    """Token ids of the primer; empty without one. Raises OptionError for a primer without notes to represent."""
    if primer is None:
        return []
    ids: list[int] = representation.encode(primer).tolist()
    if not ids:
        raise unfit_primer(config, representation)
    ids = ids[: config.primer_events]
    if config.max_events is not None and len(ids) >= config.max_events:
        raise OptionError(
            f"--primer {config.primer}: its {len(ids):,} tokens leave no room within --max-events "
            f"{config.max_events:,}; raise that, or continue its beginning alone, as with "
            f"--primer-events {max(1, config.max_events // 2)}"
        )
    return ids


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
    if recipe not in (MUSIC, ROLLS, TEXT):
        raise RunError(f"{config.run}: a run of {recipe!r}, generating needs one of {MUSIC!r}, {ROLLS!r} or {TEXT!r}")
    check_sampling(config)
    for name in ("max_events", "count", "primer_events", "bars"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise OptionError(f"{spelt(name)} {value}, expected at least 1")
    if config.without_primer and config.primer is None:
        raise OptionError("--without-primer leaves out the notes of a primer; give one by --primer")
    if config.program is not None and config.instruments is not None:
        raise OptionError("--program and --instruments exclude each other; give one of them")
    other, suffix, wrong = ("music", ".txt", ".mid") if recipe == TEXT else ("text", ".mid", ".txt")
    for name in OF_MUSIC if recipe == TEXT else ("prompt",):
        if is_given(config, name):
            raise OptionError(f"{spelt(name)} is for {other}, {config.run} is a run of {recipe!r}; leave it out")
    for name in OF_TOKENS if recipe == ROLLS else ():
        if is_given(config, name):
            raise OptionError(f"{spelt(name)} is for tokens, {config.run} is a model of piano rolls; leave it out")
    if config.primer_events is not None and config.primer is None:
        raise OptionError("--primer-events shortens a primer; give one by --primer")
    if is_live(config):
        for name in OF_FILES:
            if is_given(config, name):
                raise OptionError(f"{spelt(name)} is for files, --live and --port play; leave one of them out")
        return
    out = target(config)
    if out.suffix.lower() == wrong:
        raise OptionError(f"--out {out} is for {other}, {config.run} is a run of {recipe!r}; write {suffix}")
    if recipe == ROLLS:
        check_output("--out", out, suffix, force=True)  # rolls have no folder
    check_files(config, suffix, config.primer)


def is_given(config: Config, name: str) -> bool:
    """Whether an option stands on the command line; 0 is a value, not the absence of one."""
    value = getattr(config, name)
    return value is not None and value is not False


def check_sampling(options: SamplingOptions) -> None:
    """Raise OptionError for options of the sampling out of their range."""
    if wrong := options.out_of_range():
        name, _, rest = wrong.partition(" ")
        raise OptionError(f"{spelt(name)} {rest}")


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


def spelt(name: str) -> str:
    """An option as it stands on a command line."""
    return f"--{name.replace('_', '-')}"


def describe_model(run: RunFolder) -> str:
    """Version and hash of the weights, for a text event in the MIDI file."""
    from seqaudio.files import sha256_of

    digest = sha256_of(run.path / "model.safetensors")[:16] if (run.path / "model.safetensors").is_file() else "none"
    return f"seqaudio {__version__}; model {digest}"


def command(name: str) -> str:
    """The command of this process, quoted for a shell."""
    return shlex.join(["seqaudio", *sys.argv[1:]]) if sys.argv[1:2] == [name] else f"seqaudio {name}"
