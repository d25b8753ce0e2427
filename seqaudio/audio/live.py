"""Sound that comes in block by block: a microphone, raw PCM or a WAV on stdin, or a file.

    with open_live(source, options, rate) as sound:
        for block in sound:                  mono float32 [n], n > 0, at sound.rate
            ...
    for remark in sound.remarks: ...

Whatever the size of the blocks, together they are the samples of the whole, resampled or not.
"""

from __future__ import annotations

import io
import queue
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple, cast

import numpy as np

from seqaudio.audio.pcm import LOUDEST, PcmFormat, PcmStream, Width
from seqaudio.audio.reading import resampled, stream_audio
from seqaudio.audio.recording import MAX_SECONDS
from seqaudio.errors import AudioError, OptionError, how_to_install
from seqaudio.ledger import Reason
from seqaudio.units import Seconds

STDIN = Path("-")  # the source that means stdin
BLOCK: Seconds = 0.08  # of sound at once, at most
WAITING: Seconds = 0.5  # after which a microphone without sound is looked at
SHOWN = 12  # devices that an error names


@dataclass(frozen=True)
class LiveOptions:
    """Sound that still comes in: raw PCM on stdin, or a microphone."""

    GROUP = "sound"

    rate: int = 16000  # hertz: of raw PCM on stdin, and of the recording of a microphone
    width: Width = "16"  # raw PCM on stdin: bits of a sample, little-endian, 8 unsigned; a WAV's header goes before
    channels: int = 1  # raw PCM on stdin: interleaved; their mean is taken
    microphone: tuple[str, ...] | None = None  # record from one: the usual, or that of a number or part of a name


class LiveSound:
    """Blocks of mono samples [n] float32, n > 0, full scale -1..1, at `rate` hertz; a context manager.

    name: what the sound is called in messages, such as "stdin".
    waits: whether it comes in as it is spoken, so that a user can be asked to speak.
    remarks: lines about the sound, complete when all blocks are read.
    read_as: the format of PCM, empty for sound of a known format.
    """

    def __init__(
        self,
        name: str,
        rate: int,
        blocks: Iterable[np.ndarray],
        remarks: list[str],
        waits: bool = False,
        close: Callable[[], None] = lambda: None,
        read_as: str = "",
    ) -> None:
        self.name = name
        self.rate = rate
        self.waits = waits
        self.remarks = remarks
        self.read_as = read_as
        self._blocks = blocks
        self._close = close

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self._blocks)

    def __enter__(self) -> LiveSound:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def open_live(
    source: Path | None,
    options: LiveOptions,
    rate: int | None = None,
    command: str = "record",
    max_seconds: Seconds = MAX_SECONDS,
) -> LiveSound:
    """Open a source of sound.

    Args:
        source: a file, `-` for stdin, or None for a microphone.
        rate: hertz of the blocks; by default that of the source.
        command: of seqaudio, for a line that shows how to pipe sound into it.
        max_seconds: of a file; a longer one is refused.
    Raises:
        OptionError: no microphone, none of that name, no package or library to record with; a microphone and another
            source.
        AudioError: the file cannot be read; nothing comes on stdin, or something that is not PCM. While blocks are
            read: floats that are no sound, a microphone that is gone.
    """
    if source is None:
        return _microphone(options, rate, command)
    if options.microphone is not None:
        raise OptionError(f"--microphone and the source {source} exclude each other; leave one of them out")
    if source == STDIN:
        return _stdin(options, rate, command)
    own, remark, whole = stream_audio(source, rate, max_seconds)
    return LiveSound(str(source), own, _cut(whole, own), [remark] if remark else [])


def _cut(blocks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Blocks of at most BLOCK seconds."""
    size = max(1, round(BLOCK * rate))
    for block in blocks:
        for start in range(0, len(block), size):
            yield block[start : start + size]


# --- stdin ---


def _stdin(options: LiveOptions, rate: int | None, command: str) -> LiveSound:
    if sys.stdin is None or sys.stdin.isatty():
        raise OptionError(f"stdin is {'closed' if sys.stdin is None else 'a terminal'}; {_piped(command)}")
    given = PcmFormat(options.rate, options.width, options.channels)
    stream = PcmStream(cast("io.BufferedReader", sys.stdin.buffer).read1, given, "stdin", BLOCK)
    own = stream.format.rate
    blocks = stream if rate is None or rate == own else resampled(stream, own, rate)
    return LiveSound("stdin", rate or own, blocks, stream.remarks, read_as=str(stream.format))


def _piped(command: str) -> str:
    return f"pipe PCM into it: arecord -f S16_LE -r 16000 -c 1 | seqaudio {command} ... -"


# --- a microphone ---


class Device(NamedTuple):
    """A device that records."""

    number: int
    name: str
    rate: int  # hertz that it prefers

    def __str__(self) -> str:
        return f"{self.number} {self.name!r}"


def _microphone(options: LiveOptions, rate: int | None, command: str) -> LiveSound:
    sounddevice = _sounddevice(command)
    device = _chosen(sounddevice, options.microphone or (), command)
    wanted = rate or options.rate
    own = _rate_of(sounddevice, device, wanted)
    waiting: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
    lost = [0]

    def take(samples: Any, frames: int, time: Any, status: Any) -> None:  # in a thread of PortAudio
        del frames, time
        lost[0] += bool(status.input_overflow)
        waiting.put(samples[:, 0].copy())

    try:
        stream = sounddevice.InputStream(
            samplerate=own,
            device=device.number,
            channels=1,
            dtype="float32",
            blocksize=round(BLOCK * own),
            callback=take,
        )
        stream.start()
    except sounddevice.PortAudioError as error:
        raise OptionError(f"--microphone {device} cannot be opened: {error}; {_piped(command)}") from None
    remarks: list[str] = []

    def blocks() -> Iterator[np.ndarray]:
        while True:
            try:
                block = waiting.get(timeout=WAITING)  # a wait without an end could not be interrupted on Windows
            except queue.Empty:
                if not stream.active:
                    raise AudioError(f"microphone {device}", Reason.UNREADABLE, "it no longer records") from None
                continue
            if not np.abs(block).max(initial=0.0) <= LOUDEST:  # NaN too
                raise AudioError(f"microphone {device}", Reason.NOT_FINITE, "its samples are no sound; choose another")
            yield block

    def close() -> None:
        stream.close()
        if lost[0]:
            times = f"{lost[0]:,} time{'s' if lost[0] > 1 else ''}"
            remarks.append(f"sound was lost {times}, as this machine was too slow")

    sound = blocks() if own == wanted else resampled(blocks(), own, wanted)
    return LiveSound(f"microphone {device}", wanted, sound, remarks, waits=True, close=close)


def _sounddevice(command: str) -> ModuleType:
    """The package that records. Raises OptionError where it is missing, or the library that it needs."""
    try:
        import sounddevice
    except ImportError:
        raise OptionError(
            f"a microphone needs the package sounddevice: {how_to_install('microphone')}; or {_piped(command)}"
        ) from None
    except OSError as error:  # what it raises without the library
        library = "PortAudio, which it records with; on Debian: apt install libportaudio2"
        raise OptionError(f"sounddevice finds no {library} ({error}); or {_piped(command)}") from None
    module: ModuleType = sounddevice
    return module


def _chosen(sounddevice: ModuleType, wanted: tuple[str, ...], command: str) -> Device:
    """The usual device, or the one that a number or a part of its name gives."""
    devices = [
        Device(number, str(found["name"]), int(found["default_samplerate"]))
        for number, found in enumerate(sounddevice.query_devices())
        if found["max_input_channels"] > 0
    ]
    if not devices:
        raise OptionError(f"this machine has no microphone that PortAudio finds; {_piped(command)}")
    if not wanted:
        usual = sounddevice.default.device[0]
        return next((device for device in devices if device.number == usual), devices[0])
    name = " ".join(wanted)
    fitting = [device for device in devices if str(device.number) == name]
    fitting = fitting or [device for device in devices if name.casefold() in device.name.casefold()]
    if len(fitting) != 1:
        known = ", ".join(map(str, (fitting or devices)[:SHOWN]))
        raise OptionError(
            f"--microphone {name}: {'several have' if fitting else 'none has'} that number or name: {known}"
        )
    return fitting[0]


def _rate_of(sounddevice: ModuleType, device: Device, wanted: int) -> int:
    """The wanted rate where the device has it, otherwise its own, in hertz."""
    try:
        sounddevice.check_input_settings(device=device.number, channels=1, dtype="float32", samplerate=wanted)
    except sounddevice.PortAudioError:
        return device.rate
    return wanted
