"""Open a run with its store at the start of an evaluation; write results and curves at the end of a training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqaudio.bptt import Trained
from seqaudio.errors import RunError
from seqaudio.evaluation.comparison import is_share
from seqaudio.evaluation.figures import draw_curves, read_metrics
from seqaudio.evaluation.results import command_line, read_results, results
from seqaudio.files import write_json
from seqaudio.run_folder import RunFolder, other_settings
from seqaudio.store import Store


def open_run(
    run: Path, recipe: str, kind: str | tuple[str, ...], store: Path | None = None, exact: bool = False
) -> tuple[RunFolder, Store]:
    """A finished run of a recipe, and the store that it was trained on or another one that suits it.

    Args:
        kind: the kind of store that the recipe needs.
        store: path of the store; None is the path that the run was trained with.
        exact: accept no store but that of the training.
    Raises:
        RunError: no run, a run of another recipe, one that is not finished, or a store that does not suit it.
        StoreError: no store, or one of another kind.
    """
    folder = finished_run(run, recipe)
    found = Store(store or folder.settings["store"])
    found.require(kind, recipe.replace("_", " "))
    if not exact:
        folder.check_store(found)
    elif found.fingerprint != folder.config["store"]:
        raise RunError(
            f"{found.path} is not the store that {run} was trained on, and its normalisation would not fit; give the "
            f"store of the training"
        )
    return folder, found


def finished_run(run: Path, recipe: str) -> RunFolder:
    """A run of a recipe that is finished. Raises RunError for any other."""
    folder = RunFolder(run)
    folder.require(recipe, "this recipe")
    read_results(run)
    return folder


def begun_run(run: Path, options: Any) -> bool:
    """Whether a study began this run before, so that it resumes the training or finds it finished.

    Raises RunError where it was made with other options.
    """
    if not run.exists():
        return False
    if others := other_settings(RunFolder(run), options):
        raise RunError(
            f"{run} was made with other values of {', '.join(others)}; give those values, or choose another --out"
        )
    return True


def finish(
    trained: Trained,
    *,
    reached: str,
    metric: str,
    baselines: Mapping[str, Mapping[str, float]],
    valid: dict[str, float] | None = None,
    command: str | None = None,
    more: Mapping[str, Any] | None = None,
    curves: bool = True,
) -> None:
    """Write results.json and the learning curves, and print the validation result and the next command.

    Args:
        reached: the model's validation result in words, for the printed line.
        metric: the metric of the baselines that is printed beside it.
        baselines: the validation metrics of each baseline, on the same sequences as the model.
        valid: the model's validation metrics, where they were measured again after the training.
        command: the command that repeats the run; by default the command of this process.
        more: further entries of results.json.
        curves: whether to draw the learning curves.
    """
    folder = trained.folder
    outcome = results(
        recipe=folder.recipe,
        seed=folder.settings["seed"],
        valid=valid or trained.best,
        baselines={name: {"valid": dict(metrics)} for name, metrics in baselines.items()},
        parameters=trained.parameters,
        wall_seconds=trained.seconds,
        command=command or command_line(),
    )
    write_json(folder.path / "results.json", outcome | dict(more or {}))
    if curves:
        draw_curves(read_metrics(folder.metrics_file), folder.figure("curves"))
    print(
        f"validation {reached} ({beside(baselines, metric)}), {trained.parameters:,} parameters, "
        f"{trained.seconds:.0f} s; next: recipes/{folder.recipe}/evaluate.py --run {folder.path} --split test"
    )


def beside(baselines: Mapping[str, Mapping[str, float]], metric: str) -> str:
    """A metric of each baseline as text, to print beside that of the model."""
    return ", ".join(
        f"{name} " + (f"{100 * scores[metric]:.2f} %" if is_share(metric) else f"{scores[metric]:.4f}")
        for name, scores in baselines.items()
    )
