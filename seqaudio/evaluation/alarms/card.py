"""The scorecard: several detectors on the same tracks, as numbers, as JSON and as tables."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from seqaudio.evaluation.alarms.detectors import PROBABILITY, Detector, Recorded, record
from seqaudio.evaluation.alarms.material import Clip, Reader
from seqaudio.evaluation.alarms.scoring import Alarms, Words, alarms, chosen_threshold, delays, swept, words
from seqaudio.evaluation.alarms.track import BackgroundTrack, WordTrack, followed
from seqaudio.evaluation.intervals import NONE_AT_MOST, poisson, wilson
from seqaudio.evaluation.ratios import CLEAN, ratio_name
from seqaudio.evaluation.tables import table
from seqaudio.progress import Advance, progress
from seqaudio.units import Decibels, Hertz, Seconds
from seqaudio.version import __version__

HOUR = 3600.0
CHOSEN, GIVEN, OWN = "chosen", "given", "its own"  # where a threshold is from


@dataclass(frozen=True)
class Material:
    """What a card is made with."""

    word: str
    clips: Sequence[Clip]  # of the word
    choosing: Sequence[Path]  # background on which thresholds are chosen; empty where all are given
    judged: Sequence[Path]  # background on which they are judged, and that lies under the words
    near_misses: Sequence[Clip] = ()
    also: Sequence[Clip] = ()  # more clips of the word, judged apart
    snr: Sequence[Decibels] = (CLEAN,)
    per_hour: float = 0.5  # alarms that the chosen threshold allows
    low_pass: Hertz | None = None
    seed: int = 1


@dataclass(frozen=True)
class Share:
    """A share of items with its 95 % interval (Wilson)."""

    count: int
    of: int
    share: float
    low: float
    high: float

    @classmethod
    def from_counts(cls, count: int, of: int) -> Share:
        return cls(count, of, count / of, *wilson(count / of, of))


@dataclass(frozen=True)
class Rate:
    """Events in a time with the 95 % interval of their rate an hour (Poisson; one-sided for none)."""

    count: int
    hours: float
    per_hour: float
    low: float
    high: float

    @classmethod
    def from_count(cls, count: int, hours: float) -> Rate:
        return cls(count, hours, count / hours, *poisson(count, hours))


@dataclass(frozen=True)
class Missed:
    """Words that were not heard at one ratio, and when the others were, in seconds from their end."""

    snr: str
    missed: Share
    delay_median: Seconds | None
    delay_95: Seconds | None


@dataclass(frozen=True)
class Judged:
    """A detector with one threshold."""

    threshold: float
    origin: str  # CHOSEN, GIVEN or OWN
    choosing: Rate | None  # on the background on which it was chosen
    alarms: Rate
    words: list[Missed]
    near_misses: Share | None
    also: list[Missed]  # of the clips that are judged apart


@dataclass(frozen=True)
class Point:
    """A point of the curve."""

    threshold: float
    alarms: Rate
    missed: dict[str, Share]  # by ratio


@dataclass(frozen=True)
class DetectorCard:
    """All about a detector."""

    name: str
    word: str
    version: str
    scale: str  # of thresholds
    judged: list[Judged]
    curve: list[Point]


@dataclass(frozen=True)
class Card:
    """All about all of them. `remarks`: what the reader should know, a line each."""

    word: str
    material: dict[str, Any]
    versions: dict[str, str]
    detectors: list[DetectorCard]
    remarks: list[str]

    def as_json(self) -> dict[str, Any]:
        """All numbers."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Scored:
    """What cutting needs beside the card: the alarms of the first detector, and the tracks that they are on."""

    card: Card
    choosing: tuple[Alarms, BackgroundTrack] | None
    judged: tuple[Alarms, BackgroundTrack]


def score(detectors: Sequence[Detector], material: Material, threshold: float | None = None) -> Scored:
    """Let all detectors hear all tracks once, and judge them.

    threshold: of the first detector; by default one is chosen on the background for that, as for all others.
    Raises SourceError where no clip or no background can be read.
    """
    reader = Reader(material.low_pass)
    clips = len(material.clips) + len(material.also)
    total = len(material.choosing) + len(material.judged) + clips * len(material.snr)
    with progress("scorecard", total + len(material.near_misses), "files") as advance:
        choosing = BackgroundTrack(material.choosing, reader, material.seed)
        chosen_on = record(detectors, followed(choosing, advance)) if material.choosing else []
        judged = BackgroundTrack(material.judged, reader, material.seed)
        judged_on = record(detectors, followed(judged, advance))
        heard, track = _hear(detectors, material.clips, material, reader, advance)
        apart, more = _hear(detectors, material.also, material, reader, advance) if material.also else ([], None)
        near: list[list[Words]] = [[] for _ in detectors]
        if material.near_misses:
            others = WordTrack(material.near_misses, material.judged, material.snr[0], reader, material.seed)
            _take_words(near, detectors, record(detectors, followed(others, advance)), others, whole=True)
    false = [alarms(recorded) for recorded in judged_on]
    false_before = [alarms(recorded) for recorded in chosen_on]
    cards = []
    for place, detector in enumerate(detectors):
        before = (false_before[place], choosing.seconds / HOUR) if false_before else None
        thresholds = _thresholds(detector, before, material.per_hour, threshold if not place else None)
        after = false[place], judged.seconds / HOUR
        others_heard = near[place][0] if near[place] else None
        all_heard = heard[place], apart[place] if apart else ()
        found = [_judged(detector, *one, before, after, material, all_heard, others_heard) for one in thresholds]
        curve = _curve(detector, after, material, heard[place])
        cards.append(DetectorCard(detector.name, detector.word, detector.version, detector.scale, found, curve))
    about = _about(material, choosing, judged, track, more, len(near[0][0].highest) if near[0] else 0)
    card = Card(material.word, about, _versions(), cards, list(_remarks(cards, material, choosing.seconds / HOUR)))
    return Scored(card, (false_before[0], choosing) if false_before else None, (false[0], judged))


def _hear(
    detectors: Sequence[Detector], clips: Sequence[Clip], material: Material, reader: Reader, advance: Advance
) -> tuple[list[list[Words]], WordTrack]:
    """What each detector heard of clips at each ratio, and the last track."""
    heard: list[list[Words]] = [[] for _ in detectors]
    for snr in material.snr:
        track = WordTrack(clips, material.judged, snr, reader, material.seed)
        _take_words(heard, detectors, record(detectors, followed(track, advance)), track)
    return heard, track


def _take_words(
    found: list[list[Words]], detectors: Sequence[Detector], on: list[Recorded], track: WordTrack, whole: bool = False
) -> None:
    for place, (detector, recorded) in enumerate(zip(detectors, on, strict=True)):
        found[place].append(words(recorded, track.places, detector.wait, whole))


def _thresholds(
    detector: Detector, before: tuple[Alarms, float] | None, per_hour: float, given: float | None
) -> list[tuple[float, str]]:
    """The thresholds to judge, each with its origin: the one given or chosen, and the detector's own."""
    found = []
    if given is not None:
        found.append((given, GIVEN))
    elif before is not None:
        found.append((chosen_threshold(*before, per_hour, detector.bottom, detector.top), CHOSEN))
    if detector.usual is not None:
        found.append((detector.usual, OWN))
    return found


def _judged(
    detector: Detector,
    threshold: float,
    origin: str,
    before: tuple[Alarms, float] | None,
    after: tuple[Alarms, float],
    material: Material,
    heard: tuple[Sequence[Words], Sequence[Words]],
    near: Words | None,
) -> Judged:
    """heard: of the clips, and of those that are judged apart, at each ratio."""
    missed, also = (
        [_missed(detector, threshold, snr, part) for snr, part in zip(material.snr, parts, strict=False)]
        for parts in heard
    )
    accepted = None if near is None else Share.from_counts(int(near.hits(threshold).sum()), len(near.highest))
    chosen = None if before is None else Rate.from_count(before[0].above(threshold), before[1])
    rate = Rate.from_count(after[0].above(threshold), after[1])
    return Judged(threshold, origin, chosen, rate, missed, accepted, also)


def _missed(detector: Detector, threshold: float, snr: Decibels, heard: Words) -> Missed:
    hits = heard.hits(threshold)
    late = delays(heard, threshold, detector.step, detector.wait)
    median, most = np.quantile(late, [0.5, 0.95]).tolist() if len(late) else (None, None)
    return Missed(ratio_name(snr), Share.from_counts(int(np.count_nonzero(~hits)), len(hits)), median, most)


def _curve(detector: Detector, after: tuple[Alarms, float], material: Material, heard: Sequence[Words]) -> list[Point]:
    found, hours = after
    names = [ratio_name(snr) for snr in material.snr]
    points = []
    for threshold in swept(found, heard, detector.top):
        missed = [int(np.count_nonzero(~part.hits(threshold))) for part in heard]
        shares = {
            name: Share.from_counts(count, len(part.highest))
            for name, count, part in zip(names, missed, heard, strict=True)
        }
        points.append(Point(threshold, Rate.from_count(found.above(threshold), hours), shares))
    return points


def _about(
    material: Material,
    choosing: BackgroundTrack,
    judged: BackgroundTrack,
    track: WordTrack,
    also: WordTrack | None,
    near: int,
) -> dict[str, Any]:
    return {
        "seed": material.seed,
        "per_hour": material.per_hour,
        "low_pass": material.low_pass,
        "snr": [ratio_name(snr) for snr in material.snr],
        "words": {"clips": len(track.places), "left_out": len(track.left_out)},
        "also": {"clips": len(also.places) if also else 0, "left_out": len(also.left_out) if also else 0},
        "near_misses": {"clips": near, "left_out": len(material.near_misses) - near},
        "background": {
            name: {"files": len(part.spans), "left_out": len(part.left_out), "hours": part.seconds / HOUR}
            for name, part in (("choosing", choosing), ("judged", judged))
        },
    }


def _versions() -> dict[str, str]:
    return {
        "seqaudio": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "torch")},
    }


def _remarks(cards: Sequence[DetectorCard], material: Material, choosing: float) -> Iterator[str]:
    rate = material.per_hour
    if choosing and rate * choosing < 1:
        yield (
            f"the {choosing:.2g} h of background for choosing thresholds are too short for {rate:g} alarms an hour, so "
            f"each chosen threshold lies a little above the highest false score there"
        )
    hours = cards[0].judged[0].alarms.hours
    if rate * hours < NONE_AT_MOST:
        need = f"{rate:g} an hour need {NONE_AT_MOST / rate:.1f} h" if rate else "no background is long enough for 0"
        yield f"no alarm in {hours:.2g} h shows only less than {NONE_AT_MOST / hours:.2g} an hour (95 %); {need}"
    for card in cards:
        if card.word.replace("_", " ") != material.word.replace("_", " "):
            yield f"{card.name} was judged on its word {card.word!r}"
        if card.scale != PROBABILITY:
            yield f"thresholds of {card.name} are the {card.scale}"


# --- tables ---


def described(card: Card) -> Iterator[str]:
    """The lines of the card in Markdown, whose tables are aligned, so that they can be read as they are."""
    about = card.material
    parts = {name: part for name, part in about["background"].items() if part["files"]}
    background = ", ".join(f"{part['hours']:.2f} h {_PURPOSE[name]}" for name, part in parts.items())
    near = f", {about['near_misses']['clips']} near misses" if about["near_misses"]["clips"] else ""
    low_pass = f", below {about['low_pass']:g} Hz" if about["low_pass"] else ""
    yield f'# Scorecard of "{card.word}"'
    yield ""
    yield f"{about['words']['clips']} words{near}; background: {background}{low_pass}; seed {about['seed']}."
    yield ""
    yield from table(
        ("detector", "threshold", "", "false alarms", "an hour", "95 %", "near misses", "95 %"),
        [_alarm_cells(one.name, judged) for one in card.detectors for judged in one.judged],
    )
    yield ""
    judgements = [(one.name, judged) for one in card.detectors for judged in one.judged]
    yield from table(_WORD_COLUMNS, [_word_cells(*one, missed) for one in judgements for missed in one[1].words])
    yield ""
    if about["also"]["clips"]:
        yield f"{about['also']['clips']} other clips of the word, judged apart at the same thresholds:"
        yield ""
        yield from table(_WORD_COLUMNS, [_word_cells(*one, missed) for one in judgements for missed in one[1].also])
        yield ""
    yield from (f"- {remark}" for remark in (*card.remarks, *_READING))


_WORD_COLUMNS = ("detector", "threshold", "", "background", "missed", "95 %", "delay, median", "95 % of delays")
_PURPOSE = {"choosing": "for choosing thresholds", "judged": "for judging them"}
_READING = (
    "a hit lies between the word's start and 1 s after its end; alarms less than 1 s apart are one",
    "delays count from the word's end and are negative before it",
)


def _alarm_cells(name: str, judged: Judged) -> tuple[str, ...]:
    rate, near = judged.alarms, judged.near_misses
    interval = f"less than {rate.high:.3g}" if not rate.count else f"{rate.low:.3g} .. {rate.high:.3g}"
    accepted = ("-", "-") if near is None else (_percent(near.share), _interval(near))
    return (
        name,
        f"{judged.threshold:.4g}",
        judged.origin,
        str(rate.count),
        f"{rate.per_hour:.3g}",
        interval,
        *accepted,
    )


def _word_cells(name: str, judged: Judged, missed: Missed) -> tuple[str, ...]:
    late = ("-" if value is None else f"{value:.2f} s" for value in (missed.delay_median, missed.delay_95))
    share = missed.missed
    return (
        name, f"{judged.threshold:.4g}", judged.origin, missed.snr, _percent(share.share), _interval(share), *late,
    )  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(share: Share) -> str:
    return f"{100 * share.low:.1f} .. {100 * share.high:.1f}"
