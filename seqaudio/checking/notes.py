"""What was understood of a store of notes, and whether it is enough to train on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from seqaudio.checking.contents import Contents
from seqaudio.checking.copies import check_duplicates, check_leaks
from seqaudio.checking.music import Piece, music_of
from seqaudio.checking.report import Finding, Level
from seqaudio.ledger import LedgerEntry, Reason, Status
from seqaudio.midi.writing import instrument_name
from seqaudio.notes.bars import COMMON_TIME
from seqaudio.notes.keys import estimate_key, key_name
from seqaudio.prepare.music.near_duplicates import clusters

FEW_NOTES = 20_000  # of training, some 30 minutes of piano; with fewer a net learns the pieces by heart
FEW_PIECES = 50  # of training: their number counts as well as their length
MANY_NOTES = 150_000  # of training: from here on nets of the usual size stop learning by heart
FEW_HELD_OUT = 10  # pieces of validation: with fewer, chance chooses the model
MANY_REFUSED = 0.05  # share of inputs
LONG = 20.0  # times the median length
SHOWN = 4  # names in a sentence

# why files were left out, in words that follow a number
WORDS = {
    Reason.MISSING: "not there",
    Reason.UNREADABLE: "not to be opened",
    Reason.EMPTY: "without a byte",
    Reason.NOT_MIDI: "no MIDI",
    Reason.TRUNCATED: "cut off",
    Reason.DAMAGED: "damaged",
    Reason.TOO_LONG: "too long",
    Reason.TOO_SHORT: "too short",
    Reason.NO_NOTES: "without notes",
    Reason.PERCUSSION_ONLY: "with percussion alone",
    Reason.OTHER_PARTS: "for other parts",
    Reason.PARSER_CRASHED: "that crashed the parser",
    Reason.PARSER_TIMEOUT: "that took the parser too long",
    Reason.DUPLICATE: "like another",
    Reason.UNEXPECTED_NAME: "of a name without a split",
}


def check_files(contents: Contents) -> Finding:
    """What became of the files, with the reasons of those that were left out."""
    entries = contents.ledger
    if not entries:
        return Finding("files", Level.NOTE, "there is no ledger.tsv, so nothing tells what was left out")
    kept = [entry for entry in entries if entry.status is Status.KEPT]
    lost = [entry for entry in entries if entry.status is not Status.KEPT]
    songs = sum(entry.rows for entry in kept)
    told = f"{len(kept):,} of {len(entries):,} inputs are kept, {_count(songs, 'piece')}"
    remarked = sum(bool(entry.detail) for entry in kept)
    if remarked:
        told += f"; {_count(remarked, 'input has a remark', 'inputs have remarks')} in ledger.tsv"
    if not lost:
        return Finding("files", Level.GOOD, told)
    reasons = Counter(entry.reason for entry in lost)
    parts = [f"{count:,} {WORDS.get(reason, f'({reason})')}" for reason, count in reasons.most_common()]
    on_purpose = reasons[Reason.DUPLICATE] + reasons[Reason.OTHER_PARTS]
    level = Level.WARNING if len(lost) - on_purpose > MANY_REFUSED * len(entries) else Level.NOTE
    return Finding("files", level, f"{told}. Left out: {', '.join(parts)}", tuple(map(_named, lost)))


def check_amount_of_music(contents: Contents) -> Finding:
    """Whether there is enough to train on and to choose by; for little, what to do."""
    music = music_of(contents)
    train, valid = music.part("train"), music.part("valid")
    notes = _notes_of(train)
    minutes = sum(piece.seconds for piece in train) / 60
    told = f"{_count(len(train), 'piece')}, {minutes:,.0f} minutes and about {notes:,} notes to train on"
    start = f"seqaudio train music_generation --start-from RUN --store {contents.store.path.name}"
    little = notes < FEW_NOTES or len(train) < FEW_PIECES
    larger = (
        "Train on a larger corpus first, in the same representation (`seqaudio prepare nottingham`, `maestro`), "
        f"then go on from that run: `{start}`"
    )
    if missing := [split for split, pieces in (("train", train), ("valid", valid)) if not pieces]:
        verdict = (
            f"no piece is in the split {' or '.join(missing)}; a training needs both. Add pieces, or prepare a folder "
            "of your own with --test-percent 0 or another --valid-percent"
        )
        return Finding("amount", Level.FAULT, f"{verdict}. {larger}" if little else verdict)
    if little:
        verdict = f"{told}, which a net of its own would learn by heart. {larger}"
        return Finding("amount", Level.WARNING, verdict)
    if len(valid) < FEW_HELD_OUT:
        verdict = f"{told}, but {_count(len(valid), 'piece')} to choose the model by: which is best is left to chance"
        return Finding("amount", Level.WARNING, verdict)
    if notes < MANY_NOTES:
        verdict = (
            f"{told}: enough for a small net with dropout; a larger one profits from a run on more music: `{start}`"
        )
        return Finding("amount", Level.NOTE, verdict)
    return Finding("amount", Level.GOOD, f"{told}: enough")


def check_versions(contents: Contents) -> Finding:
    """Whether versions of one piece are in several splits: transposed, rearranged, slightly edited."""
    music = music_of(contents)
    pieces = {piece.name: piece for piece in music.pieces}
    known = {name: piece.identity for name, piece in pieces.items() if piece.identity is not None}
    groups = [group for group in clusters(known) if len(group) > 1]
    crossing = [group for group in groups if len({pieces[name].split for name in group}) > 1]
    if not crossing:
        told = (
            f"; {_count(len(groups), 'piece comes', 'pieces come')} in several versions, each within one split"
            if groups
            else ""
        )
        return Finding("versions", Level.GOOD, f"no melody is in two splits{told}{music.sampled}")
    tested = sum(pieces[name].split == "test" for group in crossing for name in group)
    return Finding(
        "versions",
        Level.WARNING,
        f"{_count(len(crossing), 'melody is', 'melodies are')} in several splits, {_count(tested, 'piece')} of the "
        f"test among them; a score on those measures memory. A folder of your own is split by content; published "
        f"splits are as they are, and --clean leaves versions out{music.sampled}",
        tuple(map(_listed, crossing)),
    )


def check_lengths(contents: Contents) -> Finding:
    """How long the pieces are, and whether some are empty, out of proportion or cannot be read back."""
    music = music_of(contents)
    empty = tuple(piece.id for piece in music.pieces if not piece.steps)
    if empty:
        return Finding("pieces", Level.FAULT, f"{_count(len(empty), 'row has', 'rows have')} no step at all", empty)
    if music.illegal:
        rows = _count(len(music.illegal), "row is", "rows are")
        verdict = f"{rows} not what {music.representation.name} writes; prepare the store again"
        return Finding("pieces", Level.FAULT, verdict, tuple(music.illegal))
    seconds = np.array([piece.seconds for piece in music.pieces])
    median = float(np.median(seconds))
    steps = int(np.median([piece.steps for piece in music.pieces]))
    what = "frames" if contents.store.kind == "roll" else "tokens"
    told = (
        f"{_clock(seconds.min())} to {_clock(seconds.max())}, half of them below {_clock(median)} or {steps:,} {what}"
    )
    long = tuple(f"{piece.id} ({_clock(piece.seconds)})" for piece in music.pieces if piece.seconds > LONG * median)
    if long:
        many = _count(len(long), "is", "are")
        verdict = f"{told}; {many} more than {LONG:g} times longer than that, enough to outweigh the others"
        return Finding("pieces", Level.NOTE, verdict, long)
    return Finding("pieces", Level.GOOD, told)


def check_keys(contents: Contents) -> Finding:
    """In which keys the pieces are, by what sounds in them."""
    music = music_of(contents)
    found = Counter(key_name(key) for _, notes in music.heard if (key := estimate_key(notes)) is not None)
    told = f"{_ranked(found)} by their notes{music.sampled}"
    given = Counter(facts.keys[0] for facts in music.told if facts.keys)
    if given:
        told += f"; {_count(sum(given.values()), 'file names', 'files name')} one, {_ranked(given)}"
    if len(found) == 1 and len(music.heard) > 1:
        return Finding("keys", Level.NOTE, f"all in one key, {told}: what is composed will be in it")
    return Finding("keys", Level.GOOD, told)


def check_metres(contents: Contents) -> Finding:
    """In which metres the pieces are."""
    told = music_of(contents).told
    if not told:
        return Finding("metres", Level.GOOD, "not kept: the corpus, or its representation, has none")
    common = f"{COMMON_TIME.numerator}/{COMMON_TIME.denominator}"
    found = Counter(facts.metres[0] if facts.metres else common for facts in told)
    silent = sum(not facts.metres for facts in told)
    changing = sum(len(facts.metres) > 1 for facts in told)
    verdict = _ranked(found)
    if silent:
        verdict += f"; {_files(silent, len(told), 'names', 'name')} none, which means {common}"
    if changing:
        verdict += f"; {_files(changing, len(told), 'changes', 'change')} it"
    return Finding("metres", Level.GOOD, verdict)


def check_tempi(contents: Contents) -> Finding:
    """How fast the pieces are, and whether anybody said so."""
    told = music_of(contents).told
    if not told:
        return Finding("tempi", Level.GOOD, "not kept: the corpus, or its representation, has none")
    slowest, fastest = min(facts.slowest for facts in told), max(facts.fastest for facts in told)
    median = float(np.median([(facts.slowest * facts.fastest) ** 0.5 for facts in told]))
    changing = sum(facts.slowest != facts.fastest for facts in told)
    if slowest == fastest:
        verdict = f"{slowest:g} quarters a minute in every file"
        if slowest == 120:
            verdict += ", which is what a file means that names no tempo"
        return Finding("tempi", Level.GOOD, verdict)
    verdict = f"{slowest:,.0f} to {fastest:,.0f} quarters a minute, half of the files below {median:,.0f}"
    if changing:
        verdict += f"; {_files(changing, len(told), 'changes', 'change')} it"
    return Finding("tempi", Level.GOOD, verdict)


def check_instruments(contents: Contents) -> Finding:
    """Which instruments play, and whether the tokens tell them."""
    told = music_of(contents).told
    if not told:
        return Finding("instruments", Level.GOOD, "not kept: the corpus, or its representation, has none")
    found = Counter(instrument_name(program, drum=False) for facts in told for program in facts.programs)
    percussion = sum(facts.percussion for facts in told)
    verdict = _ranked(found)
    if percussion:
        verdict += f"; {_files(percussion, len(told), 'has', 'have')} percussion as well"
    if len(found) > 1 or percussion:
        return Finding("instruments", Level.NOTE, f"{verdict}. Most representations write all parts as one piano")
    return Finding("instruments", Level.GOOD, verdict)


def check_dynamics(contents: Contents) -> Finding:
    """Whether the notes differ in loudness, and how many there are at once."""
    music = music_of(contents)
    heard = [notes for _, notes in music.heard if len(notes)]
    if not heard:
        return Finding("notes", Level.FAULT, "no piece has a note")
    pitch = np.concatenate([notes.pitch for notes in heard])
    velocity = np.concatenate([notes.velocity for notes in heard])
    seconds = sum(notes.duration for notes in heard)
    low, middle, high = np.percentile(pitch, [1, 50, 99])
    told = f"pitches mostly {low:.0f} to {high:.0f}, around {middle:.0f}; {len(pitch) / seconds:.1f} notes a second"
    if velocity.min() == velocity.max():
        return Finding("notes", Level.GOOD, f"{told}; every note as loud as any other{music.sampled}")
    spread = f"velocities mostly {np.percentile(velocity, 5):.0f} to {np.percentile(velocity, 95):.0f}"
    return Finding("notes", Level.GOOD, f"{told}; {spread}{music.sampled}")


NOTES = (
    check_leaks,
    check_versions,
    check_duplicates,
    check_amount_of_music,
    check_files,
    check_lengths,
    check_keys,
    check_metres,
    check_tempi,
    check_instruments,
    check_dynamics,
)


def _notes_of(pieces: Sequence[Piece]) -> int:
    """Notes in pieces, those that were not decoded reckoned by their steps."""
    heard = [(piece, len(piece.notes)) for piece in pieces if piece.notes is not None]
    steps = sum(piece.steps for piece, _ in heard)
    notes = sum(count for _, count in heard)
    return round(notes * sum(piece.steps for piece in pieces) / steps) if steps else 0


def _ranked(counts: Counter[str]) -> str:
    """The most frequent names with their counts."""
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    named = ", ".join(f"{name} ({count:,})" for name, count in ranked[:SHOWN])
    rest = sum(count for _, count in ranked[SHOWN:])
    return f"{named} and {_count(len(ranked) - SHOWN, 'other')} ({rest:,})" if rest else named


def _listed(names: Sequence[str]) -> str:
    """Names of equal pieces, not all of them where they are many."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return " = ".join(names[:SHOWN]) + more


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _files(number: int, total: int, does: str, do: str) -> str:
    """Such as `all files name`, `1 file names`, `7 files name`."""
    return f"all files {do}" if number == total else _count(number, f"file {does}", f"files {do}")


def _named(entry: LedgerEntry) -> str:
    return f"{entry.path} ({entry.reason})"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
