"""What becomes of gradients on their way back through time, and which cell still learns at which length.

    recipes/gradient_flow/study.py --out runs/gradient_flow
    recipes/gradient_flow/study.py --out runs/gradient_flow_quick --quick

Gradient against lag of nets as they begin, beside theory where theory is exact; an explosion and its cure; the adding
problem at growing length. Stop with Ctrl-C and go on with the same command: what is finished is kept. With another
--language the figures alone are drawn again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.files import write_json
from seqaudio.progress import say

FILES = ("flow.py", "clipping.py", "adding.py", "figures.py")
flow, clipping, adding, figures = (load(recipes(file)["gradient_flow"]) for file in FILES)

LENGTHS = (12, 25, 50, 100, 200, 400, 800)
QUICK_LENGTHS, QUICK_STEPS = (10, 20, 40), 500


@dataclass(frozen=True)
class Config:
    """Options of the study."""

    out: Path  # folder of results and figures; the same one goes on with a study
    parts: tuple[Literal["flow", "clipping", "adding"], ...] = ("flow", "clipping", "adding")  # what to do
    language: Literal["en", "tr"] = "en"  # of the figures
    quick: bool = False  # three short lengths and fewer updates: minutes
    lags: int = 100  # K, steps that gradients are followed back
    lengths: tuple[int, ...] = ()  # T of the adding problem, ascending; 12 to 800 where none is given
    cells: tuple[str, ...] = ()  # of the adding problem: CELL or CELL@INITIALISATION; six where none is named
    learning_rates: tuple[float, ...] = (3e-3, 1e-2)  # the trials of each cell
    parameters: int = 5_000  # of every model of the adding problem, within 2 %
    steps: int | None = None  # updates of every trial; 1500, and 500 where it has to be quick
    seed: int = 1
    publish: Path | None = None  # folder that takes a copy of the adding problem's results: docs/results/studies


def adding_study(config: Config) -> Any:
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
    """What a part found, from its file, or measured now and filed.

    Raises RunError where the file was made with other settings.
    """
    if file.exists():
        data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if data["settings"] != settings:
            raise RunError(f"{file} was made with other settings; choose another --out")
        return data
    say(f"{file.stem} ...")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {"settings": settings} | measure())
    return finished(file, settings, measure)  # as it is read, so that a study that goes on has the same


def measured_flow(config: Config) -> dict[str, Any]:
    """Curves and heat maps of nets as they begin."""
    settings = {"lags": config.lags, "seed": config.seed}
    return finished(config.out / "flow.json", settings, lambda: flow.measure(config.lags, config.seed))


def measured_clipping(config: Config) -> dict[str, Any]:
    """The explosion, and the same training with clipped gradients."""
    plan = clipping.ClippingStudy(seed=config.seed)
    return finished(config.out / "clipping.json", asdict(plan), lambda: clipping.run_clipping(plan))


def measured_adding(config: Config) -> dict[str, Any]:
    """Which cell stops learning at which length."""
    plan = adding_study(config)
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(plan).items()}
    folder = config.out / "adding"
    return finished(config.out / "adding.json", settings, lambda: adding.run_adding(plan, folder))


def show_flow(config: Config) -> None:
    """Figures and table of `measured_flow`."""
    found = measured_flow(config)
    figures.draw_flow(found, figure(config, "flow"), config.language)
    figures.draw_maps(found, figure(config, "maps"), config.language)
    print(flow.table(found))


def show_clipping(config: Config) -> None:
    """Figure and table of `measured_clipping`."""
    found = measured_clipping(config)
    figures.draw_clipping(found, figure(config, "clipping"), config.language)
    print(clipping.table(found))


def show_adding(config: Config) -> None:
    """Figure and table of `measured_adding`, and the published copy."""
    found = measured_adding(config)
    figures.draw_adding(found, adding.names(found), figure(config, "adding"), config.language)
    if config.publish is not None:
        config.publish.mkdir(parents=True, exist_ok=True)
        write_json(config.publish / "gradient_flow_adding.json", found)
    print(adding.table(found))


def figure(config: Config, name: str) -> Path:
    """Where a figure belongs."""
    folder = config.out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"


PARTS = {"flow": show_flow, "clipping": show_clipping, "adding": show_adding}


def main(config: Config) -> None:
    """Do what is missing, draw, print the tables."""
    for part in config.parts:
        PARTS[part](config)


if __name__ == "__main__":
    run(Config, main)
