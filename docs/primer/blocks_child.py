"""Runs python blocks of pages, and tells what each printed; examples.py starts it.

Reads JSON from stdin: {"seed": number, "pages": [{"name": text, "folder": text, "blocks": [text, ...]}, ...]}.
Writes a line of JSON for each block: page, block (from 0), printed, error (null where all went well), seconds.
All pages share one process, so that torch is imported once; each has a namespace and a working folder of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import linecache
import os
import random
import sys
import time
import traceback
from typing import Any, TextIO

import numpy as np


def run_page(page: dict[str, Any], seed: int, results: TextIO) -> None:
    """Run the blocks of a page in order, up to the first that fails."""
    start_afresh(seed, with_torch=any("torch" in code or "seqaudio" in code for code in page["blocks"]))
    os.chdir(page["folder"])
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, code in enumerate(page["blocks"]):
        start = time.perf_counter()
        printed, error = run_block(code, f"<{page['name']}, block {number + 1}>", namespace)
        seconds = round(time.perf_counter() - start, 3)
        line = {"page": page["name"], "block": number, "printed": printed, "error": error, "seconds": seconds}
        print(json.dumps(line), file=results, flush=True)
        if error is not None:
            return


def run_block(code: str, name: str, namespace: dict[str, Any]) -> tuple[str, str | None]:
    """The output of a block, and its traceback where it failed."""
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)  # tracebacks quote the block
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            exec(compile(code, name, "exec"), namespace)
        except Exception:  # noqa: BLE001 - whatever a block raises is its result
            return output.getvalue(), traceback.format_exc()
    return output.getvalue(), None


def start_afresh(seed: int, with_torch: bool) -> None:
    """Put right what an earlier page may have left behind: generators, the default type of numbers."""
    random.seed(seed)
    np.random.seed(seed)
    if not with_torch:
        return  # its import takes seconds
    import torch

    torch.manual_seed(seed)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.set_num_threads(1)


def main() -> None:
    """Serve the pages of stdin."""
    task = json.load(sys.stdin)
    # what a library writes to descriptor 1 must not get between the results
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for page in task["pages"]:
        run_page(page, task["seed"], results)


if __name__ == "__main__":
    main()
