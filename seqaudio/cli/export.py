"""Write one step of a trained model for other programs: ONNX, or C, JavaScript or a page without dependencies.

Example: seqaudio export runs/hey --out hey.onnx
         seqaudio export runs/hey --out hey8.onnx --int8
         seqaudio export runs/hey --c hey.c --js hey.js --page hey.html

Keyword models take the samples of one hop, and their features are inside; models of music and text take a token,
forecasters the values of a step. A file is compared with the model before it is written. docs/deploying.md shows how to
use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from seqaudio.cli.outputs import check_output, written
from seqaudio.errors import OptionError


@dataclass(frozen=True)
class Config:
    """The run, and the files to write."""

    run: tyro.conf.Positional[Path]  # run folder of keywords, speech recognition, music or text, or forecasting
    out: Path | None = None  # ONNX to write; needs the extra export
    c: Path | None = None  # C99 source to write; checked where there is gcc
    js: Path | None = None  # JavaScript module to write (.js or .mjs); checked where there is node
    page: Path | None = None  # HTML file to write, which listens to the microphone without a server
    int8: bool = False  # keep the weights of the net's products in 8 bits; the features stay in float
    store: Path | None = None  # on whose validation split --int8 is checked; by default that of the training
    force: bool = False  # replace existing files


def main(config: Config) -> None:
    """Write the files, and say how far they are from the model, and how large."""
    if all(path is None for path in (config.out, config.c, config.js, config.page)):
        raise OptionError("nothing to write; give --out kws.onnx, --c kws.c, --js kws.js or --page kws.html")
    if config.out is not None:
        check_output("--out", config.out, ".onnx", config.force)
    if config.c is not None:
        check_output("--c", config.c, ".c", config.force)
    if config.js is not None:
        check_output("--js", config.js, (".js", ".mjs"), config.force)
    if config.page is not None:
        check_output("--page", config.page, (".html", ".htm"), config.force)

    from seqaudio.export import export_step
    from seqaudio.export.c_file import write_c
    from seqaudio.export.js_file import write_js
    from seqaudio.export.js_page import write_page
    from seqaudio.export.measuring import compare_int8
    from seqaudio.export.onnx_file import check_extra
    from seqaudio.export.writing import write_onnx
    from seqaudio.run_folder import RunFolder
    from seqaudio.store import Store

    if config.out is not None or config.int8:
        check_extra()
    run = RunFolder(config.run)
    step = export_step(run)
    if config.page is not None and not step.about.hop:
        raise OptionError(f"--page is for models that hear; {config.run} takes {step.about.kind}; write --js instead")
    graph = step.graph()
    store = None
    if config.int8:
        store = Store(config.store or run.training_store("; give a store by --store"))
        run.check_store(store)
    if config.out is not None:
        with written(config.out):
            print(f"{config.out}: {write_onnx(step, graph, config.out, config.int8)}")
    if config.c is not None:
        with written(config.c):
            print(f"{config.c}: {write_c(step, graph, config.c, config.int8)}")
    if config.js is not None:
        with written(config.js):
            print(f"{config.js}: {write_js(step, graph, config.js, config.int8)}")
    if config.page is not None:
        with written(config.page):
            print(f"{config.page}: {write_page(step, graph, config.page, config.int8)}")
    if store is not None:
        print(f"on validation: {compare_int8(step, run, store)}")
