"""Play a piece while it is sampled: print its notes, and send them to a MIDI port, each when it is due."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from seqaudio.interruption import Interrupted, number_of
from seqaudio.progress import say

if TYPE_CHECKING:
    from seqaudio.cli.generate import Config
    from seqaudio.decoding.live import Clock, NoteEvent
    from seqaudio.run_folder import RunFolder


def play_live(run: RunFolder, config: Config, clock: Clock = time) -> None:
    """Play the pieces that the options ask for, one after the other, until they end or Ctrl-C is pressed.

    A line on stdout for each event: seconds from the beginning of the piece, on or off, pitch, velocity. Raises
    OptionError for a port that cannot be opened, before the model is loaded, and for an unfit primer.
    """
    from seqaudio.cli.generate import Composer, warn_of_baseline
    from seqaudio.decoding.live import live_events, play
    from seqaudio.midi.ports import MidiPort

    port = None if config.port is None else MidiPort(config.port)
    sent = 0

    def send(event: NoteEvent) -> None:
        nonlocal sent
        if port is not None:
            port.note(*event[1:])
        sent += event.on
        print(f"{event.time:.3f}\t{'on' if event.on else 'off'}\t{event.pitch}\t{event.velocity}", flush=True)

    try:
        composer = Composer(run, config)
        warn_of_baseline(run)
        say(f"playing {'' if port is None else f'to {port.name} '}with {run.path}; Ctrl-C ends")
        for seed in range(config.seed, config.seed + config.count):
            tokens = composer.tokens(seed)
            play(live_events(tokens, composer.representation, composer.plan.played, composer.primer_ids), send, clock)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(f"after {sent:,} notes", number_of(interrupt)) from None
    finally:
        if port is not None:
            port.close()
    print(f"{sent:,} notes", file=sys.stderr)
