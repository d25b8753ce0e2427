"""Music and text from the models of runs, as the options ask for it: what the command and Python share.

Torch and the rooms that need it are imported when something is sampled, so that options are refused before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seqaudio.api.asked import ROLLS, Asked
from seqaudio.errors import OptionError, RunError, VocabularyError
from seqaudio.terminal import few

if TYPE_CHECKING:
    from seqaudio.decoding.kept_wishes import KeptWish
    from seqaudio.decoding.plan import Plan, Wishes
    from seqaudio.decoding.sampling import Stream, Tokens
    from seqaudio.models import Model
    from seqaudio.models.sampler import Sampler
    from seqaudio.notes import NoteSequence
    from seqaudio.notes.sequence import KeySignature
    from seqaudio.run_folder import RunFolder
    from seqaudio.tokens import Representation
    from seqaudio.tokens.bounds import Bounds
    from seqaudio.tokens.conditions import Conditions
    from seqaudio.tokens.forms import Form

MIN_EVENTS = 32  # before a model may end a piece; it could end at once, in an empty file
ROLL_BARS = 16  # of four quarters, with the primer, by default
MOST_GROUPS = 32  # letters of a form
MAX_EVENTS = 1000  # by default, after a primer or a prompt, where no end is planned
NAMED = 10  # words in a message
FORM_RUNS = 40  # runs of bars of a form that are printed
AT_ONCE = 64  # pieces that are sampled together; more fill the caches and win nothing


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
    """A model of music and the plan of its pieces.

    given: the primer, in place of the file that the options name.
    Raises OptionError for wishes or a primer that do not fit the model.
    """

    def __init__(self, run: RunFolder, options: Asked, given: NoteSequence | None = None) -> None:
        from seqaudio.decoding.plan import Plan
        from seqaudio.decoding.trained_music import forms_of, repertoire_of, representation_of
        from seqaudio.models.events import narrowed

        self.options = options
        self.conditions = conditions_for(run, options)
        self.representation = representation_of(run)
        primer = read_primer(options) if given is None else given
        self.primer_ids = encode_primer(self.representation, primer, options)
        self.plan = Plan(
            self.representation, repertoire_of(run), wishes(options), primer, self.primer_ids, forms_of(run)
        )
        self.model = narrowed(run.model(), len(self.representation.tokens))
        if self.conditions is not None:
            ask(run, self.model, self.conditions, self.plan)
        self.sampler = self.model.sampler(options.int8)

    def compose(self, seeds: Sequence[int]) -> list[Composed]:
        """The pieces of some seeds, each as it comes alone. Raises OptionError for an unfit primer."""
        found = []
        for batch in batches(seeds):
            streams, bounds = zip(
                *(stream(self.options, self.primer_ids, seed, self.plan) for seed in batch), strict=True
            )
            ids = drawn(self.sampler, self.options, self.representation, streams)
            found += [self._composed(*piece) for piece in zip(batch, ids, bounds, strict=True)]
        return found

    def tokens(self, seed: int) -> Iterator[int]:
        """The tokens of the piece of a seed as they are drawn, after those of the primer; the last is EOS.

        Raises OptionError for an unfit primer.
        """
        from seqaudio.decoding.sampling import events_of

        asked, _ = stream(self.options, self.primer_ids, seed, self.plan)
        try:
            for _, token in events_of(self.sampler, self.representation, [asked], self.options.options):
                yield token
        except ValueError as error:
            raise OptionError(str(error)) from None

    def _composed(self, seed: int, ids: list[int], bounds: Bounds | None) -> Composed:
        from seqaudio.decoding.kept_wishes import kept_wishes
        from seqaudio.notes.keys import with_key
        from seqaudio.tokens.forms import form_of_ids

        options, plan = self.options, self.plan
        notes = self.representation.decode(ids)
        if bounds is not None and not bounds.may_end(notes.last_tick):
            print(
                f"warning: a piece was cut off at --max-events {options.max_events:,}, before its last bar; raise that,"
                f" or give fewer --bars",
                file=sys.stderr,
            )
        played = with_key(plan.played(notes))
        form = None if bounds is None or bounds.form is None else form_of_ids(self.representation, ids)
        kept = kept_wishes(plan, bounds, notes, played, form, self.conditions)
        return Composed(seed, self._new(notes, played) if options.without_primer else played, ids, kept, form)

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


def music(
    run: RunFolder, options: Asked, seeds: Sequence[int], given: NoteSequence | None = None
) -> Iterator[Composed]:
    """The pieces of music of some seeds, one after the other.

    given: the primer, in place of the file that the options name.
    Raises OptionError for an unfit primer.
    """
    if run.recipe == ROLLS:
        from seqaudio.notes.keys import with_key

        for seed, notes in zip(seeds, rolls(run, options, seeds, given), strict=True):
            yield Composed(seed, with_key(notes), [], [])
        return
    composer = Composer(run, options, given)
    for batch in batches(seeds):
        yield from composer.compose(batch)


def stream(options: Asked, primer: list[int], seed: int, plan: Plan | None = None) -> tuple[Stream, Bounds | None]:
    """The stream of a seed for `sample_many`, and its bounds; None where nothing is planned."""
    import torch

    from seqaudio.decoding.sampling import Stream

    generator = torch.Generator().manual_seed(seed)
    bounds = None if plan is None else plan.bounds(generator)
    planned = bounds is not None and bounds.end is not None
    most = options.max_events or (None if planned else MAX_EVENTS + len(primer))
    asked = Stream(
        generator,
        grammar=None if plan is None or bounds is None else plan.representation.bounded(bounds),
        primer=primer,
        max_events=most,
        minimum_events=0 if planned else min(len(primer) + MIN_EVENTS, most or 0),
    )
    return asked, bounds


def drawn(sampler: Sampler, options: Asked, representation: Tokens, streams: Sequence[Stream]) -> list[list[int]]:
    """The ids of pieces, those of the primer first. Raises OptionError for an unfit primer."""
    from seqaudio.decoding.sampling import sample_many

    try:
        return sample_many(sampler, representation, streams, options.options)
    except ValueError as error:
        raise OptionError(str(error)) from None


def batches(seeds: Sequence[int]) -> Iterator[Sequence[int]]:
    """The seeds of pieces that are sampled together."""
    for start in range(0, len(seeds), AT_ONCE):
        yield seeds[start : start + AT_ONCE]


def rolls(
    run: RunFolder, options: Asked, seeds: Sequence[int], given: NoteSequence | None = None
) -> Iterator[NoteSequence]:
    """Pieces sampled frame by frame. Raises OptionError for a primer that leaves no room."""
    import numpy as np
    import torch

    from seqaudio.decoding.sampling import sample_roll
    from seqaudio.tokens import RollRepresentation, build_representation

    settings = run.input_setting("representation", dict[str, Any])
    representation = build_representation(str(settings.pop("name", "")), settings)
    assert isinstance(representation, RollRepresentation)  # a store of rolls has no other
    given = read_primer(options) if given is None else given
    primer = None if given is None else representation.encode(given)
    if primer is not None and not primer.any():
        raise unfit_primer(options, representation)
    quarter = representation.steps_per_quarter * representation.frames_per_step
    frames = (options.bars or ROLL_BARS) * 4 * quarter
    if primer is not None and len(primer) >= frames:
        raise OptionError(
            f"--primer {options.primer}: its {len(primer) / quarter:g} quarters leave no room within "
            f"{frames // quarter}; give more --bars, which have four quarters each"
        )
    model = run.model()
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        roll = sample_roll(
            model, representation, generator=generator, frames=frames, temperature=options.temperature, primer=primer
        )
        if primer is not None and options.without_primer:
            roll = roll[len(primer) :]
        notes = representation.decode(roll)
        tempo = given.tempo[:1] if given is not None else notes.tempo
        yield replace(notes, tempo=tempo if options.tempo is None else np.array([round(60e6 / options.tempo)]))


def texts(run: RunFolder, options: Asked, seeds: Sequence[int]) -> Iterator[str]:
    """Sample the texts one after the other. Raises OptionError for a prompt that the model cannot continue."""
    from seqaudio.decoding.text import TextTokens, unit_of
    from seqaudio.models.events import narrowed

    tokens, prompt = TextTokens(run.vocabulary, unit_of(run)), options.prompt or ""
    noun = f"{tokens.unit.name}s"
    try:
        primer = tokens.encode(prompt)
    except VocabularyError as error:
        raise OptionError(f"--prompt: {error}") from None
    if options.max_events is not None and len(primer) >= options.max_events:
        raise OptionError(
            f"--prompt of {len(primer):,} {noun} leaves no room within --max-events {options.max_events:,}; raise it"
        )
    if unseen := tokens.unseen(prompt):
        named = few(map(repr, unseen), NAMED)
        print(f"note: --prompt: the model has never seen {named}, and reads <unk>", file=sys.stderr)
    sampler = narrowed(run.model(), len(tokens.tokens)).sampler(options.int8)
    for batch in batches(seeds):
        streams = [stream(options, primer, seed)[0] for seed in batch]
        for ids in drawn(sampler, options, tokens, streams):
            yield tokens.decode(ids, prompt)


def wishes(options: Asked) -> Wishes:
    """The wishes that the options state. Raises OptionError for an invalid metre or key."""
    from seqaudio.decoding.plan import Wishes
    from seqaudio.midi.programs import instruments_named
    from seqaudio.tokens.repertoire import metre_named

    return Wishes(
        bars=options.bars,
        tempo=None if options.tempo is None else round(60e6 / options.tempo),
        metre=None if options.metre is None else metre_named(options.metre, "--metre"),
        program=options.program,
        instruments=() if options.instruments is None else instruments_named(options.instruments),
        key=key_of(options.key),
        wild=options.wild,
        form=None if options.form is None else form_asked(options.form),
        density=options.density,
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
        raise OptionError(
            f"--form {few([repr(form)], 1)}, expected drawn, free, or letters of equal groups of bars such as AABA"
        )
    return form.upper()


def conditions_for(run: RunFolder, options: Asked) -> Conditions | None:
    """The conditions of the model, or None. Raises OptionError for a density where it is not conditioned on that."""
    from seqaudio.evaluation.music.conditioned import conditions_of

    conditions = conditions_of(run)
    if options.density is not None and (conditions is None or "density" not in conditions.names):
        raise OptionError(
            f"--density {options.density}: {run.path} is not conditioned on density; leave it out, or train a run "
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


def read_primer(options: Asked) -> NoteSequence | None:
    """The primer, or None without one. Raises MidiError for a file that cannot be read or is too long."""
    if options.primer is None:
        return None
    from seqaudio.midi import read_midi
    from seqaudio.prepare.music.midi_rows import check_length

    notes = read_midi(options.primer)
    check_length(options.primer, notes)
    return notes


def unfit_primer(options: Asked, representation: Representation) -> OptionError:
    """The error for a primer that is empty in the representation of the run, such as one of drums alone."""
    return OptionError(
        f"--primer {options.primer}: has no notes that {representation.name} can represent; give another MIDI file"
    )


def encode_primer(representation: Representation, primer: NoteSequence | None, options: Asked) -> list[int]:
    """Token ids of the primer; empty without one. Raises OptionError for a primer without notes to represent."""
    if primer is None:
        return []
    ids: list[int] = representation.encode(primer).tolist()
    if not ids:
        raise unfit_primer(options, representation)
    ids = ids[: options.primer_events]
    if options.max_events is not None and len(ids) >= options.max_events:
        raise OptionError(
            f"--primer {options.primer}: its {len(ids):,} tokens leave no room within --max-events "
            f"{options.max_events:,}; raise that, or continue its beginning alone, as with "
            f"--primer-events {max(1, options.max_events // 2)}"
        )
    return ids


def shortened(form: str) -> str:
    """The beginning of a form; behind a long primer all of it would fill the screen."""
    runs = form.split(" ")
    return " ".join([*runs[:FORM_RUNS], "..."]) if len(runs) > FORM_RUNS else form
