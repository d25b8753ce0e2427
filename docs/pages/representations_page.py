"""Generate the tables and the picture of docs/representations.md.

python docs/pages/representations_page.py        in the root of a clone; writes both
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from token_drawing import draw_representations
from token_times import token_times

from seqaudio.errors import OptionError
from seqaudio.files import write_bytes
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature
from seqaudio.tokens.bars import BarsRepresentation
from seqaudio.tokens.chorale import ChoraleRepresentation
from seqaudio.tokens.chorale_grid import ChoraleGridRepresentation
from seqaudio.tokens.four_voices import VOICES
from seqaudio.tokens.melody import MelodyRepresentation
from seqaudio.tokens.miditok.representation import MidiTokRepresentation
from seqaudio.tokens.performance import PerformanceRepresentation
from seqaudio.tokens.quantising_loss import quantising_loss
from seqaudio.tokens.representation import Representation, TokenRepresentation
from seqaudio.tokens.roll import LOWEST, RollRepresentation
from seqaudio.tokens.tonicnet import TonicNetNotesRepresentation, TonicNetRepresentation

PAGE = Path("docs/representations.md")
PICTURE = Path("docs/pictures/representations.png")
TITLE = "Frère Jacques as a canon: eight bars in every representation"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"  # `filled` replaces the text between them
BARS, BAR_QUARTERS = 8, 4

# Frère Jacques, traditional: (semitones above the tonic, length in quarters) of each note, two bars a line
TUNE = (
    ((0, 1), (2, 1), (4, 1), (0, 1), (0, 1), (2, 1), (4, 1), (0, 1)),
    ((4, 1), (5, 1), (7, 2), (4, 1), (5, 1), (7, 2)),
    ((7, 0.5), (9, 0.5), (7, 0.5), (5, 0.5), (4, 1), (0, 1), (7, 0.5), (9, 0.5), (7, 0.5), (5, 0.5), (4, 1), (0, 1)),
    ((0, 1), (-5, 1), (0, 2), (0, 1), (-5, 1), (0, 2)),
)
TONICS = (72, 60, 48, 36)  # of the voices, the soprano first, each two bars after the previous one
REPRESENTATIONS: tuple[Representation, ...] = (
    MelodyRepresentation(),
    BarsRepresentation(),
    PerformanceRepresentation(),
    ChoraleRepresentation(),
    ChoraleGridRepresentation(),
    TonicNetRepresentation(),
    TonicNetNotesRepresentation(),
    RollRepresentation(),
    MidiTokRepresentation("REMI"),
    MidiTokRepresentation("TSD"),
)


def eight_bars() -> NoteSequence:
    """The canon: each voice sings the tune two bars after the one above it, up to the end of bar eight."""
    rows = []
    for track, tonic in enumerate(TONICS):
        time = 2.0 * BAR_QUARTERS * track  # quarters
        for degree, quarters in (note for line in TUNE[: len(TUNE) - track] for note in line):
            rows.append((int(480 * time), int(480 * (time + quarters)), tonic + degree, track))
            time += quarters
    start, end, pitch, track_column = np.array(rows, dtype=np.int64).T
    return NoteSequence.from_columns(
        start, end, pitch, 80, 0, track_column,
        time_signatures=[TimeSignature(0, 4, 4)], key_signatures=[KeySignature(0, 0)], track_names=VOICES,
    )  # fmt: skip


def filled(page: str) -> str:
    """The page with its tables replaced by new ones.

    Raises OptionError if it lacks one of the two marks around the tables.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise OptionError(f"the page lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def tables() -> str:
    """The size of each representation, then its tokens bar by bar, as Markdown."""
    notes = eight_bars()
    lines = ["| representation | ids | length of the eight bars | kept by quantisation |", "|---|---|---|---|"]
    for representation in REPRESENTATIONS:
        vocabulary = representation.vocabulary
        size = f"{len(representation.encode(notes))} {'tokens' if vocabulary else 'frames of 88 keys'}"
        ids = len(vocabulary) if vocabulary else "none"
        lines.append(f"| `{full_name(representation)}` | {ids} | {size} | {quantising_loss(representation, notes)} |")
    for representation in REPRESENTATIONS:
        lines += ["", f"### `{full_name(representation)}`", "", *_bar_table(representation, notes)]
    return "\n".join(lines)


def full_name(representation: Representation) -> str:
    """The name that `build_representation` and `--representation` take, such as miditok:REMI."""
    settings = representation.settings()
    return f"{representation.name}:{settings['tokeniser']}" if "tokeniser" in settings else representation.name


def _bar_table(representation: Representation, notes: NoteSequence) -> list[str]:
    if isinstance(representation, TokenRepresentation):
        written = _tokens_by_bar(representation, notes)
        return [
            "| bar | tokens |",
            "|---|---|",
            *(f"| {bar} | `{text}` |" for bar, text in enumerate(written, start=1)),
        ]
    if isinstance(representation, RollRepresentation):
        written = _keys_by_bar(representation, notes)
        head = "| bar | frames of this bar in which each key is 1 |"
        return [head, "|---|---|", *(f"| {bar} | {text} |" for bar, text in enumerate(written, start=1))]
    raise OptionError(f"{representation.name} is neither tokens nor a roll, so it has no table")


def _tokens_by_bar(representation: TokenRepresentation, notes: NoteSequence) -> list[str]:
    ids = representation.encode(notes)
    # the ends of the last notes lie where bar nine would begin
    bars = np.minimum(token_times(representation, ids) // BAR_QUARTERS, BARS - 1)
    return [" ".join(representation.tokens[token] for token in ids[bars == bar].tolist()) for bar in range(BARS)]


def _keys_by_bar(representation: RollRepresentation, notes: NoteSequence) -> list[str]:
    """Such as `72: 0-7, 24-30`: pitch, first and last frame of each run."""
    frames = representation.encode(notes)
    length = BAR_QUARTERS * representation.steps_per_quarter * representation.frames_per_step
    return [_runs(frames[bar * length : (bar + 1) * length]) for bar in range(BARS)]


def _runs(frames: np.ndarray) -> str:
    texts = []
    for key in np.flatnonzero(frames.any(axis=0))[::-1].tolist():
        change = np.diff(frames[:, key].astype(np.int8), prepend=0, append=0)
        runs = zip(np.flatnonzero(change == 1).tolist(), np.flatnonzero(change == -1).tolist(), strict=True)
        texts.append(f"{LOWEST + key}: {', '.join(f'{first}-{end - 1}' for first, end in runs)}")
    return "; ".join(texts)


def main(arguments: list[str]) -> None:
    """Write the page's tables and its picture."""
    if arguments:
        raise OptionError(f"got {arguments}, expected no arguments")
    write_bytes(PAGE, filled(PAGE.read_text(encoding="utf-8")).encode("utf-8"))
    draw_representations(eight_bars(), REPRESENTATIONS, PICTURE, TITLE)


if __name__ == "__main__":
    main(sys.argv[1:])
