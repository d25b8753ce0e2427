"""Checks of a store of music: files, amount, versions of a piece, lengths, keys, time signatures, tempos, dynamics."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

import numpy as np

from seqaudio.checking.contents import Contents
from seqaudio.checking.copies import check_duplicates, check_leaks
from seqaudio.checking.music import Piece, music_of
from seqaudio.checking.report import Finding, Level, counted
from seqaudio.ledger import LedgerEntry, Reason, Status
from seqaudio.midi.writing import instrument_name
from seqaudio.notes.bars import COMMON_TIME
from seqaudio.notes.keys import estimate_key, key_name
from seqaudio.prepare.music.near_duplicates import clusters
from seqaudio.prepare.music.oddities import silence_before
from seqaudio.terminal import few
from seqaudio.tokens.loss import Loss, total_loss

FEW_NOTES = 20_000  # in training, some 30 minutes of piano; a network overfits to fewer
FEW_PIECES = 50  # in training: their number matters as well as their length
MANY_NOTES = 150_000  # in training: from here on networks of the usual size do not overfit
FEW_HELD_OUT = 10  # pieces for validation: with fewer, chance selects the model
MANY_REFUSED = 0.05  # share of inputs
MANY_MOVED = 0.1  # share of notes that a finer grid would hold
MUCH_SILENCE = 0.1  # share of a piece that lies before its first note
LONG = 20.0  # times the median length
SHOWN = 4  # names in a sentence

NOT_STORED = "unknown: the preparation of this store did not keep them"

# why files were left out, in words that follow a number
WORDS = {
    Reason.MISSING: "missing",
    Reason.UNREADABLE: "unreadable",
    Reason.EMPTY: "empty",
    Reason.NOT_MIDI: "not MIDI",
    Reason.TRUNCATED: "truncated",
    Reason.DAMAGED: "damaged",
    Reason.TOO_LONG: "too long",
    Reason.TOO_SHORT: "too short",
    Reason.NO_NOTES: "without notes",
    Reason.PERCUSSION_ONLY: "with percussion only",
    Reason.OTHER_PARTS: "with other voices than the representation needs",
    Reason.PARSER_CRASHED: "that crashed the parser",
    Reason.PARSER_TIMEOUT: "that took the parser too long",
    Reason.DUPLICATE: "with the same content as another",
    Reason.UNEXPECTED_NAME: "with a name that belongs to no split",
}


def check_files(contents: Contents) -> Finding:
    """How many files were kept, and why the others were left out."""
    entries = contents.ledger
    if not entries:
        return Finding("files", Level.NOTE, "there is no ledger.tsv, so it is unknown which files were left out")
    kept = [entry for entry in entries if entry.status is Status.KEPT]
    lost = [entry for entry in entries if entry.status is not Status.KEPT]
    songs = sum(entry.rows for entry in kept)
    summary = f"{len(kept):,} of {len(entries):,} inputs kept, {counted(songs, 'piece')}"
    remarked = sum(bool(entry.detail) for entry in kept)
    if remarked:
        summary += f"; {counted(remarked, 'input has a remark', 'inputs have remarks')} in ledger.tsv"
    if not lost:
        return Finding("files", Level.GOOD, summary)
    reasons = Counter(entry.reason for entry in lost)
    parts = [f"{count:,} {WORDS.get(reason, f'({reason})')}" for reason, count in reasons.most_common()]
    on_purpose = reasons[Reason.DUPLICATE] + reasons[Reason.OTHER_PARTS]
    level = Level.WARNING if len(lost) - on_purpose > MANY_REFUSED * len(entries) else Level.NOTE
    return Finding("files", level, f"{summary}. Left out: {', '.join(parts)}", tuple(map(_named, lost)))


def check_amount_of_music(contents: Contents) -> Finding:
    """Whether there is enough to train on and to select a model by; if not, what to do."""
    music = music_of(contents)
    train, valid = music.part("train"), music.part("valid")
    notes = _notes_of(train)
    minutes = sum(piece.seconds for piece in train) / 60
    summary = f"{counted(len(train), 'piece')}, {minutes:,.0f} minutes and about {notes:,} notes to train on"
    recipe = "polyphonic_music" if contents.store.kind == "roll" else "music_generation"
    start = f"seqaudio train {recipe} --start-from RUN --store {shlex.quote(str(contents.store.path))}"
    little = notes < FEW_NOTES or len(train) < FEW_PIECES
    larger = (
        "Train on a larger corpus first, in the same representation (`seqaudio prepare nottingham`, `maestro`), "
        f"then start from that run: `{start}`"
    )
    if missing := [split for split, pieces in (("train", train), ("valid", valid)) if not pieces]:
        verdict = (
            f"no pieces in the split {' or '.join(missing)}; training needs both train and valid. Add pieces, or "
            "prepare your folder again with --test-percent 0 or another --valid-percent"
        )
        return Finding("amount", Level.FAULT, f"{verdict}. {larger}" if little else verdict)
    if little:
        verdict = f"{summary}: a network trained on this alone would overfit. {larger}"
        return Finding("amount", Level.WARNING, verdict)
    if len(valid) < FEW_HELD_OUT:
        verdict = f"{summary}, but only {counted(len(valid), 'piece')} to validate on: chance would select the model"
        return Finding("amount", Level.WARNING, verdict)
    if notes < MANY_NOTES:
        verdict = f"{summary}: enough for a small network with dropout; start a larger one from more music: `{start}`"
        return Finding("amount", Level.NOTE, verdict)
    return Finding("amount", Level.GOOD, f"{summary}: enough")


def check_versions(contents: Contents) -> Finding:
    """Whether versions of one piece are in several splits: transposed, rearranged, slightly edited."""
    music = music_of(contents)
    pieces = {piece.name: piece for piece in music.pieces}
    known = {name: piece.identity for name, piece in pieces.items() if piece.identity is not None}
    groups = [group for group in clusters(known) if len(group) > 1]
    crossing = [group for group in groups if len({pieces[name].split for name in group}) > 1]
    if not crossing:
        within = (
            f"; {counted(len(groups), 'piece has', 'pieces have')} several versions, each within one split"
            if groups
            else ""
        )
        return Finding("versions", Level.GOOD, f"no melody is in more than one split{within}{music.sampled}")
    tested = sum(pieces[name].split == "test" for group in crossing for name in group)
    return Finding(
        "versions",
        Level.WARNING,
        f"{counted(len(crossing), 'melody is', 'melodies are')} in more than one split, with "
        f"{counted(tested, 'piece')} of the test split; scores on these measure memory. Preparing your own folder "
        f"keeps versions in one split; published splits are fixed, but --clean leaves versions out{music.sampled}",
        tuple(map(_listed, crossing)),
    )


def check_lengths(contents: Contents) -> Finding:
    """How long the pieces are, and whether some are empty, far too long, or cannot be decoded."""
    music = music_of(contents)
    empty = tuple(piece.id for piece in music.pieces if not piece.steps)
    if empty:
        return Finding("pieces", Level.FAULT, f"{counted(len(empty), 'row is', 'rows are')} empty", empty)
    if music.illegal:
        rows = counted(len(music.illegal), "row")
        verdict = f"{rows} cannot be decoded as {music.representation.name}; prepare the store again"
        return Finding("pieces", Level.FAULT, verdict, tuple(music.illegal))
    seconds = np.array([piece.seconds for piece in music.pieces])
    median = float(np.median(seconds))
    steps = int(np.median([piece.steps for piece in music.pieces]))
    what = "frames" if contents.store.kind == "roll" else "tokens"
    summary = f"{_clock(seconds.min())} to {_clock(seconds.max())}, median {_clock(median)} or {steps:,} {what}"
    long = tuple(f"{piece.id} ({_clock(piece.seconds)})" for piece in music.pieces if piece.seconds > LONG * median)
    if long:
        many = counted(len(long), "is", "are")
        verdict = (
            f"{summary}; {many} more than {LONG:g} times longer than the median, which gives long pieces much weight"
        )
        return Finding("pieces", Level.NOTE, verdict, long)
    return Finding("pieces", Level.GOOD, summary)


def check_keys(contents: Contents) -> Finding:
    """In which keys the pieces are, estimated from their notes and as their files give them."""
    music = music_of(contents)
    found = Counter(key_name(key) for _, notes in music.decoded if (key := estimate_key(notes)) is not None)
    if not found and music.decoded:
        return Finding("keys", Level.GOOD, f"no piece has pitched notes{music.sampled}")
    summary = f"{_ranked(found)}, estimated from the notes{music.sampled}"
    given = Counter(facts.keys[0] for facts in music.piece_facts if facts.keys)
    if given:
        summary += f"; {counted(sum(given.values()), 'file has a key signature', 'files have key signatures')}, "
        summary += _ranked(given)
    if len(found) == 1 and len(music.decoded) > 1:
        return Finding("keys", Level.NOTE, f"all pieces are in one key, so generated music will be too: {summary}")
    return Finding("keys", Level.GOOD, summary)


def check_time_signatures(contents: Contents) -> Finding:
    """Which time signatures the pieces have."""
    facts = music_of(contents).piece_facts
    if not facts:
        return Finding("time signatures", Level.GOOD, NOT_STORED)
    found = Counter(piece.time_signatures[0] if piece.time_signatures else COMMON_TIME.name for piece in facts)
    without = sum(not piece.time_signatures for piece in facts)
    changing = sum(len(piece.time_signatures) > 1 for piece in facts)
    verdict = _ranked(found)
    if without:
        verdict += f"; {_files(without, len(facts), 'has', 'have')} none, which means {COMMON_TIME.name}"
    if changing:
        verdict += f"; {_files(changing, len(facts), 'changes', 'change')} it"
    return Finding("time signatures", Level.GOOD, verdict)


def check_tempos(contents: Contents) -> Finding:
    """How fast the pieces are, and whether all have the default tempo."""
    facts = music_of(contents).piece_facts
    if not facts:
        return Finding("tempos", Level.GOOD, NOT_STORED)
    slowest, fastest = min(piece.slowest for piece in facts), max(piece.fastest for piece in facts)
    median = float(np.median([(piece.slowest * piece.fastest) ** 0.5 for piece in facts]))
    changing = sum(piece.slowest != piece.fastest for piece in facts)
    if slowest == fastest:
        verdict = f"{slowest:g} quarters a minute in every file"
        if slowest == 120:
            verdict += ", the default where a file gives no tempo"
        return Finding("tempos", Level.GOOD, verdict)
    verdict = f"{slowest:,.0f} to {fastest:,.0f} quarters a minute, median of the files {median:,.0f}"
    if changing:
        verdict += f"; {_files(changing, len(facts), 'changes', 'change')} it"
    return Finding("tempos", Level.GOOD, verdict)


def check_instruments(contents: Contents) -> Finding:
    """Which instruments the files have."""
    facts = music_of(contents).piece_facts
    if not facts:
        return Finding("instruments", Level.GOOD, NOT_STORED)
    found = Counter(instrument_name(program, drum=False) for piece in facts for program in piece.programs)
    percussion = sum(piece.percussion for piece in facts)
    if not found:
        return Finding("instruments", Level.GOOD, "drums alone")
    verdict = _ranked(found)
    if percussion:
        verdict += f"; {_files(percussion, len(facts), 'has', 'have')} percussion as well"
    if len(found) > 1 or percussion:
        return Finding("instruments", Level.NOTE, f"{verdict}. Most representations write all parts as one piano")
    return Finding("instruments", Level.GOOD, verdict)


def check_loss(contents: Contents) -> Finding:
    """Whether the representation left out, moved or rewrote notes of the pieces, as the preparation counted them."""
    music = music_of(contents)
    facts = music.piece_facts
    if not facts:
        return Finding("representation", Level.GOOD, NOT_STORED)
    losses = [piece.loss or Loss(piece.notes, piece.notes) for piece in facts]
    total = total_loss(losses)
    name = music.representation
    if not total:
        return Finding("representation", Level.GOOD, f"{name.spelt} holds every note where it was")
    moved = bool(total.grid) and total.moved > MANY_MOVED * total.kept
    verdict = "; ".join(total.remarks(name.spelt, name.keeps, name.instead))
    return Finding("representation", Level.WARNING if moved else Level.NOTE, verdict)


def check_silence(contents: Contents) -> Finding:
    """Whether pieces begin with a long silence, which a grid represents as rests."""
    music = music_of(contents)
    late = [(piece, notes, silence_before(notes)) for piece, notes in music.decoded]
    late = [entry for entry in late if entry[2]]
    if not late:
        return Finding("silence", Level.GOOD, f"every piece begins within a bar{music.sampled}")
    examples = tuple(f"{piece.id} ({quarters:,.4g} quarters)" for piece, _, quarters in late)
    share = max(float(notes.start[0]) / notes.duration for _, notes, _ in late)
    verdict = f"{counted(len(late), 'piece begins', 'pieces begin')} after more than a bar of silence{music.sampled}"
    if share > MUCH_SILENCE:
        verdict += f", up to {share:.0%} of the piece, which a model would learn; cut it from the file"
        return Finding("silence", Level.WARNING, verdict, examples)
    return Finding("silence", Level.NOTE, verdict, examples)


def check_drums(contents: Contents) -> Finding:
    """Whether tracks that are named like drums are read as pitched notes."""
    pieces = [piece for piece in music_of(contents).pieces if piece.facts is not None and piece.facts.unmarked_drums]
    if not pieces:
        return Finding("drums", Level.GOOD, "no track named like drums is read as pitched notes")
    names = Counter(name for piece in pieces if piece.facts is not None for name in piece.facts.unmarked_drums)
    listed = ", ".join(f"{name!r}" for name, _ in names.most_common(SHOWN))
    verdict = (
        f"{counted(len(pieces), 'piece has', 'pieces have')} a track named {listed} whose drums are read as pitched "
        "notes; move it to channel 10, the channel of drums, or leave it out"
    )
    return Finding("drums", Level.WARNING, verdict, tuple(piece.id for piece in pieces))


def check_dynamics(contents: Contents) -> Finding:
    """The pitches and velocities of the notes, and how many notes there are per second."""
    music = music_of(contents)
    pieces = [notes for _, notes in music.decoded if len(notes)]
    if not pieces:
        return Finding("notes", Level.FAULT, "no piece has a note")
    pitch = np.concatenate([notes.pitch for notes in pieces])
    velocity = np.concatenate([notes.velocity for notes in pieces])
    seconds = sum(notes.duration for notes in pieces)
    low, middle, high = np.percentile(pitch, [1, 50, 99])
    summary = (
        f"pitches mostly {low:.0f} to {high:.0f}, median {middle:.0f}; {len(pitch) / seconds:.1f} notes per second"
    )
    if velocity.min() == velocity.max():
        return Finding("notes", Level.GOOD, f"{summary}; all notes equally loud{music.sampled}")
    spread = f"velocities mostly {np.percentile(velocity, 5):.0f} to {np.percentile(velocity, 95):.0f}"
    return Finding("notes", Level.GOOD, f"{summary}; {spread}{music.sampled}")


NOTES = (
    check_leaks,
    check_versions,
    check_duplicates,
    check_amount_of_music,
    check_files,
    check_lengths,
    check_keys,
    check_time_signatures,
    check_tempos,
    check_instruments,
    check_loss,
    check_silence,
    check_drums,
    check_dynamics,
)


def _notes_of(pieces: Sequence[Piece]) -> int:
    """The number of notes in pieces, extrapolated by steps to those that were not decoded."""
    decoded = [(piece, len(piece.notes)) for piece in pieces if piece.notes is not None]
    steps = sum(piece.steps for piece, _ in decoded)
    notes = sum(count for _, count in decoded)
    return round(notes * sum(piece.steps for piece in pieces) / steps) if steps else 0


def _ranked(counts: Counter[str]) -> str:
    """The most frequent names with their counts."""
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    named = ", ".join(f"{name} ({count:,})" for name, count in ranked[:SHOWN])
    rest = sum(count for _, count in ranked[SHOWN:])
    return f"{named} and {counted(len(ranked) - SHOWN, 'other')} ({rest:,})" if rest else named


def _listed(names: Sequence[str]) -> str:
    """The names of equal pieces, shortened where they are many."""
    return few(names, SHOWN, " = ")


def _files(number: int, total: int, does: str, do: str) -> str:
    """Such as `all files have`, `1 file has`, `7 files have`."""
    return f"all files {do}" if number == total else counted(number, f"file {does}", f"files {do}")


def _named(entry: LedgerEntry) -> str:
    return f"{entry.path} ({entry.reason})"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
