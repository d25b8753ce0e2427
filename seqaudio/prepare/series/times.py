"""Read the times of a table's rows, check that they are in order and whole intervals apart, and continue them."""

from __future__ import annotations

import contextlib
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from seqaudio.errors import SourceError

MAX_MISSING = 1  # missing rows for each given row; with more, the interval was guessed wrongly


@dataclass(frozen=True)
class TimeIndex:
    """The times of a table's rows, as whole numbers of intervals."""

    places: tuple[int, ...]  # of each row, in intervals since the first
    start: str  # the first time, as written in the table
    interval: str  # such as "1 hour" or "1 month"; "1 step" without a time column

    @property
    def steps(self) -> int:
        """Number of rows of the series, missing ones included."""
        return self.places[-1] + 1


def time_index(texts: Sequence[str], source: str, time_format: str = "") -> TimeIndex:
    """The index of times as written. Months and years are intervals of their own, whatever their number of days.

    Args:
        source: name of the file in errors.
        time_format: as for `datetime.strptime`, such as %d.%m.%Y; empty: ISO 8601, year-month or numbers.
    Raises:
        SourceError: a time cannot be read, does not come after the previous one, or is not a whole number of intervals
            after it. The interval is the most frequent distance of two rows.
    """
    numbers, unit = _numbers(texts, source, time_format)
    distances = [after - before for before, after in pairwise(numbers)]
    for row, distance in enumerate(distances, start=1):
        if distance <= 0:
            raise SourceError(
                f"{source}: {texts[row]!r} in row {row + 1:,} does not come after {texts[row - 1]!r}; sort the rows by "
                f"their time, and remove repeated times"
            )
    interval = Counter(distances).most_common(1)[0][0] if distances else 1
    places = [0]
    for row, distance in enumerate(distances, start=1):
        steps = round(distance / interval)
        if abs(distance - steps * interval) > 1e-6 * interval:
            raise SourceError(
                f"{source}: {texts[row]!r} in row {row + 1:,} comes {_spelt(distance, unit)} after the previous row, "
                f"most rows {_spelt(interval, unit)}; resample the rows to one interval first"
            )
        places.append(places[-1] + steps)
    missing = places[-1] + 1 - len(places)
    if missing > MAX_MISSING * len(places):
        raise SourceError(
            f"{source}: {len(places):,} rows {_spelt(interval, unit)} apart would leave {missing:,} rows missing; "
            f"resample the rows to one interval first"
        )
    return TimeIndex(tuple(places), texts[0], _spelt(interval, unit))


@dataclass(frozen=True)
class Times:
    """Times of the steps of a series: the first one as it was written, and the interval."""

    start: datetime | float
    written: str  # the first time, as in the table
    time_format: str
    interval: float  # in units
    unit: str  # month, second, or empty for plain numbers

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Times | None:
        """The times of a store's series by its settings; None where the table had none, or they cannot be read."""
        written, time_format = settings.get("start", ""), settings.get("time_format", "")
        number, _, unit = settings.get("interval", "").partition(" ")
        if not written or unit.startswith("step"):
            return None
        base, factor = UNITS[unit.removesuffix("s")]
        try:
            start = _moment(written, 1, "the series", time_format) if base else float(written)
        except SourceError:  # in stores made before stores kept --time-format
            return None
        return cls(start, written, time_format, float(number) * factor, base)

    def at(self, step: int) -> datetime | float:
        """The time of a step, counted from the first one of the series; it may lie beyond the last."""
        distance = step * self.interval
        if not isinstance(self.start, datetime):
            return self.start + distance
        if self.unit == "second":
            return self.start + timedelta(seconds=distance)
        years, month = divmod(self.start.month - 1 + round(distance), 12)
        return self.start.replace(year=self.start.year + years, month=month + 1)

    def marks(self, first: int, last: int, most: int) -> list[int]:
        """Steps from first to last to mark at an axis: at most so many, the first of each round time such as a day.

        None where times are plain numbers, or fewer than two would be marked.
        """
        if not isinstance(self.start, datetime):
            return []
        begin = self.start.replace(tzinfo=None)
        zero = 12.0 * begin.year + begin.month - 1 if self.unit == "month" else (begin - datetime.min).total_seconds()
        for distance in ROUND[self.unit]:
            # one step earlier, so that a mark needs to be entered
            places = [math.floor((zero + step * self.interval) / distance) for step in range(first - 1, last + 1)]
            marks = [first + n for n, (before, place) in enumerate(pairwise(places)) if before != place]
            if distance >= self.interval and len(marks) <= most:
                return marks if len(marks) > 1 else []
        return []

    def text(self, step: int) -> str:
        """The time of a step, written as those of the table are."""
        time = self.at(step)
        if not isinstance(time, datetime):
            return f"{time:.0f}" if time == round(time) else f"{time:.10g}"
        if self.time_format:
            return time.strftime(self.time_format)
        day, clock = self.written[:10], self.written[11:]
        if len(day) == len("1949-01"):
            return f"{time.year:04}{day[4]}{time.month:02}"
        if not clock:
            return time.date().isoformat() if self.unit == "month" or self.interval % 86_400 == 0 else str(time)
        return time.isoformat(self.written[10], "minutes" if len(clock) == len("00:00") else "auto")


DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d")  # usual forms beside ISO 8601

# distances of marks at an axis, in units; a week begins on Monday, as 0001-01-01 did
MINUTE, HOUR, DAY = 60, 3_600, 86_400
ROUND = {
    "month": (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1_200),
    "second": (
        1, 2, 5, 10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR,
        12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 56 * DAY, 182 * DAY, 364 * DAY,
    ),
}  # fmt: skip

# of intervals as `_spelt` writes them: the unit they are counted in, and how many of it they are
UNITS = {
    "": ("", 1),
    "month": ("month", 1),
    "year": ("month", 12),
    "second": ("second", 1),
    "minute": ("second", 60),
    "hour": ("second", 3_600),
    "day": ("second", 86_400),
}


def step_index(rows: int) -> TimeIndex:
    """The index of rows without times, one step apart."""
    return TimeIndex(tuple(range(rows)), "", "1 step")


def _numbers(texts: Sequence[str], source: str, time_format: str) -> tuple[list[float], str]:
    """Times as numbers of a unit: month, second, or plain numbers."""
    if not time_format:
        try:
            return [float(text) for text in texts], ""
        except ValueError:
            pass  # so they are dates
    moments = [_moment(text, row, source, time_format) for row, text in enumerate(texts, start=1)]
    same_day = len({(moment.day, moment.time()) for moment in moments}) == 1
    if same_day and len(moments) > 1 and abs((moments[1] - moments[0]).days) >= 28:
        return [12.0 * moment.year + moment.month for moment in moments], "month"
    return [(moment - moments[0]).total_seconds() for moment in moments], "second"


def _moment(text: str, row: int, source: str, time_format: str) -> datetime:
    try:
        if time_format:
            moment = datetime.strptime(text, time_format)
        elif len(text) == len("1949-01") and text[4] in "-/":
            moment = datetime(int(text[:4]), int(text[5:]), 1)
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        expected = time_format or "2016-07-01 00:00:00, 2016-07-01, 2016-07 or a number"
        raise SourceError(
            f"{source}: the time {text!r} in row {row:,}, expected {expected}; give another form as --time-format, "
            f"such as {_fitting(text)}"
        ) from None
    return moment.replace(tzinfo=None) if moment.utcoffset() is None else moment


def _fitting(text: str) -> str:
    """The usual forms of times that read a text, for a shell; where none does, an example."""
    found = []
    for form in (day + clock for day in DAYS for clock in ("", " %H:%M", " %H:%M:%S")):
        with contextlib.suppress(ValueError):
            datetime.strptime(text, form)
            found.append(shlex.quote(form) if " " in form else form)
    return " or ".join(found) or DAYS[0]


def _spelt(distance: float, unit: str) -> str:
    """`1 hour`, `15 minutes`, `1 month`, `0.5`."""
    if unit == "month" and distance % 12 == 0:
        distance, unit = distance / 12, "year"
    for longer, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if unit == "second" and distance % seconds == 0:
            distance, unit = distance / seconds, longer
    return f"{distance:g} {unit}{'s' * (distance != 1)}" if unit else f"{distance:g}"
