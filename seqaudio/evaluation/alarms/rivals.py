"""Detectors of other packages, from the extra `rivals`, whose wheels have their models inside.

pymicro_wakeword     microWakeWord: models for microcontrollers, a score every 30 ms
pyopen_wakeword      openWakeWord: an embedding of speech and a net behind it, a score every 80 ms
pocketsphinx         keyphrase search by phonemes: any phrase of English words, no training

None of them is called otherwise than its users do, except that scores are read in place of its own decision.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from seqaudio.audio.recording import to_int16
from seqaudio.errors import OptionError, how_to_install
from seqaudio.evaluation.alarms.detectors import PROBABILITY, Detector
from seqaudio.evaluation.alarms.material import RATE
from seqaudio.files import open_plain
from seqaudio.guarded.parent import ChildCrashedError, ChildTimeoutError, Guard
from seqaudio.json_files import Range, checked, read_json
from seqaudio.registry import Registry
from seqaudio.units import Seconds

RIVALS: Registry[Callable[[str], Detector]] = Registry("rival")
EXTRA = "rivals"
CHILD = Path(__file__).with_name("manifest_child.py")
MEGABYTES = 1024  # for a model of a few dozen kilobytes
DEADLINE: Seconds = 60.0


class UnknownWordError(OptionError):
    """A word that a rival does not know; the message says which it knows."""


def rival(name: str, word: str) -> Detector:
    """A rival as a detector of a word.

    Raises:
        OptionError: no such rival, or its package is missing.
        UnknownWordError: it does not know the word.
    """
    make = RIVALS[name]
    _check_installed(name, name)
    return make(word)


def of_manifest(path: Path) -> Detector:
    """A file for ESPHome's `micro_wake_word`, in the interpreter of pymicro_wakeword. path: its manifest, in .json.

    Raises OptionError where it cannot be read, or where the package is missing.
    """
    _check_installed("pymicro_wakeword", str(path))
    if fault := _fault(path):
        raise OptionError(
            f"--beside {path}: {fault}; expected the manifest of a .tflite beside it, as seqaudio export --tflite "
            f"writes both"
        )
    return MicroWakeWord(path)


@dataclass(frozen=True)
class Micro:
    """How a score becomes a decision."""

    probability_cutoff: Annotated[float, Range(0, 1)]
    sliding_window_size: Annotated[int, Range(1, 10_000)]


@dataclass(frozen=True)
class Manifest:
    """Fields of a manifest that the interpreter reads."""

    wake_word: str
    model: str  # name of a file beside it
    micro: Micro


def _fault(path: Path) -> str:
    """Why a manifest and its file cannot be used; empty where a child process has heard with them."""
    try:
        file = path.parent / checked(Manifest, read_json(path)).model
        with open_plain(file) as content:
            if content.read(8)[4:] != b"TFL3":
                return f"{file} is no TFLite file"
    except (OSError, ValueError) as error:
        return str(error)
    guard = Guard(CHILD, MEGABYTES, "the interpreter of microWakeWord", "numpy, pymicro_wakeword")
    try:
        reply, _ = guard.ask(os.fsencode(path.absolute()), DEADLINE)
    except (ChildCrashedError, ChildTimeoutError) as error:
        return f"{file} is damaged (its interpreter: {error})"
    finally:
        guard.close()
    return str(reply.get("fault", ""))


def _check_installed(package: str, name: str) -> None:
    if find_spec(package) is None:
        raise OptionError(f"--beside {name}: the package is not installed; {how_to_install(EXTRA)}")


def _model(package: str, word: str) -> Any:
    """The package's name of its model of a word."""
    known = {str(model.value): model for model in import_module(package).Model}
    name = word.strip().lower().replace(" ", "_").replace("-", "_")
    if name not in known:
        raise UnknownWordError(f"{package} does not know {word!r}, only {', '.join(sorted(known))}")
    return known[name]


@RIVALS.register("pymicro_wakeword")
class MicroWakeWord:
    """A model of microWakeWord: the mean of its last probabilities, which its own decision is made on.

    word: of a built-in model, or the manifest of another.
    """

    def __init__(self, word: str | Path) -> None:
        package = import_module("pymicro_wakeword")
        made = package.MicroWakeWord
        given = isinstance(word, Path)
        self._model = made.from_config(word) if given else made.from_builtin(_model("pymicro_wakeword", str(word)))
        self._features = package.MicroWakeWordFeatures()
        self.name, self.word = (str(word) if given else "pymicro_wakeword"), str(self._model.id)
        self.version = version("pymicro-wakeword")
        self._stride = int(self._model.stride)
        self.step: Seconds = 0.01 * self._stride
        self.lead: Seconds = 0.03 + 0.01 * (self._stride - 1)  # windows of 30 ms every 10 ms
        self.usual: float | None = float(self._model.probability_cutoff)
        self.bottom, self.top, self.scale, self.wait = 0.0, 1.0, PROBABILITY, 0.0
        self._frames = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """As `Detector.push`."""
        found = []
        for frame in self._features.process_streaming(to_int16(samples).tobytes()):
            score = self._model.process_streaming_prob(frame)
            self._frames += 1
            if self._frames % self._stride == 0:  # between strides it says 0
                found.append(score)
        return np.array(found)

    def finish(self) -> np.ndarray:
        """As `Detector.finish`."""
        self._features.reset()
        self._model.reset()
        self._frames = 0
        return np.zeros(0)


@RIVALS.register("pyopen_wakeword")
class OpenWakeWord:
    """A built-in model of openWakeWord: its probability after each 80 ms."""

    CHUNK = 1280  # samples, 80 ms

    def __init__(self, word: str) -> None:
        package = import_module("pyopen_wakeword")
        self._model = package.OpenWakeWord.from_builtin(_model("pyopen_wakeword", word))
        self._features = package.OpenWakeWordFeatures.from_builtin()
        self.name, self.word = "pyopen_wakeword", str(self._model.id)
        self.version = version("pyopen-wakeword")
        self.step: Seconds = self.CHUNK / RATE
        self.lead: Seconds = self.step
        self.usual: float | None = 0.5  # of the package's own command
        self.bottom, self.top, self.scale, self.wait = 0.0, 1.0, PROBABILITY, 0.0
        self._rest = np.zeros(0, dtype=np.int16)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """As `Detector.push`."""
        held = np.concatenate([self._rest, to_int16(samples)])
        count = len(held) // self.CHUNK
        self._rest = held[count * self.CHUNK :]
        found = []
        for chunk in held[: count * self.CHUNK].reshape(count, self.CHUNK):
            score = 0.0  # at the beginning it looks back on seconds of silence, several scores at once
            for embeddings in self._features.process_streaming(chunk.tobytes()):
                for score in self._model.process_streaming(embeddings):  # noqa: B007  # the last one counts
                    pass
            found.append(score)
        return np.array(found)

    def finish(self) -> np.ndarray:
        """As `Detector.finish`."""
        self._features.reset()
        self._model.reset()
        self._rest = np.zeros(0, dtype=np.int16)
        return np.zeros(0)


@RIVALS.register("pocketsphinx")
class PocketSphinx:
    """Keyphrase search of PocketSphinx with its English model: the decimal logarithm of `kws_threshold`.

    It runs once with the threshold FLOOR, under which nothing is found; a detection's probability then says with which
    thresholds it is found. From the source of its search, with the difference d of the log scores (in base 1.0001,
    divided by 1024) of the phrase's last phoneme and of the best phoneme loop:

        found where d >= log(kws_threshold) / 1024        prob = d - 1500
    """

    FLOOR = -50.0  # decimal logarithm of the lowest threshold
    BASE, SHIFT, MOST = 1.0001, 1024, 1500  # of its logarithms; KWS_MAX of its search
    REPORT = 10  # frames that it waits after the end of a phrase

    def __init__(self, word: str) -> None:
        package = import_module("pocketsphinx")
        phrase = word.strip().lower().replace("_", " ")
        words = package.Decoder(samprate=RATE, lm=None, loglevel="FATAL", keyphrase="a", kws_threshold=1.0)
        missing = [part for part in phrase.split() if words.lookup_word(part) is None]
        if missing or not phrase:
            raise UnknownWordError(f"pocketsphinx has no {' and no '.join(map(repr, missing))} in its dictionary")
        self._decoder = package.Decoder(
            samprate=RATE, lm=None, loglevel="FATAL", keyphrase=phrase, kws_threshold=10.0**self.FLOOR
        )
        self.name, self.word = "pocketsphinx", phrase
        self.version = version("pocketsphinx")
        self.step: Seconds = 0.01
        self.lead: Seconds = 0.0256 + self.REPORT * self.step
        self.usual: float | None = -30.0  # its default, kws_threshold 1e-30
        self.bottom, self.top, self.wait = self.FLOOR, math.inf, 0.0
        self.scale = "decimal logarithm of kws_threshold"
        self._samples = 0
        self._decoder.start_utt()

    def push(self, samples: np.ndarray) -> np.ndarray:
        """As `Detector.push`: all scores come at the end, since a detection may still grow."""
        self._decoder.process_raw(to_int16(samples).tobytes(), False, False)
        self._samples += len(samples)
        return np.zeros(0)

    def finish(self) -> np.ndarray:
        """As `Detector.finish`: the score of each detection at its last frame."""
        self._decoder.end_utt()
        scores = np.full(round(self._samples / RATE / self.step), -math.inf)
        for found in self._decoder.seg() or ():
            if found.end_frame < len(scores):
                difference = math.log(found.prob) / math.log(self.BASE) + self.MOST
                scores[found.end_frame] = difference * self.SHIFT * math.log10(self.BASE)
        self._samples = 0
        self._decoder.start_utt()
        return scores
