"""Open a run with its store at the start of an evaluation; write results and curves at the end of a training."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqaudio import extensions
from seqaudio.bptt import Trained
from seqaudio.errors import RunError, StoreError
from seqaudio.evaluation.comparison import better_when, is_share
from seqaudio.evaluation.figures import draw_curves, read_metrics
from seqaudio.evaluation.results import command_line, read_results, results, with_order
from seqaudio.files import write_json
from seqaudio.own_scripts import recipes
from seqaudio.run_folder import RunFolder, is_not_begun, other_settings
from seqaudio.store import Store

VERY_FEW_STEPS = 100  # of the optimiser: too few whatever the curves say
FEW_STEPS = 300  # of the optimiser: after fewer, a net has seldom learned what it can


def open_run(
    run: Path, recipe: str, kind: str | tuple[str, ...], store: Path | None = None, exact: bool = False
) -> tuple[RunFolder, Store]:
    """Open a finished run of a recipe, and a store to evaluate it on.

    Args:
        kind: of the store.
        store: its folder; that of the training by default.
        exact: accept no other store than that of the training, which may have been moved.
    Raises:
        RunError: not a run, a run of another recipe, one that is not finished, or a store that does not fit it.
        StoreError: not a store, or a store of another kind.
    """
    folder = finished_run(run, recipe)
    found = Store(store or folder.training_store("; give a store by --store"))
    found.require(kind, recipe.replace("_", " "))
    if found.kind == "text" and found.names != folder.vocabulary:
        raise RunError(
            f"{found.path} has another vocabulary ({len(found.names):,} names) than {run} was trained on "
            f"({len(folder.vocabulary):,}); evaluate on a store of the same text"
        )
    if not exact:
        folder.check_store(found)
    elif found.fingerprint != folder.config["store"]:
        raise RunError(
            f"{found.path} is not the store that {run} was trained on, and its scaling would not fit; "
            f"give the store of the training by --store"
        )
    return folder, found


def finished_run(run: Path, recipe: str) -> RunFolder:
    """Open a finished run of a recipe. Raises RunError for another recipe, or a run that is not finished."""
    folder = RunFolder(run, (recipe,))
    folder.require(recipe, "this recipe")
    read_results(folder.path)
    return folder


def figure_of(folder: RunFolder, store: Store, split: str, name: str) -> Path:
    """The file of a figure about a split of a store; what is not the test of the run's own store is in its name.

    So a figure of the run's own test stays when the run is evaluated elsewhere.
    """
    other = [] if store.fingerprint == folder.config["store"] else [store.path.resolve().name]
    return folder.figure("_".join([name, *other, *([] if split == "test" else [split])]))


def store_of_baselines(folder: RunFolder, store: Store) -> Store | None:
    """The store whose training rows baselines learn from: the one that is evaluated, or else that of the run.

    None, with a warning on stderr, where the first is a test set alone and the second has moved.
    """
    if "train" in store.counts:
        return store
    try:
        own = Store(folder.training_store())
        folder.check_store(own)
        own["train"]
    except (RunError, StoreError) as error:
        print(f"warning: no baselines: {store.path} has no training rows, and {error}", file=sys.stderr)
        return None
    return own


def begun_run(run: Path, options: Any) -> bool:
    """Whether a run of a study exists already, so that it is resumed, or is finished.

    Raises RunError where it was made with other options.
    """
    if not run.exists() or is_not_begun(run):
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
    """Write results.json and the learning curves; print the result and the next command.

    Args:
        reached: the result on validation, in words.
        metric: name of the metric that is printed for the baselines, and by which the model is compared with them.
        baselines: the metrics of each baseline on validation, on the same sequences as the model.
        valid: the model's validation metrics; those of the best epoch by default.
        command: one that repeats the run; that of this process by default.
        more: further entries of results.json.
        curves: draw the learning curves.
    """
    folder = trained.folder
    epochs = read_metrics(folder.metrics_file)
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
        title = f"{folder.path.name}: {folder.recipe.replace('_', ' ')}"
        draw_curves(epochs, folder.figure("curves"), title)
    print(
        f"validation {reached} ({describe_baselines(baselines, metric)}), {trained.parameters:,} parameters, "
        f"{trained.seconds:.0f} s{lost_to(valid or trained.best, baselines, metric)}"
        f"{'' if 'steps' in folder.settings else few_steps(epochs) or still_improving(epochs, folder.settings)}; "
        f"next: {shlex.join(_following(folder))}"
    )


def _following(folder: RunFolder) -> list[str]:
    """The command to run after a training; a recipe of one's own has no evaluation that `seqaudio` knows."""
    if folder.recipe in recipes("evaluate.py"):
        return ["seqaudio", "evaluate", str(folder.path), "--split", "test", *extensions.as_options()]
    return ["seqaudio", "info", str(folder.path)]


def lost_to(model: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]], metric: str) -> str:
    """The end of a closing line where the model is no better than its best baseline; empty where it is better."""
    sign = 1 if better_when(metric) == "higher" else -1
    scored = {name: sign * scores[metric] for name, scores in baselines.items() if metric in scores}
    if metric not in model or not scored or (is_share(metric) and model[metric] == 1.0):
        return ""
    best = max(scored, key=lambda name: scored[name])
    if sign * model[metric] > scored[best]:
        return ""
    return f"; the net does not beat {best}: more data, more epochs or another size may help"


def few_steps(epochs: Sequence[Mapping[str, Any]]) -> str:
    """Words at the end of a closing line where the optimiser made few steps, as from a small store; none otherwise.

    Args:
        epochs: as `read_metrics` gives them, at least one.
    """
    steps, count = int(epochs[-1].get("step", 0)), len(epochs)
    learning = any(
        epoch["best"] for epoch in epochs[-max(1, count // 4) :]
    )  # else more of the same would bring nothing
    if not 0 < steps < (FEW_STEPS if learning else VERY_FEW_STEPS):
        return ""
    enough = -(-FEW_STEPS * count // steps)
    made = f"{count:,} epoch{'s' if count > 1 else ''} made {steps:,} step{'s' if steps > 1 else ''}"
    remedy = f"try --epochs {enough} or a smaller --batch-size, in another --run"
    return f"; {made} only, as there is little to train on: {remedy}"


def still_improving(epochs: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """Words at the end of a closing line where the last epoch was the best of several; none otherwise.

    Args:
        epochs: as `read_metrics` gives them. settings: of the run.
    """
    if len(epochs) < 2 or not epochs[-1]["best"] or epochs[-1]["valid"].get("accuracy") == 1.0:
        return ""
    longer = f"--minutes {2 * settings['minutes']:g}" if settings.get("minutes") else f"--epochs {2 * len(epochs)}"
    return f"; still improving: {longer}, in another --run, may bring more"


def describe_baselines(baselines: Mapping[str, Mapping[str, float]], metric: str) -> str:
    """A metric of each baseline, in words."""
    return ", ".join(
        f"{with_order(name, scores)} "
        + (f"{100 * scores[metric]:.2f} %" if is_share(metric) else f"{scores[metric]:.4f}")
        + (f" (perplexity {scores['perplexity']:.2f})" if "perplexity" in scores else "")
        for name, scores in baselines.items()
    )
