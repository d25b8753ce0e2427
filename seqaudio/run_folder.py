"""A run: one folder that holds all of a training and all that its model needs to be used.

config.json        recipe, settings, model (name and arguments), input settings, vocabulary, store fingerprint, the run
                   whose weights it began with (name and hash), and the user's own files that were in use (the same);
                   loading a run never runs them. Settings stand under their plain names, whatever group of options
                   they belong to (`noise`, not `augmentation.noise`); one that a run lacks, since the option came
                   later, counts as the default
metrics.jsonl      a line an epoch; TensorBoard files in tensorboard/
model.safetensors  the weights that were best on validation
resume/            checkpoints, see `checkpoint.py`
results.json       what the run reached, beside its baselines
test_reads.tsv     a line for every time the test split was opened
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from seqaudio import extensions
from seqaudio.errors import OptionError, RunError
from seqaudio.extensions import Extension
from seqaudio.files import write_json
from seqaudio.models import Model, build_model
from seqaudio.option_groups import flat_defaults, flat_values
from seqaudio.tensors import load_tensors, save_tensors
from seqaudio.vocabulary import Vocabulary

FORMAT = 1
OF_A_SESSION = ("run", "resume", "config", "device", "checkpoint_seconds")  # options that may differ when it is resumed


class TrainedOn(Protocol):
    """What a run keeps of the data: that of a store, or of a task made by rule."""

    @property
    def kind(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def names(self) -> Vocabulary: ...
    @property
    def fingerprint(self) -> str: ...


class RunFolder:
    """An existing run. `RunFolder.create` makes one.

    Raises RunError where the folder is missing, is no run, or is of a format that this version does not read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise RunError(f"{self.path}: no such folder; train a model with a recipe's train.py --run {self.path}")
        file = self.path / "config.json"
        if not file.is_file():
            raise RunError(f"{self.path}: not a run (it has no config.json); a recipe's train.py makes runs")
        try:
            self.config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if self.config["format"] != FORMAT:
                raise RunError(f"{self.path}: run format {self.config['format']}, this version reads {FORMAT}")
            self.recipe: str = self.config["recipe"]
            self.settings: dict[str, Any] = self.config["settings"]
            self.input: dict[str, Any] = self.config["input"]
            self.vocabulary = Vocabulary(tuple(self.config["vocabulary"]))
            self.extensions = tuple(Extension(**extension) for extension in self.config.get("use", ()))
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{file}: damaged ({error})") from None

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        recipe: str,
        settings: dict[str, Any],
        model: dict[str, Any],
        store: TrainedOn,
        resume: bool,
        parent: dict[str, str] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """Make the folder of a new run, or open that of an interrupted one.

        Args:
            model: {"name": ..., "arguments": {...}}, as `build_model` takes them.
            store: the run takes over its kind, settings, vocabulary and fingerprint.
            resume: the folder is expected to be there, made with the same settings from the same store and with the
            same user's files, to the byte: what is resumed ends equal to what was never interrupted.
            parent: name and hash of the run whose weights this one began with.
            defaults: of the settings, for a run that was made before an option was there.

        Raises RunError where `resume` and the folder disagree; both sides are named.
        """
        config = {
            "format": FORMAT,
            "recipe": recipe,
            "settings": settings,
            "model": model,
            "input": {"kind": store.kind, "settings": store.settings},
            "vocabulary": list(store.names),
            "store": store.fingerprint,
            "use": [extension._asdict() for extension in extensions.used()],
            "parent": parent,
        }
        if not resume:
            if path.exists():
                raise RunError(f"{path} exists; give --resume to go on with it, or choose another --run")
            path.mkdir(parents=True)
            write_json(path / "config.json", config)
            return cls(path)
        run = cls(path)
        before, now = run.extensions, extensions.used()
        if {extension.sha256 for extension in before} != {extension.sha256 for extension in now}:
            raise RunError(
                f"{path} was made with --use {extensions.listed(before)}, now it is {extensions.listed(now)}; "
                f"give the very file again, or choose another --run"
            )
        for name in ("recipe", "store", "model", "parent"):
            if run.config[name] != config[name]:
                raise RunError(
                    f"{path} was made with {name} {_short(run.config[name])}, now it is {_short(config[name])}; "
                    f"give what it was made with, or choose another --run"
                )
        for name, (then, now_is) in _other(run.settings, settings, defaults or {}).items():
            raise RunError(
                f"{path} was made with {name} = {then!r}, now it is {now_is!r}; "
                f"give the same options to --resume, or choose another --run"
            )
        return run

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def resume_folder(self) -> Path:
        return self.path / "resume"

    def figure(self, name: str) -> Path:
        """Where the picture `name` of this run belongs."""
        folder = self.path / "figures"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.png"

    def save_weights(self, model: Model) -> None:
        """Keep these weights as the run's model."""
        save_tensors(self.path / "model.safetensors", model.state_dict())

    def weights(self) -> dict[str, Tensor]:
        """The run's weights by name. Raises RunError before the first epoch is done."""
        file = self.path / "model.safetensors"
        if not file.is_file():
            raise RunError(f"{self.path}: holds no trained model yet; finish its training with --resume")
        return load_tensors(file)

    def model(self) -> Model:
        """The trained model, ready for use: evaluation mode, on the CPU.

        Where it was made with other content of a user's file than is in use now, a line on stderr warns.
        Raises RunError where weights and configuration do not fit, or where the file that defines a part of the model
        is not in use; it is named.
        """
        model = self._untrained_model()
        try:
            model.load_state_dict(self.weights())
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            raise RunError(f"{self.path}: model.safetensors does not fit config.json ({first})") from None
        return model.eval()

    def _untrained_model(self) -> Model:
        missing = extensions.missing(self.extensions)
        try:
            model = build_model(self.config["model"]["name"], self.config["model"]["arguments"])
        except OptionError as error:
            if not missing:
                raise
            raise RunError(
                f"{self.path}: made with {extensions.listed(missing)}, give --use {missing[0].file} if you trust it; "
                f"without it, {error}"
            ) from None
        if missing and extensions.used():
            print(
                f"warning: {self.path} was made with {extensions.listed(missing)}, "
                f"in use is {extensions.listed(extensions.used())}; its figures may differ",
                file=sys.stderr,
                flush=True,
            )
        return model

    def require(self, recipe: str, use: str) -> None:
        """Raise RunError unless the run was made by `recipe`; `use` says what wanted it."""
        if self.recipe != recipe:
            raise RunError(f"{self.path}: a run of {self.recipe!r}, {use} needs one of {recipe!r}")

    def check_store(self, store: TrainedOn) -> None:
        """Raise RunError where a store holds another kind of input than the run was trained on."""
        if _seen(store.kind, store.settings) == _seen(self.input["kind"], self.input["settings"]):
            return
        raise RunError(
            f"{getattr(store, 'path', 'the task')} does not suit {self.path}: it has {store.kind} "
            f"{_short(store.settings)}, the run was trained on {self.input['kind']} "
            f"{_short(self.input['settings'])}; prepare it with the same settings"
        )


def _seen(kind: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What of a store a model sees: samples become features first; of no account are the choice of clips, and over
    how many steps a memory task goes."""
    seen = {name: value for name, value in settings.items() if name in ("features", "representation", "text", "name")}
    return "features" if kind == "audio" else kind, seen or settings


def run_settings(config: Any) -> dict[str, Any]:
    """The options of a recipe (a dataclass) that decide what a run computes, by their plain names, as JSON."""
    return {name: value for name, value in flat_values(config).items() if name not in OF_A_SESSION}


def other_settings(run: RunFolder, config: Any) -> dict[str, tuple[Any, Any]]:
    """The options that are others now than those the run was made with: {name: (then, now)}.

    Where the store lies is of no account; its fingerprint says what it is.
    """
    return _other(run.settings, run_settings(config), flat_defaults(type(config)))


def _other(then: Mapping[str, Any], now: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    before = {name: then.get(name, defaults.get(name)) for name in now}
    return {name: (before[name], now[name]) for name in now if name != "store" and before[name] != now[name]}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 160 else text[:157] + "..."
