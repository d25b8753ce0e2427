"""MIDI ports of this machine, to which notes are sent while they are played."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from seqaudio.errors import OptionError, how_to_install

DRUM_CHANNEL = 9
CHANNELS = [channel for channel in range(16) if channel != DRUM_CHANNEL]
SHOWN = 12  # ports that an error names


class MidiPort:
    """An open output. Each part, a program on a track, has a channel of its own, as long as there are channels.

    Raises OptionError without the package that sends, and for a name that no port has, or several.
    """

    def __init__(self, name: str) -> None:
        rtmidi = _rtmidi()
        self._out: Any = rtmidi.MidiOut()
        names = [str(port) for port in self._out.get_ports()]
        if not names:
            raise OptionError(f"--port {name}: this machine has no MIDI port; give --live alone, which prints")
        fitting = [number for number, port in enumerate(names) if port == name]
        fitting = fitting or [number for number, port in enumerate(names) if name.casefold() in port.casefold()]
        if len(fitting) != 1:
            known = ", ".join([names[number] for number in fitting or range(len(names))][:SHOWN])
            raise OptionError(f"--port {name}: {'several ports have' if fitting else 'no port has'} that name: {known}")
        self.name = names[fitting[0]]
        self._out.open_port(fitting[0])
        self._channels: dict[tuple[int, int], int] = {}  # of each program and track

    def note(self, on: bool, pitch: int, velocity: int, program: int, is_drum: bool, track: int) -> None:
        """Begin or end a note; before the first note of a part its program is set."""
        channel = DRUM_CHANNEL if is_drum else self._channels.get((program, track), -1)
        if channel < 0:
            channel = CHANNELS[len(self._channels) % len(CHANNELS)]
            self._channels[program, track] = channel
            self._out.send_message([0xC0 | channel, program])
        self._out.send_message([(0x90 if on else 0x80) | channel, pitch, velocity if on else 0])

    def close(self) -> None:
        """Close the port."""
        self._out.close_port()


def _rtmidi() -> ModuleType:
    try:
        import rtmidi
    except ImportError:
        raise OptionError(
            f"--port needs the package python-rtmidi: {how_to_install('ports')}; or give --live alone, which prints"
        ) from None
    module: ModuleType = rtmidi
    return module
