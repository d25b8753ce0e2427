"""Decode, in a child process, what may end it: a path comes in, samples go out.

request   JSON: path (its bytes in hexadecimal), decoder (sndfile or media), max_seconds
reply     JSON: rate, and samples float32 [N]; or reason and detail; or closed, in libsndfile's words, for a file
          that it does not open, and whether its codec is the cause
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # seqaudio as the process has it that started this one

import numpy as np

from seqaudio.audio.recording import Recording
from seqaudio.audio.sndfile import NotDecodedError, decode_with_sndfile
from seqaudio.errors import AudioError
from seqaudio.guarded.child import serve
from seqaudio.ledger import Reason


def work(request: bytes) -> tuple[dict[str, Any], bytes]:
    """What the module's docstring says of a reply."""
    asked = json.loads(request)
    path = Path(os.fsdecode(bytes.fromhex(asked["path"])))
    try:
        recording = _decode(asked["decoder"], path, asked["max_seconds"])
    except NotDecodedError as error:
        return {"closed": str(error), "foreign": error.foreign}, b""
    except AudioError as error:
        return {"reason": error.reason, "detail": error.detail}, b""
    except MemoryError:
        return {"reason": Reason.DAMAGED, "detail": "decoding it takes more memory than its length explains"}, b""
    return {"rate": recording.sample_rate}, np.ascontiguousarray(recording.samples, dtype="<f4").tobytes()


def _decode(decoder: str, path: Path, max_seconds: float) -> Recording:
    if decoder == "sndfile":
        return decode_with_sndfile(path, max_seconds)
    from seqaudio.audio.media import decode_with_av

    return decode_with_av(path, max_seconds)


if __name__ == "__main__":
    serve(work, int(sys.argv[1]))
