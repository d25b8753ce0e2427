"""A training that begins with the weights of another run: `--start-from RUN`."""

from __future__ import annotations

from pathlib import Path

from seqaudio.errors import RunError
from seqaudio.files import sha256_of
from seqaudio.models import Model
from seqaudio.progress import say
from seqaudio.run_folder import RunFolder, TrainedOn

OF_NAMES = ("embedding.", "output.")  # parameters of all models that have a row for each name of the vocabulary


def begin_with(parent: Path | None, model: Model, store: TrainedOn, recipe: str) -> dict[str, str] | None:
    """Give a new model the weights of a run, as far as they fit; the run's name and the hash of its weights.

    Statistics of normalisation belong to the weights and come with them. Where the vocabularies differ, rows of names
    that both have are taken over. All that stays new is named in one line. None where `parent` is None.

    Raises RunError where the run is of another recipe, was trained on other features, or has nothing that fits.
    """
    if parent is None:
        return None
    run = RunFolder(parent)
    run.require(recipe, "this training")
    run.check_store(store)
    weights = run.weights()
    same_names = run.vocabulary == store.names
    shared = [name for name in store.names if name in run.vocabulary]
    here, there = ([names.index(name) for name in shared] for names in (store.names, run.vocabulary))
    new: list[str] = []
    by_row: list[str] = []
    taken = 0  # matrices; a bias alone is no beginning
    for name, value in model.state_dict().items():
        weight = weights.get(name)
        of_names = name.startswith(OF_NAMES) and not same_names
        if weight is not None and of_names and weight.shape[1:] == value.shape[1:] and shared:
            value[here] = weight[there].to(value)
            by_row.append(name)
            taken += value.dim() > 1
        elif weight is not None and not of_names and weight.shape == value.shape:
            value.copy_(weight)
            taken += value.dim() > 1
        else:
            new.append(name)
    if not taken:
        raise RunError(f"{parent}: none of its weights fit; give the --cell, --hidden-size and --layers that it has")
    say(f"starting from {parent}; {_what_is_new(new, by_row, len(store.names) - len(shared))}")
    return {"run": run.path.name, "sha256": sha256_of(run.path / "model.safetensors")}


def _what_is_new(new: list[str], by_row: list[str], names: int) -> str:
    parts = [*new, *([f"the rows of {names:,} names in {', '.join(by_row)}"] if by_row and names else [])]
    return f"new are {', '.join(parts)}" if parts else "all weights fit"
