"""Parts of the gradient study: each is measured once and kept in a file in the study's folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.files import write_json
from seqaudio.json_files import read_json
from seqaudio.progress import say

flow, clipping, adding = (load(recipes(file)["gradient_flow"]) for file in ("flow.py", "clipping.py", "adding.py"))

LENGTHS = (12, 25, 50, 100, 200, 400, 800)
QUICK_LENGTHS, QUICK_STEPS = (10, 20, 40), 500


def measured_flow(config: Any) -> dict[str, Any]:
    """Curves and heat maps of nets as they begin. config: with out, lags, seed."""
    settings = {"lags": config.lags, "seed": config.seed}
    return finished(config.out / "flow.json", settings, lambda: flow.measure(config.lags, config.seed))


def measured_clipping(config: Any) -> dict[str, Any]:
    """The explosion, and the same training with clipped gradients. config: with out, seed."""
    plan = clipping.ClippingStudy(seed=config.seed)
    return finished(config.out / "clipping.json", asdict(plan), lambda: clipping.run_clipping(plan))


def measured_adding(config: Any) -> dict[str, Any]:
    """Which cell stops learning at which length. config: as `adding_study` takes it, with out."""
    plan = adding_study(config)
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(plan).items()}
    folder = config.out / "adding"
    return finished(config.out / "adding.json", settings, lambda: adding.run_adding(plan, folder))


def adding_study(config: Any) -> Any:
    """The trainings that the options ask for."""
    lengths = config.lengths or (QUICK_LENGTHS if config.quick else LENGTHS)
    if list(lengths) != sorted(set(lengths)):
        raise OptionError(f"--lengths {' '.join(map(str, lengths))}, expected ascending lengths, such as 50 100 200")
    return adding.AddingStudy(
        lengths=lengths,
        cells=config.cells or adding.CELLS,
        learning_rates=config.learning_rates,
        parameters=config.parameters,
        steps=config.steps or (QUICK_STEPS if config.quick else 1_500),
        seed=config.seed,
    )


def finished(file: Path, settings: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The measurements of a part: read from its file, or measured now and written there.

    Raises RunError where the file was made with other settings.
    """
    if file.exists():
        data: dict[str, Any] = read_json(file)
        if data["settings"] != settings:
            raise RunError(f"{file} was made with other settings; choose another --out")
        return data
    say(f"{file.stem} ...")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"settings": settings} | measure())
    return finished(file, settings, measure)  # as it is read, so that a study that goes on has the same
