"""Play a piece while it is sampled: print its notes, and send them to a MIDI port, each when it is due."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from seqaudio.interruption import Interrupted, number_of
from seqaudio.progress import say

if TYPE_CHECKING:
    from seqaudio.api.composing import Composer
    from seqaudio.cli.generate import Config
    from seqaudio.decoding.live import Clock, NoteEvent
    from seqaudio.midi.ports import MidiPort


def play_live(composer: Composer, config: Config, port: MidiPort | None, clock: Clock = time) -> None:
    """Play the pieces that the options ask for, one after the other, until they end or Ctrl-C is pressed.

    A line on stdout for each event: seconds from the beginning of the piece, on or off, pitch, velocity. Raises
    OptionError for an unfit primer.
    """
    from seqaudio.decoding.live import live_events, play

    sent = 0

    def send(event: NoteEvent) -> None:
        nonlocal sent
        if port is not None:
            port.note(*event[1:])
        sent += event.on
        print(f"{event.time:.3f}\t{'on' if event.on else 'off'}\t{event.pitch}\t{event.velocity}", flush=True)

    say(f"playing {'' if port is None else f'to {port.name} '}with {config.run}; Ctrl-C ends")
    try:
        for seed in range(config.seed, config.seed + config.count):
            tokens = composer.tokens(seed)
            play(live_events(tokens, composer.representation, composer.plan.played, composer.primer_ids), send, clock)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(f"after {sent:,} notes", number_of(interrupt)) from None
    say(f"{sent:,} notes")
