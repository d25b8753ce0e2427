"""Write one step of a trained model for other programs, as ONNX, C, JavaScript or a page; or a folder for a model hub.

Example: seqaudio export runs/hey --out hey.onnx
         seqaudio export runs/hey --out hey8.onnx --int8
         seqaudio export runs/hey --c hey.c --js hey.js --page hey.html
         seqaudio export runs/hey --tflite hey.tflite
         seqaudio export runs/hey --hub hey --licence CC-BY-4.0

The step of a keyword model takes the samples of one hop and computes the features itself; that of music and text takes
a token, that of a forecaster the values of a step. A file is compared with the model before it is written.
docs/deploying.md shows how to use it. --hub takes any run, and writes what is needed to load it, with a card; the
weights stay as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from seqaudio.cli.outputs import check_output, written
from seqaudio.errors import OptionError

# of the files, by option
SUFFIXES: dict[str, str | tuple[str, ...]] = {
    "out": ".onnx",
    "c": ".c",
    "js": (".js", ".mjs"),
    "page": (".html", ".htm"),
    "tflite": ".tflite",
}


@dataclass(frozen=True)
class Config:
    """The run, and the files to write."""

    run: tyro.conf.Positional[Path]  # run folder of keywords, speech recognition, music or text, or forecasting
    out: Path | None = None  # ONNX to write; needs the extra export
    c: Path | None = None  # C99 source to write; checked where there is gcc
    js: Path | None = None  # JavaScript module to write (.js or .mjs); checked where there is node
    page: Path | None = None  # HTML file to write, which listens to the microphone without a server
    tflite: Path | None = None  # file in 8 bits for ESPHome's micro_wake_word; the manifest goes beside it, as .json
    hub: Path | None = None  # folder to write for a model hub: weights in safetensors, config, card
    licence: str = ""  # of the weights, for the card of --hub: an SPDX identifier such as CC-BY-4.0
    int8: bool = False  # weights in 8 bits; the features stay in float
    store: Path | None = None  # its validation split checks 8 bits; by default that of the training
    force: bool = False  # replace existing files


def main(config: Config) -> None:
    """Write the files, and say how far they are from the model, and how large."""
    check(config)
    if config.hub is not None:
        _write_hub(config, config.hub)
    if any(getattr(config, name) is not None for name in SUFFIXES):
        _write_files(config)


def check(config: Config) -> None:
    """Raise OptionError for options that cannot work, before torch and the model are loaded."""
    if all(getattr(config, name) is None for name in (*SUFFIXES, "hub")):
        raise OptionError(
            "nothing to write; give --out kws.onnx, --c kws.c, --js kws.js, --page kws.html, --tflite kws.tflite or "
            "--hub FOLDER"
        )
    if config.licence and (config.hub is None or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", config.licence)):
        raise OptionError(f"--licence {config.licence!r}, expected an SPDX identifier such as CC-BY-4.0, with --hub")
    for name, suffixes in SUFFIXES.items():
        if (file := getattr(config, name)) is not None:
            check_output(f"--{name}", file, suffixes, config.force)
    if config.tflite is not None:
        check_output("--tflite", config.tflite.with_suffix(".json"), ".json", config.force)


def _write_files(config: Config) -> None:
    from seqaudio.export import export_step
    from seqaudio.export.c_file import write_c
    from seqaudio.export.js_file import write_js
    from seqaudio.export.js_page import write_page
    from seqaudio.export.measuring import compare_int8
    from seqaudio.export.micro_file import check_package, micro_net, write_micro
    from seqaudio.export.onnx_file import check_extra
    from seqaudio.export.writing import write_onnx
    from seqaudio.run_folder import RunFolder
    from seqaudio.store import Store

    if config.out is not None or config.int8:
        check_extra()
    if config.tflite is not None:
        check_package()
    run = RunFolder(config.run)
    if config.tflite is not None:
        micro_net(run)
    step = export_step(run)
    if config.page is not None and not step.about.hop:
        raise OptionError(f"--page is for models that hear; {config.run} takes {step.about.kind}; write --js instead")
    graph = step.graph()
    store = None
    if config.int8 or config.tflite is not None:
        store = Store(config.store or run.training_store("; give a store by --store"))
        run.check_store(store)
    writers = ((config.out, write_onnx), (config.c, write_c), (config.js, write_js), (config.page, write_page))
    for file, write in writers:
        if file is not None:
            with written(file):
                print(f"{file}: {write(step, graph, file, config.int8)}")
    if config.tflite is not None and store is not None:
        with written(config.tflite):
            print(f"{config.tflite}: {write_micro(run, store, config.tflite)}")
    if config.int8 and store is not None:
        print(f"on validation: {compare_int8(step, run, store)}")


def _write_hub(config: Config, out: Path) -> None:
    from seqaudio.export.packing import card_of_run, pack_for_hub
    from seqaudio.run_folder import RunFolder
    from seqaudio.trained import card_of

    run = RunFolder(config.run)
    card = card_of(run.path) or card_of_run(run)
    card = replace(card, licence=config.licence or card.licence)
    with written(out):
        folder = pack_for_hub(run.path, out, card, config.force)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    print(
        f"{out}: {size / 1000:,.0f} kB, licence {card.licence or 'not stated: give --licence'}; README.md is its card"
    )
