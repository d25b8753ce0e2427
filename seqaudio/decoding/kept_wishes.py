"""Measure how far a piece is what was asked for, on its written notes, and tell what the mask guarantees of that.

The mask of legal tokens guarantees the bars, their form, the key and, where tokens write them, the metre and the
instruments: no token that breaks them is ever drawn. Tempo, program and other metres are set when the notes are
written, whatever was sampled. A density is a wish to the model, which may write another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.decoding.plan import FREE, Plan
from seqaudio.midi.programs import DRUMS
from seqaudio.notes.bars import bars
from seqaudio.notes.keys import key_name, scale_of
from seqaudio.notes.sequence import KeySignature, NoteSequence
from seqaudio.tokens.bounds import Bounds
from seqaudio.tokens.conditions import Conditions, density_of
from seqaudio.tokens.forms import Form

BY_MASK = "guaranteed by the mask"


@dataclass(frozen=True)
class KeptWish:
    """Something that was asked for, and how much of the piece has it."""

    name: str  # the option
    asked: str
    share: float  # 0..1 of what `of` names; 1 where the piece has it altogether
    of: str  # such as 214 notes
    guaranteed: bool  # by the mask
    measured: str = ""  # what the piece has, in place of a share: of a wish to the model, or of a form without returns

    def __str__(self) -> str:
        if self.measured:
            return f"{self.name} {self.asked} ({self.measured})"
        # rounded down: 100 % is said of nothing less
        return f"{self.name} {self.asked} ({int(self.share * 1000) / 10:g} % of {self.of})"


def kept_wishes(
    plan: Plan,
    bounds: Bounds | None,
    sampled: NoteSequence,
    written: NoteSequence,
    form: Form | None = None,
    conditions: Conditions | None = None,
) -> list[KeptWish]:
    """Each wish of the plan, in the order bars, form, key, metre, tempo, program, instruments, density.

    Args:
        bounds: those within which the piece was sampled.
        sampled: the notes as decoded, those of the primer among them.
        written: the same notes as they are written.
        form: that of its tokens, where the bounds have one.
        conditions: that the model is told; a density is measured by their levels.
    """
    wishes, found = plan.wishes, list[KeptWish]()
    if wishes.bars is not None:
        count = len(list(bars(written)))
        share = min(count, wishes.bars) / max(count, wishes.bars)
        ends = bounds is not None and bounds.end is not None and bounds.may_end(sampled.last_tick)
        found.append(KeptWish("bars", str(wishes.bars), share, f"{count} bars", ends))
    if wishes.form not in (None, FREE) and form is not None and bounds is not None:
        share, count = in_form(plan, bounds, form)
        of = "bars that return" if plan.primer is None else "bars that return after the primer's own"
        ends = bounds.may_end(sampled.last_tick)
        found.append(KeptWish("form", wishes.form, share, f"{count:,} {of}", ends, "" if count else f"no {of}"))
    if wishes.key is not None:
        share, count = in_key(plan, wishes.key, sampled, written)
        of = "notes" if plan.primer is None else "notes after the primer's own"
        found.append(KeptWish("key", key_name(wishes.key), share, f"{count:,} {of}", True))
    if wishes.metre is not None:
        names = [bar.time_signature.name for bar in bars(written)]
        share = names.count(wishes.metre.name) / max(1, len(names))
        by_mask = bool(plan.representation.metre_ids) and bounds is not None and bounds.end is not None
        found.append(KeptWish("metre", wishes.metre.name, share, f"{len(names)} bars", by_mask))
    if wishes.tempo is not None:
        share = float((written.tempo == wishes.tempo).mean())
        found.append(KeptWish("tempo", f"{60e6 / wishes.tempo:.4g}", share, _count(len(written.tempo), "tempo"), False))
    if wishes.program is not None:
        programs = written.program[~written.is_drum]
        share = float((programs == wishes.program).mean()) if len(programs) else 1.0
        found.append(KeptWish("program", str(wishes.program), share, f"{len(programs):,} notes", False))
    if wishes.instruments:
        new = written if plan.primer is None else sampled.select(~of_primer(plan, plan.primer, sampled))
        if not plan.representation.writes_programs:
            new = written.select(~written.is_drum)
        parts = np.where(new.is_drum, DRUMS, new.program)
        share = float(np.isin(parts, plan.parts).mean()) if len(parts) else 1.0
        asked = ", ".join(one.name for one in wishes.instruments)
        of = f"{len(parts):,} {'notes' if len(new) == len(written) else 'new notes'}"
        found.append(KeptWish("instruments", asked, share, of, plan.representation.writes_programs))
    if wishes.density is not None and conditions is not None:
        density = density_of(sampled) or 0.0
        level = conditions.density_level(density)
        measured = f"{density:.3g} notes a quarter, which is {level}"
        found.append(KeptWish("density", wishes.density, float(level == wishes.density), "piece", False, measured))
    return found


def described(kept: Sequence[KeptWish]) -> str:
    """How far a piece is what was asked for, in one line."""
    parts: dict[str, list[str]] = {how: [] for how in (BY_MASK, "cut off", "set when written", "a wish to the model")}
    for wish in kept:
        if wish.guaranteed:
            how = BY_MASK
        elif wish.name in ("bars", "form"):  # the mask keeps them, unless the tokens end before
            how = "cut off"
        else:
            how = "a wish to the model" if wish.measured else "set when written"
        parts[how].append(str(wish))
    return "; ".join(f"{how}: {', '.join(wishes)}" for how, wishes in parts.items() if wishes)


def in_form(plan: Plan, bounds: Bounds, form: Form) -> tuple[float, int]:
    """The share of the bars that were to return which do, and their number: of all behind the primer's own."""
    wished = bounds.form or ()
    own = plan.reached * len(wished) // (bounds.end or 1) + bool(plan.reached)
    back = [(bar, first) for bar, first in enumerate(wished) if own <= first < bar]
    kept = sum(bar < len(form) and form[bar] == form[first] for bar, first in back)
    return (kept / len(back) if back else 1.0), len(back)


def in_key(plan: Plan, key: KeySignature, sampled: NoteSequence, written: NoteSequence) -> tuple[float, int]:
    """The share of the written notes in the scale of a key, and their number: of all but drums and the primer's own."""
    classes = np.bincount(written.pitch[~written.is_drum] % 12, minlength=12)
    if plan.primer is not None:
        own = sampled.select(of_primer(plan, plan.primer, sampled) & ~sampled.is_drum)
        classes = classes - np.bincount(own.pitch % 12, minlength=12)
    count = int(classes.sum())
    return (float(classes[list(scale_of(key))].sum() / count) if count else 1.0), count


def of_primer(plan: Plan, primer: NoteSequence, sampled: NoteSequence) -> npt.NDArray[np.bool_]:
    """[N] which sampled notes begin as a note of the primer does: a piece begins with the tokens of its primer."""
    own = plan.representation.quantise(primer)
    begun = set(zip(own.start_tick.tolist(), own.pitch.tolist(), strict=True))
    pairs = zip(sampled.start_tick.tolist(), sampled.pitch.tolist(), strict=True)
    found = np.array([pair in begun for pair in pairs], dtype=np.bool_)
    if plan.reached:  # only a part of the primer may be continued
        found &= sampled.start_tick <= plan.reached
    return found


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
