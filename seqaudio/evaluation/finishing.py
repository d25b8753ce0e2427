"""How recipes begin an evaluation and end a training: a run opened beside its store, results and curves written."""

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
    """A finished run of a recipe and the store that it was trained on, or another one that suits it.

    Args:
        kind: of the store.
        store: where it is, if not where it was during the training.
        exact: only the very store of the training will do.
    Raises:
        RunError: no run, one of another recipe, one that is not finished, or one that the store does not suit.
        StoreError: no store, or one of another kind.
    """
    folder = finished_run(run, recipe)
    found = Store(store or folder.settings["store"])
    found.require(kind, recipe.replace("_", " "))
    if not exact:
        folder.check_store(found)
    elif found.fingerprint != folder.config["store"]:
        raise RunError(f"{found.path} is not the store that {run} was trained on; its scaling would not fit")
    return folder, found


def finished_run(run: Path, recipe: str) -> RunFolder:
    """A run of a recipe that is finished. Raises RunError for any other."""
    folder = RunFolder(run)
    folder.require(recipe, "this recipe")
    read_results(run)
    return folder


def begun_run(run: Path, options: Any) -> bool:
    """Whether a study has begun a run before; its training is to be resumed then, or is finished.

    Raises RunError where it was made with other options.
    """
    if not run.exists():
        return False
    if others := other_settings(RunFolder(run), options):
        raise RunError(f"{run} was made with another {', '.join(others)}; choose another --out")
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
    """Write results.json and the learning curves, and print what was reached and what comes next.

    Args:
        reached: on validation, in words.
        metric: of the baselines, told beside it.
        baselines: the metrics of each on validation, on the same sequences as the model.
        valid: the model's metrics, where they were measured again after the training.
        command: that repeats the run; that of this process by default.
        more: that results.json keeps.
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
    """A metric of each baseline, in words."""
    return ", ".join(
        f"{name} " + (f"{100 * scores[metric]:.2f} %" if is_share(metric) else f"{scores[metric]:.4f}")
        for name, scores in baselines.items()
    )
