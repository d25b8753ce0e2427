"""Decode in a child process: a file that crashes or hangs it is refused, and the next one is still read."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from seqaudio.audio.recording import Recording
from seqaudio.audio.sndfile import NotDecodedError
from seqaudio.errors import AudioError, how_to_install
from seqaudio.guarded.parent import ChildCrashedError, ChildTimeoutError, the_guard
from seqaudio.ledger import Reason

CHILD = Path(__file__).with_name("decoder_child.py")
MEGABYTES = 3072  # an hour at 48 kHz takes 1.4 GB while its blocks are concatenated
MEASURED_SECONDS = 3600.0  # longer recordings, where they are allowed, may take as much more
SECONDS = 30.0  # for any file
SECONDS_EACH_MEGABYTE = 3.0  # in addition for large files: ten times as long as decoding takes


def decode_in_child(path: Path, decoder: str, what: str, max_seconds: float) -> Recording:
    """One recording at its own rate.

    Args:
        decoder: "sndfile", or "media" for PyAV.
        what: the container, or why PyAV is needed, for the error where it is not installed.
    Raises:
        NotDecodedError: libsndfile does not open it.
        AudioError: as the decoders do; NEEDS_EXTRA without PyAV; PARSER_CRASHED and PARSER_TIMEOUT.
    """
    if decoder == "media" and find_spec("av") is None:
        raise AudioError(path, Reason.NEEDS_EXTRA, f"is {what}; to read it: {how_to_install('media')}")
    request = {"path": os.fsencode(path.absolute()).hex(), "decoder": decoder, "max_seconds": max_seconds}
    deadline = SECONDS + SECONDS_EACH_MEGABYTE * path.stat().st_size / 1e6
    megabytes = int(MEGABYTES * max(1.0, max_seconds / MEASURED_SECONDS))
    guard = the_guard(CHILD, megabytes, "the decoder of MP3 and media files", "numpy, soundfile, soxr")
    try:
        reply, content = guard.ask(json.dumps(request).encode(), deadline)
    except ChildCrashedError as error:
        raise AudioError(path, Reason.PARSER_CRASHED, f"the decoder crashed on it: {error}") from None
    except ChildTimeoutError as error:
        raise AudioError(path, Reason.PARSER_TIMEOUT, f"the decoder took too long: {error}") from None
    if "reason" in reply:
        raise AudioError(path, Reason(reply["reason"]), reply["detail"])
    if "not_opened" in reply:
        raise NotDecodedError(reply["not_opened"], reply["unsupported_encoding"])
    return Recording(np.frombuffer(content, "<f4").astype(np.float32), reply["rate"], reply["remark"])
