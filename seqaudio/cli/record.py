"""Record takes of words, each cut at silence, checked and kept by word and session, and the background between them.

Example: seqaudio record --labels "hey computer" --count 30 --out takes
         seqaudio record --labels yes no --count 20 --background 600 --out takes --microphone 2
         arecord -f S16_LE -r 16000 -c 1 | seqaudio record - --labels yes --count 20 --out takes

A second call goes on with the next session. Takes that are clipped, too quiet, too short or empty are refused with the
reason and asked for again. On stdin, or out of a long recording, takes come one after the other, separated by silence:
as many of the first label as --count says, then those of the next.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from seqaudio import progress
from seqaudio.audio.live import STDIN, LiveOptions, open_live
from seqaudio.errors import AudioError, OptionError
from seqaudio.interruption import Interrupted, number_of
from seqaudio.ledger import Reason
from seqaudio.terminal import plain, visible
from seqaudio.units import Decibels, Seconds

if TYPE_CHECKING:
    import numpy as np

    from seqaudio.audio.live import LiveSound
    from seqaudio.audio.takes import Take, TakeFolder

PATIENCE: Seconds = 8.0  # of waiting for a word, after which it is said that nothing is heard
SESSIONS = 4  # at least, for one in validation, one in the test and enough of the others in training
BAR = 30  # columns of the level meter
LOWEST: Decibels = -60.0  # at its left end
PositionalSource = Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[FILE | -]")]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What to record, and where to."""

    source: PositionalSource = None  # by default a microphone; - for PCM on stdin, or a long recording
    labels: tuple[str, ...] = ()  # the words, each a folder, recorded one after the other
    out: Path  # folder of the takes, new or of earlier sessions
    count: int = 30  # takes of each label
    background: float = 0.0  # seconds of background, after the takes: for trainings in noise, and to count false alarms
    pause: float = 0.5  # seconds of quiet that end a take
    stdin: bool = False  # the same as -
    sound: LiveOptions = field(default_factory=LiveOptions)  # where the sound comes from


def main(config: Config) -> None:
    """Record, and print what to do next. What is kept stays, whatever ends the command."""
    from seqaudio.audio.takes import TakeFolder, check_labels
    from seqaudio.locks import locked

    check_labels(config.labels)
    if not config.labels and not config.background:
        raise OptionError('nothing to record; give --labels "hey computer", --background 600 or both')
    if config.stdin and config.source not in (None, STDIN):
        raise OptionError(f"--stdin and the source {config.source} exclude each other; leave one of them out")
    if config.out.exists() and not config.out.is_dir():
        raise OptionError(f"--out {config.out} is a file, expected a new folder, or one of earlier sessions")
    lock = config.out.absolute()
    source = STDIN if config.stdin else config.source
    with (
        open_live(source, config.sound, command="record") as sound,
        locked(lock.with_name(f"{lock.name}.lock"), "folder of takes", config.out),
    ):
        folder = TakeFolder(config.out)
        if unlisted := folder.list_unlisted():
            print(f"{unlisted:,} takes of a session that was killed are now in the table")
        print(f"session {folder.session} from {sound.name}, {sound.read_as or f'{sound.rate:,} Hz'}", flush=True)
        try:
            _Session(config, folder, sound).record()
        except KeyboardInterrupt as interrupt:
            kept = f"{folder.kept.total():,} takes of session {folder.session} are kept in {config.out}"
            raise Interrupted(f"{kept}; the same command begins another session", number_of(interrupt)) from None
    for remark in sound.remarks:
        print(f"note: {sound.name}: {remark}", file=sys.stderr)
    for line in _next(config.out, folder):
        print(line)


class _Session:
    """One pass over the sound: the takes of each label, then the background."""

    def __init__(self, config: Config, folder: TakeFolder, sound: LiveSound) -> None:
        self.config = config
        self.folder = folder
        self.sound = sound
        self.meter = _Meter()
        self.blocks = iter(sound)

    def record(self) -> None:
        """Record everything. Raises AudioError where the sound ends before."""
        takes = self._takes()
        for label in self.config.labels:
            self._record_label(label, takes)
        if self.config.background:
            self._record_background()

    def _takes(self) -> Iterator[Take | None]:
        """The takes in the sound; None each time that nothing was heard for a while by somebody who waits."""
        from seqaudio.audio.takes import TakeCutter

        cutter = TakeCutter(self.sound.rate, self.config.pause)
        told = 0.0
        for block in self.blocks:
            self.meter.show(block)
            for take in cutter.push(block):
                told = cutter.seconds
                yield take
            if self.sound.waits and cutter.seconds - told > PATIENCE:
                told = cutter.seconds
                yield None
        yield from cutter.finish()

    def _record_label(self, label: str, takes: Iterator[Take | None]) -> None:
        count, refused = self.config.count, 0
        self.meter.line(f"say {label!r}{f', {count:,} times' if count > 1 else ''}, with a pause after each")
        while (number := self.folder.kept[label] + 1) <= count:
            if self.sound.waits:
                self.meter.line(f"take {number} of {count}: {label}")
            try:
                take = next(takes)
            except StopIteration:
                raise self._ended(f"{number - 1:,} of {count:,} takes of {label!r}", refused) from None
            fault = "empty: nothing is heard; speak up, or check the microphone" if take is None else take.fault()
            if take is None or fault:
                refused += 1
                place = "" if take is None else f" at {take.start:.1f} s"
                self.meter.line(f"  refused{place}: {fault}")
                continue
            file = self.folder.keep(label, take)
            facts = f"{take.sounds:.2f} s, level {take.level:.0f} dB, peak {take.peak:.0f} dB"
            self.meter.line(f"  kept {file.relative_to(self.folder.path)}: {facts}")

    def _record_background(self) -> None:
        import numpy as np

        from seqaudio.audio.takes import BACKGROUND_SECONDS

        rate, wanted = self.sound.rate, round(self.config.background * self.sound.rate)
        self.meter.line(f"{self.config.background:,.0f} s of background: do what you usually do, without the words")
        waiting: list[np.ndarray] = []
        done = number = 0

        def write() -> None:
            nonlocal number, waiting
            samples = np.concatenate(waiting)
            number, waiting = number + 1, []
            file = self.folder.keep_background(number, samples, rate)
            self.meter.line(f"  kept {file.relative_to(self.folder.path)}: {len(samples) / rate:.1f} s")

        try:
            while done < wanted and (block := next(self.blocks, None)) is not None:
                self.meter.show(block)
                waiting.append(block[: wanted - done])
                done += len(waiting[-1])
                if sum(map(len, waiting)) >= BACKGROUND_SECONDS * rate:
                    write()
        finally:
            if waiting:
                write()
        if done < wanted:
            raise self._ended(f"{done / rate:,.1f} of {self.config.background:,.0f} s of background", 0)

    def _ended(self, got: str, refused: int) -> AudioError:
        """The error where the sound ends too early."""
        detail = f"ended after {got}"
        if refused:
            detail += f", {refused:,} more were refused"
        if self.folder.kept:
            detail += f"; {self.folder.kept.total():,} takes are kept in {self.folder.path}"
        elif self.config.labels and not refused:
            detail += f"; nothing stood out for a while, with {self.config.pause:g} s of quiet behind it"
            if self.sound.read_as and not self.sound.remarks:
                detail += f"; if {self.sound.read_as} is wrong, give --rate, --width and --channels"
        return AudioError(self.sound.name, Reason.TOO_SHORT, "; ".join([detail, *self.sound.remarks]))


class _Meter:
    """The level of the sound on stderr, as a bar on a terminal, else as a line now and then; and lines on stdout."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty() and not progress.quiet
        self.last = time.monotonic()

    def show(self, block: np.ndarray) -> None:
        """Show the level of a block [n]."""
        import numpy as np

        if not self.terminal and time.monotonic() - self.last < progress.PLAIN_SECONDS:
            return
        self.last = time.monotonic()
        peak = 20 * float(np.log10(max(float(np.abs(block).max()), 1e-6)))
        if not self.terminal:
            progress.say(f"peak {peak:.0f} dB")
            return
        full = round(BAR * (1 - max(peak, LOWEST) / LOWEST))
        print(f"\r[{'#' * full:<{BAR}}] {peak:4.0f} dB ", end="", file=plain(sys.stderr), flush=True)

    def line(self, text: str) -> None:
        """Print a line in place of the bar."""
        if self.terminal:
            print(f"\r{' ' * (BAR + 12)}\r", end="", file=plain(sys.stderr), flush=True)
        print(visible(text), flush=True)


def _next(out: Path, folder: TakeFolder) -> list[str]:
    """What was kept, and the command that makes a store of it."""
    from seqaudio.audio.takes import BACKGROUND, SPEAKERS, TABLE

    lines = []
    if folder.kept:
        lines.append(f"{folder.kept.total():,} takes of session {folder.session} are in {out}, listed in {TABLE}")
    if (out / BACKGROUND).is_dir():
        lines.append(f"background is in {out / BACKGROUND}, for --noise-folder of a training")
    if sessions := folder.sessions():
        if sessions < SESSIONS:
            more = f"{SESSIONS - sessions} more session{'s' if SESSIONS - sessions > 1 else ''}"
            lines.append(f"record {more}, at other times or places: then each session stays within one split")
        words = ["--source", str(out), "--speaker-pattern", SPEAKERS, "--out", f"stores/{out.absolute().name}"]
        lines.append(f"next: seqaudio prepare audio_folder {shlex.join(words)}")
    return lines
