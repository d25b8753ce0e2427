"""A MIDI parser that dies and hangs when a file tells it to."""

from __future__ import annotations

from pathlib import Path

from conftest import ROOT
from seqaudio.guarded.parent import Guard

FRAGILE = """
import ctypes, os, sys, time
sys.path.insert(0, {root!r})
from seqaudio.guarded.child import serve
from seqaudio.midi import parser_child

def fragile(request):
    if b"what kills" in request:
        for stream in (1, 2):
            os.write(stream, b"the parser died")
        ctypes.string_at(0)  # a segmentation fault, as of native code
    if b"what never ends" in request:
        time.sleep(60)
    return parser_child.work(request)

serve(fragile, 400)
"""


def fragile_guard(folder: Path) -> Guard:
    """A parser that dies and hangs when told to."""
    script = folder / "fragile.py"
    script.write_text(FRAGILE.format(root=str(ROOT)))
    return Guard(script, 400, "the MIDI parser", "numpy, symusic")
