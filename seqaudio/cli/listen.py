"""Print each keyword as soon as it is heard: start and end in seconds, keyword, confidence.

Example: seqaudio listen hey_computer
         seqaudio listen runs/hey meeting.flac --threshold "hey computer=0.6"
         arecord -f S16_LE -r 16000 -c 1 | seqaudio listen runs/hey - --save hits --json

Listens to a microphone, to raw PCM or a WAV on stdin, or to a file, until it ends or Ctrl-C is pressed; memory does not
grow. The run is one of keyword_recognition that was trained on streams.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from seqaudio.audio.live import LiveOptions, LiveSound, open_live
from seqaudio.cli.recognize import hit_object
from seqaudio.errors import OptionError
from seqaudio.files import json_text
from seqaudio.interruption import Interrupted, number_of
from seqaudio.option_bounds import SHARE
from seqaudio.progress import say
from seqaudio.terminal import few, visible

if TYPE_CHECKING:
    import numpy as np

    from seqaudio.decoding.excerpts import Excerpts
    from seqaudio.decoding.spotting import Hit, Spotter

SHOWN = 12  # keywords that a line names
PositionalSource = Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[FILE | -]")]


@dataclass(frozen=True)
class Config:
    """The model, and what it listens to."""

    run: tyro.conf.Positional[Path]  # run folder of the recipe keyword_recognition, trained on streams, or a name
    source: PositionalSource = None  # by default a microphone; - for PCM on stdin
    threshold: tuple[str, ...] = ()  # from which confidence on a word counts, such as yes=0.6; 0.6 alone: every word
    save: Path | None = None  # folder for a WAV of the sound around each hit
    json: bool = False  # print a JSON object for each hit
    max_seconds: float = 3600.0  # of a file; a longer one is refused
    sound: LiveOptions = field(default_factory=LiveOptions)  # where the sound comes from


def main(config: Config) -> None:
    """Print hits as they come, each line at once. What was heard is summed up on stderr at the end."""
    from seqaudio.decoding.excerpts import Excerpts
    from seqaudio.decoding.spotting import USUAL, Spotter, keywords_of
    from seqaudio.run_folder import RunFolder

    run = RunFolder(config.run, ("keyword_recognition",))
    spotter = Spotter(run, thresholds_of(config.threshold, keywords_of(run.vocabulary)))
    rate = spotter.settings.sample_rate
    with open_live(config.source, config.sound, rate, command="listen", max_seconds=config.max_seconds) as sound:
        excerpts = None
        if config.save is not None:
            excerpts = Excerpts(config.save, rate, max([*spotter.about.seconds.values(), USUAL]))
        read_as = f", read as {sound.read_as}" if sound.read_as else ""
        until = "; Ctrl-C ends" if sound.waits else ""
        say(f"listening to {sound.name}{read_as} for {few(spotter.keywords, SHOWN)}{until}")
        listener = _Listener(spotter, excerpts, config.json)
        try:
            listener.listen(sound)
            listener.finish()
        except KeyboardInterrupt as interrupt:
            listener.finish()
            raise Interrupted(listener.summary(), number_of(interrupt)) from None
        finally:
            if excerpts is not None:
                excerpts.finish()
    for remark in sound.remarks:
        print(f"note: {sound.name}: {remark}", file=sys.stderr)
    say(listener.summary())


def thresholds_of(given: tuple[str, ...], keywords: tuple[str, ...]) -> dict[str, float]:
    """Thresholds by keyword from `WORD=NUMBER`, or `NUMBER` for every keyword. Raises OptionError for others."""
    found: dict[str, float] = {}
    for text in given:
        word, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not SHARE.holds(value):
            example = f"{keywords[0] if keywords else 'word'}=0.6"
            raise OptionError(f"--threshold {text}, expected such as {example}, or 0.6 for every keyword, from 0 to 1")
        found |= {word: value} if word else dict.fromkeys(keywords, value)
    return found


class _Listener:
    """Prints and keeps the hits in the sound that comes."""

    def __init__(self, spotter: Spotter, excerpts: Excerpts | None, as_json: bool) -> None:
        self.spotter = spotter
        self.excerpts = excerpts
        self.as_json = as_json
        self.heard = Counter[str]()
        self.samples = 0

    def listen(self, sound: LiveSound) -> None:
        """Take blocks until the sound ends."""
        block: np.ndarray
        for block in sound:
            self.samples += len(block)
            if self.excerpts is not None:
                self.excerpts.push(block)
            for hit in self.spotter.push(block):
                self._tell(hit)

    def finish(self) -> None:
        """Tell the hits that waited for what follows, as if quiet did."""
        for hit in self.spotter.finish():
            self._tell(hit)

    def _tell(self, hit: Hit) -> None:
        self.heard[hit.keyword] += 1
        file = None if self.excerpts is None else self.excerpts.add(hit)
        if self.as_json:
            print(json_text(hit_object(hit) | ({} if file is None else {"file": str(file)})), flush=True)
        else:
            print(f"{hit.start:.2f}\t{hit.end:.2f}\t{visible(hit.keyword)}\t{hit.confidence:.3f}", flush=True)

    def summary(self) -> str:
        """How long it listened, and what it heard how often."""
        total = self.heard.total()
        words = few((f"{word} {count:,}" for word, count in self.heard.most_common()), SHOWN)
        seconds = self.samples / self.spotter.settings.sample_rate
        return f"after {seconds:,.1f} s: {total:,} hit{'' if total == 1 else 's'}{f' ({words})' if words else ''}"
