"""Write a judgement in words: tables of distributions, numbers, voice leading and copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from seqaudio.evaluation.music.judgement import Both, Copies, Estimate, Judgement
from seqaudio.evaluation.music.measures import DISTRIBUTIONS, NUMBERS, VOICE_LEADING, Number
from seqaudio.evaluation.tables import table

READING = (
    "overlap: shared area of the two distributions, 1 where they are equal; divergence: Kullback-Leibler, in nats, of "
    "the judged from the other music, 1 % of a uniform distribution mixed into both",
    "the same of held-out music: overlap of as many held-out pieces, half of them at most, with the others: mean, and "
    "the value that 97.5 % of such draws exceed; * marks an overlap below it",
    "numbers are means over pieces, with 95 % intervals from a bootstrap over pieces",
)
_COPIED = {"judged": "judged pieces", "beside": "held-out pieces", "halves": "one half in the other"}


def described(judgement: Judgement) -> Iterator[str]:
    """The lines of a judgement in Markdown, whose tables are aligned."""
    judged, beside = judgement.judged, judgement.beside
    yield f"# {judged.name} beside {beside.name}"
    yield ""
    yield f"{len(judged.pieces):,} pieces are judged beside {len(beside.pieces):,}."
    yield ""
    yield from table(
        ("distribution", "overlap", "", "the same of held-out music", "divergence"),
        [_distribution(judgement, name) for name in judgement.distributions],
    )
    yield ""
    yield from _numbers("number", judgement.numbers, NUMBERS)
    yield ""
    if judgement.voices:
        yield from _numbers("voice leading, for 100 changes of chords", judgement.voices, VOICE_LEADING)
        yield ""
    if judgement.copies:
        yield from table(
            (f"copied from {judgement.originals}", "quarters", "95 %", "share", "95 %", "longest", "where"),
            [_copied(_COPIED[name], copies) for name, copies in judgement.copies.items()],
        )
        yield ""
    yield from (f"- {line}" for line in (*judgement.remarks, *READING))


def _distribution(judgement: Judgement, name: str) -> tuple[str, ...]:
    one = judgement.distributions[name]
    held = one.at_this_size
    return (
        DISTRIBUTIONS[name].label,
        "-" if one.overlap is None else f"{one.overlap:.3f}",
        "*" if one.differs else "",
        "-" if held is None else f"{held.mean:.3f}, {held.low:.3f} at least",
        "-" if one.divergence is None else f"{one.divergence:.3f}",
    )


def _numbers(head: str, found: Mapping[str, Both], kinds: Mapping[str, Number]) -> Iterator[str]:
    rows: list[Sequence[str]] = []
    for name, both in found.items():
        kind = kinds[name]
        label = f"{kind.label} ({kind.unit})" if kind.unit else kind.label
        rows.append((label, *_cells(both.judged), *_cells(both.beside)))
    return table((head, "judged", "95 %", "beside", "95 %"), rows)


def _cells(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return "-", "-"
    interval = "-" if estimate.interval is None else " .. ".join(map(_short, estimate.interval))
    return _short(estimate.value), interval


def _short(value: float) -> str:
    """Three digits, whole numbers from a thousand on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _copied(what: str, copies: Copies) -> tuple[str, ...]:
    longest = copies.longest
    beats = longest.copy.beats
    if not beats:
        where = "nothing is copied"
    else:
        key = f", {longest.copy.transposition:+d} semitones" if longest.copy.transposition else ""
        where = f"{longest.piece} from quarter {longest.copy.start}: {longest.original}{key}"
    return (
        f"{what} ({len(copies.pieces)})",
        *_cells(copies.beats),
        *_cells(copies.share),
        f"{beats} quarter{'s' * (beats != 1)}, {longest.notes} note{'s' * (longest.notes != 1)}",
        where,
    )
