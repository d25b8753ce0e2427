"""Speakers turn a text into samples: a voice of espeak-ng, a command of the user's, or a recording of the word.

    EspeakVoice("f3+en-gb").say("yes", 16_000, Manner(), draw)                  samples [N] float32, 16 kHz
    commands = parse_commands(["flite -voice slt --setf duration_stretch={0.8..1.4} -t {text} -o {wav}"])
    commands[0].say("yes", 16_000, Manner(), draw)

A command runs without a shell. In its words {text} becomes the text and {wav} the file to write; a command without
{text} gets the text as a line of its standard input. {0.8..1.4} becomes a number drawn between the two, so that a
synthesiser that says a word in one way only gives many takes of it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from seqaudio.audio import read_audio, resample
from seqaudio.augmentation.acoustics import active_part
from seqaudio.errors import AudioError, OptionError
from seqaudio.files import open_plain
from seqaudio.ledger import Reason
from seqaudio.synthesis.espeak import speak
from seqaudio.synthesis.random_voices import is_random, random_timbre
from seqaudio.units import Seconds

TEXT, WAV = "{text}", "{wav}"
PLACE = re.compile(r"\{text\}|\{wav\}|\{(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)\}")
TIMEOUT: Seconds = 60.0  # of a command that speaks one text
TAIL = 4096  # bytes of a command's messages, in which the last line is looked for
SHOWN = 200  # characters of a command's own message


class Manner(NamedTuple):
    """How a word is spoken, on espeak-ng's scales; other speakers have their own manner."""

    speed: int = 175  # words per minute
    pitch: int = 50
    pitch_range: int = 50


class Speaker(Protocol):
    """One voice."""

    @property
    def name(self) -> str:
        """The speaker in a store."""

    @property
    def hurries(self) -> bool:
        """Whether it speaks at the speed that it is asked for."""

    def say(self, text: str, sample_rate: int, manner: Manner, draw: np.random.Generator) -> np.ndarray:
        """The active part of a text, [N] float32 at `sample_rate` hertz; empty where the speaker is silent.

        Raises AudioError where there is no sound that can be read.
        """


@dataclass(frozen=True)
class EspeakVoice:
    """A voice of espeak-ng, by the name that `speaker_name` gives it. It draws nothing at random."""

    name: str
    hurries = True

    def say(self, text: str, sample_rate: int, manner: Manner, draw: np.random.Generator) -> np.ndarray:
        """As `Speaker` says. Raises as `seqaudio.synthesis.espeak.speak`."""
        del draw
        return spoken_word(text, self.name, sample_rate, *manner)


@dataclass(frozen=True)
class Recorded:
    """A recording of a text, spoken by a person or a synthesiser; `say` plays it, whatever the text."""

    name: str
    path: Path
    hurries = False

    def say(self, text: str, sample_rate: int, manner: Manner, draw: np.random.Generator) -> np.ndarray:
        """As `Speaker` says. Raises AudioError as `read_audio`."""
        del text, manner, draw
        return _active(read_audio(self.path, sample_rate).samples)


@dataclass(frozen=True)
class Command:
    """A synthesiser that a command line runs, once for each text."""

    name: str
    words: tuple[str, ...]  # program and arguments, with {text}, {wav} and ranges of numbers to fill in
    hurries = False

    def __str__(self) -> str:
        return " ".join(self.words)

    def say(self, text: str, sample_rate: int, manner: Manner, draw: np.random.Generator) -> np.ndarray:
        """As `Speaker` says.

        Raises:
            AudioError: the command fails, takes more than a minute, or writes no file that can be read; the detail
                has the last line of its messages.
        """
        del manner
        with tempfile.TemporaryDirectory(prefix="seqaudio-") as folder:
            wav, messages = Path(folder, "spoken.wav"), Path(folder, "messages.txt")
            words = [self._filled(word, text, wav, draw) for word in self.words]
            typed = None if any(TEXT in word for word in self.words) else f"{text}\n"
            status = self._run(words, typed, messages)
            if status:
                raise AudioError(self.name, Reason.UNREADABLE, f"exit status {status} ({_last_line(messages)})")
            if not wav.exists():
                raise AudioError(self.name, Reason.MISSING, f"wrote no file at {WAV} ({_last_line(messages)})")
            try:
                recording = read_audio(wav, sample_rate)
            except AudioError as error:
                raise AudioError(self.name, error.reason, f"the file it wrote: {error.detail}") from None
        return _active(recording.samples)

    def check(self, text: str) -> None:
        """Raise OptionError, with the command and the reason, unless it speaks a text."""
        try:
            samples = self.say(text, 16_000, Manner(), np.random.default_rng(0))
        except AudioError as error:
            raise OptionError(f"--speak {str(self)!r} cannot say {text!r}: {error.detail}") from None
        if not len(samples):
            raise OptionError(f"--speak {str(self)!r} is silent for {text!r}, expected a sound; try it by hand")

    def _filled(self, word: str, text: str, wav: Path, draw: np.random.Generator) -> str:
        if word == TEXT and text.startswith("-"):
            raise AudioError(self.name, Reason.UNREADABLE, f"{text!r} would be taken for an option of the command")

        def value(match: re.Match[str]) -> str:
            if match[0] == TEXT:
                return text
            return str(wav) if match[0] == WAV else f"{draw.uniform(float(match[1]), float(match[2])):.4g}"

        return PLACE.sub(value, word)

    def _run(self, words: Sequence[str], typed: str | None, messages: Path) -> int:
        """The exit status of the command; its messages go to a file, since a pipe may outlive it."""
        with messages.open("wb") as output:
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL if typed is None else subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    start_new_session=os.name != "nt",  # a group of its own, so that all it started can be ended
                )
            except OSError as error:
                raise AudioError(self.name, Reason.UNREADABLE, f"{words[0]}: {error.strerror}") from None
            try:
                process.communicate(None if typed is None else typed.encode(), timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                raise AudioError(self.name, Reason.PARSER_TIMEOUT, f"no end within {TIMEOUT:g} s") from None
            finally:
                _end(process)
        return process.returncode


def parse_commands(templates: Sequence[str]) -> tuple[Command, ...]:
    """The commands of command lines, named after their programs: flite, flite-2, say.

    Raises:
        OptionError: a line that is empty, has an open quotation mark, no {wav}, an unknown word in braces, or a program
            that is not there.
    """
    commands, named = [], Counter[str]()
    for template in templates:
        where = f"--speak {template!r}"
        try:
            words = tuple(shlex.split(template, posix=os.name != "nt"))
        except ValueError as error:
            raise OptionError(f"{where}: {str(error).lower()}; quote it as in a shell") from None
        if not any(WAV in word for word in words[1:]):
            example = "'flite -voice slt -t {text} -o {wav}'"
            raise OptionError(f"{where} has no {WAV}, expected a command that writes a file there, such as {example}")
        for odd in re.findall(r"\{[^{}]*\}", PLACE.sub("", " ".join(words))):
            raise OptionError(f"{where} has {odd}, expected {TEXT}, {WAV} or a range of numbers such as {{0.8..1.4}}")
        if shutil.which(words[0]) is None:
            raise OptionError(f"{where}: there is no command {words[0]!r}; install it, or give its path")
        stem = Path(words[0]).stem
        named[stem] += 1
        commands.append(Command(stem if named[stem] == 1 else f"{stem}-{named[stem]}", words))
    return tuple(commands)


def speaker_name(variant: str, accent: str) -> str:
    """The name of a voice of espeak-ng in a store, such as f3+en-gb or drawn-0017+en-gb."""
    return f"{variant}+{accent}"


def spoken_word(
    text: str, speaker: str, sample_rate: int, speed: int, pitch: int = 50, pitch_range: int = 50
) -> np.ndarray:
    """The active part of a word, [N] float32 at `sample_rate` hertz, by a voice of espeak-ng; empty for silence."""
    variant, accent = speaker.split("+")
    voice = {"timbre": random_timbre(variant)} if is_random(variant) else {"variant": variant}
    samples, rate = speak(text, accent, **voice, speed=speed, pitch=pitch, pitch_range=pitch_range)
    active = _active(samples)
    return resample(active, rate, sample_rate) if len(active) else active


def _active(samples: np.ndarray) -> np.ndarray:
    return samples[active_part(samples)] if np.any(samples) else samples[:0]


def _last_line(file: Path) -> str:
    with open_plain(file) as text:
        text.seek(max(0, file.stat().st_size - TAIL))
        lines = [line.strip() for line in text.read().decode(errors="replace").splitlines()]
    return next((line[:SHOWN] for line in reversed(lines) if line), "no message")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, with all that it started."""
    if process.poll() is None:
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
