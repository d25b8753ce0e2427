"""Measure how gradients change on their way back through time, and up to which length each cell still learns.

    recipes/gradient_flow/study.py --out runs/gradient_flow
    recipes/gradient_flow/study.py --out runs/gradient_flow_quick --quick

Gradient against lag of nets as they begin, beside theory where theory is exact; an explosion and its cure; the adding
problem at growing length. Stop with Ctrl-C and go on with the same command: what is finished is kept. With another
--language the figures alone are drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, recipes
from seqaudio.files import write_json

parts, figures = (load(recipes(file)["gradient_flow"]) for file in ("parts.py", "figures.py"))
flow, clipping, adding = parts.flow, parts.clipping, parts.adding


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


def main(config: Config) -> None:
    """Do what is missing, draw, print the tables."""
    for part in config.parts:
        PARTS[part](config)


def show_flow(config: Config) -> None:
    """Gradient against lag of nets as they begin."""
    found = parts.measured_flow(config)
    figures.draw_flow(found, figure(config, "flow"), config.language)
    figures.draw_maps(found, figure(config, "maps"), config.language)
    print(flow.table(found))


def show_clipping(config: Config) -> None:
    """An explosion, and the same training with clipped gradients."""
    found = parts.measured_clipping(config)
    figures.draw_clipping(found, figure(config, "clipping"), config.language)
    print(clipping.table(found))


def show_adding(config: Config) -> None:
    """Which cell stops learning at which length, and the published copy."""
    found = parts.measured_adding(config)
    figures.draw_adding(found, adding.names(found), figure(config, "adding"), config.language)
    if config.publish is not None:
        config.publish.mkdir(parents=True, exist_ok=True)
        write_json(config.publish / "gradient_flow_adding.json", found)
    print(adding.table(found))


PARTS = {"flow": show_flow, "clipping": show_clipping, "adding": show_adding}


def figure(config: Config, name: str) -> Path:
    """Where a figure belongs."""
    folder = config.out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"


if __name__ == "__main__":
    run(Config, main)
