"""Initial weights from another run: `--start-from RUN`."""

from __future__ import annotations

from pathlib import Path

from seqaudio.errors import RunError
from seqaudio.files import sha256_of
from seqaudio.models import Model
from seqaudio.progress import say
from seqaudio.run_folder import RunFolder, TrainedOn
from seqaudio.vocabulary import Vocabulary

VOCABULARY_PARAMETERS = ("embedding.", "output.")  # prefixes: these have one row for each name of the vocabulary


def initialise_from(
    parent: Path | None, model: Model, store: TrainedOn, recipe: str, labels: Vocabulary | None = None
) -> dict[str, str] | None:
    """Copy the weights of the run `parent` into a new model where they fit.

    The mean and deviation of the inputs are copied with the weights. Where the vocabularies differ, the rows of names
    in both are copied. One line on the terminal lists what was not copied. Returns the run's name and the hash of its
    weights; None where `parent` is None.

    labels: of the model, where they are not those of the store.

    Raises RunError for a run of another recipe, one that was trained on other features, or one of which nothing fits.
    """
    if parent is None:
        return None
    run = RunFolder(parent)
    run.require(recipe, "this training")
    run.check_store(store)
    weights = run.weights()
    names = store.names if labels is None else labels
    same_names = run.vocabulary == names
    shared = [name for name in names if name in run.vocabulary]
    here, there = ([vocabulary.index(name) for name in shared] for vocabulary in (names, run.vocabulary))
    new: list[str] = []
    by_row: list[str] = []
    copied = 0  # matrices; a bias alone is not worth starting from
    for name, value in model.state_dict().items():
        weight = weights.get(name)
        of_names = name.startswith(VOCABULARY_PARAMETERS) and not same_names
        if weight is not None and of_names and weight.shape[1:] == value.shape[1:] and shared:
            value[here] = weight[there].to(value)
            by_row.append(name)
            copied += value.dim() > 1
        elif weight is not None and not of_names and weight.shape == value.shape:
            value.copy_(weight)
            copied += value.dim() > 1
        else:
            new.append(name)
    if not copied:
        raise RunError(f"{parent}: none of its weights fit; give the --cell, --hidden-size and --layers that it has")
    say(f"starting from {parent}; {_describe_new(new, by_row, len(names) - len(shared))}")
    return {"run": run.path.name, "sha256": sha256_of(run.path / "model.safetensors")}


def _describe_new(new: list[str], by_row: list[str], names: int) -> str:
    parts = [*new, *([f"the rows of {names:,} names in {', '.join(by_row)}"] if by_row and names else [])]
    return f"newly initialised: {', '.join(parts)}" if parts else "all weights fit"
