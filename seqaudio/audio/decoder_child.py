"""Decode a file in a child process, since it may crash the decoder: a path comes in, samples go out.

request   JSON: path (its bytes in hexadecimal), decoder (sndfile or media), max_seconds
reply     JSON: rate and remark, and samples float32 [N] as bytes; or reason and detail; or, for a file that libsndfile
          does not open, not_opened, its message, and unsupported_encoding, whether its codec is the cause
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # import the same seqaudio as the parent process

import numpy as np

from seqaudio.audio.recording import Recording
from seqaudio.audio.sndfile import NotDecodedError, decode_with_sndfile
from seqaudio.errors import AudioError
from seqaudio.guarded.child import serve
from seqaudio.ledger import Reason


def work(request: bytes) -> tuple[dict[str, Any], bytes]:
    """JSON and bytes of the reply, as described above."""
    options = json.loads(request)
    path = Path(os.fsdecode(bytes.fromhex(options["path"])))
    try:
        recording = _decode(options["decoder"], path, options["max_seconds"])
    except NotDecodedError as error:
        return {"not_opened": str(error), "unsupported_encoding": error.unsupported_encoding}, b""
    except AudioError as error:
        return {"reason": error.reason, "detail": error.detail}, b""
    except MemoryError:
        return {"reason": Reason.DAMAGED, "detail": "decoding it needs more memory than its length explains"}, b""
    return {"rate": recording.sample_rate, "remark": recording.remark}, np.ascontiguousarray(
        recording.samples, dtype="<f4"
    ).tobytes()


def _decode(decoder: str, path: Path, max_seconds: float) -> Recording:
    if decoder == "sndfile":
        return decode_with_sndfile(path, max_seconds)
    from seqaudio.audio.media import decode_with_av

    return decode_with_av(path, max_seconds)


if __name__ == "__main__":
    serve(work, int(sys.argv[1]))
