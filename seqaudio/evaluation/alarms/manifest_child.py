"""Load a model of microWakeWord in a child process and let it hear noise, since a damaged file crashes its interpreter.

request   the path of the manifest, its bytes
reply     JSON: empty; or fault, why the package does not take it
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # import the same seqaudio as the parent process

import numpy as np
from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures

from seqaudio.guarded.child import serve

SECONDS, RATE = 2, 16000


def work(request: bytes) -> tuple[dict[str, Any], bytes]:
    """JSON of the reply, as described above, and no bytes."""
    noise = np.random.default_rng(0).normal(0, 1000, SECONDS * RATE).astype("<i2")
    try:
        model = MicroWakeWord.from_config(os.fsdecode(request))
        for frame in MicroWakeWordFeatures().process_streaming(noise.tobytes()):
            model.process_streaming_prob(frame)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        return {"fault": f"{type(error).__name__}: {error}"}, b""
    return {}, b""


if __name__ == "__main__":
    serve(work, int(sys.argv[1]))
