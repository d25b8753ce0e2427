"""A MIDI parser that dies and hangs when a file tells it to."""

from __future__ import annotations

from pathlib import Path

from conftest import ROOT
from seqaudio.guarded.parent import Guard

FRAGILE = """
import os, sys, time
sys.path.insert(0, {root!r})
import seqaudio.midi.chunks as chunks
from seqaudio.guarded.child import serve
from seqaudio.midi import parser_child
from seqaudio.midi.events import Checked

if {trusting}:
    chunks.check_events = lambda track: Checked(track, [], [], [], len(track), ())

def fragile(request):
    if b"what kills" in request:
        os.abort()
    if b"what never ends" in request:
        time.sleep(60)
    return parser_child.work(request)

serve(fragile, 400)
"""


def fragile_guard(folder: Path, trusting: bool = False) -> Guard:
    """A parser that dies and hangs when told to; a trusting one does not look at the events before."""
    script = folder / "fragile.py"
    script.write_text(FRAGILE.format(root=str(ROOT), trusting=trusting))
    return Guard(script, 400, "the MIDI parser", "numpy, symusic")
