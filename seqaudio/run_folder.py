"""Run folders: everything about one training, and all that is needed to use its model.

config.json        recipe, settings, model (name and arguments), input settings, vocabulary, store fingerprint, the run
                   whose weights it started from (name and hash), and the files given with --use (name and hash), which
                   loading a run never executes. Settings have plain names, without their option group (`noise`, not
                   `augmentation.noise`); a setting that is missing, since its option is newer than the run, has its
                   default
metrics.jsonl      one line for each epoch; TensorBoard files are in tensorboard/
model.safetensors  the weights with the best validation result
resume/            checkpoints, see `bptt/checkpoint.py`
results.json       final metrics, with those of the baselines
test_reads.tsv     one line for each evaluation that read the test split
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
    """The data of a training, as far as a run keeps it: of a store, or of a generated task."""

    @property
    def kind(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def names(self) -> Vocabulary: ...
    @property
    def fingerprint(self) -> str: ...


class RunFolder:
    """An existing run. `RunFolder.create` makes a new one.

    Raises RunError where the folder is missing, is not a run, or has a format that this version cannot read.
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
        about_input: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """Make the folder of a new run, or open that of an interrupted one.

        Args:
            model: {"name": ..., "arguments": {...}}, as `build_model` takes them.
            store: its kind, settings, vocabulary and fingerprint are copied into the run.
            resume: the folder must exist, made with the same settings, store and files of --use (byte for byte), so
                that a resumed run equals one that was never interrupted.
            parent: name and hash of the run whose weights this one started from.
            defaults: the default of each setting, for a run that was made before an option existed.
            about_input: what else the run keeps about its input, such as how long clips are.

        Raises RunError where the folder exists and `resume` is False, or where it is True and the folder is missing or
        was made with something else; the message names both values.
        """
        config = {
            "format": FORMAT,
            "recipe": recipe,
            "settings": settings,
            "model": model,
            "input": {"kind": store.kind, "settings": store.settings, **(about_input or {})},
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
        """The path of this run's picture `name`."""
        folder = self.path / "figures"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.png"

    def save_weights(self, model: Model) -> None:
        """Write a model's weights as those of the run."""
        save_tensors(self.path / "model.safetensors", model.state_dict())

    def weights(self) -> dict[str, Tensor]:
        """The run's weights by name. Raises RunError before the first epoch is done."""
        file = self.path / "model.safetensors"
        if not file.is_file():
            raise RunError(f"{self.path}: holds no trained model yet; finish its training with --resume")
        return load_tensors(file)

    def model(self) -> Model:
        """The trained model, in evaluation mode, on the CPU.

        Warns on stderr where the content of a user's file has changed since the run was made.
        Raises RunError where weights and configuration do not fit, or where a user's file that defines a part of the
        model is not in use; the message names the file.
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
                f"in use is {extensions.listed(extensions.used())}; its results may differ",
                file=sys.stderr,
                flush=True,
            )
        return model

    def require(self, recipe: str, use: str) -> None:
        """Raise RunError unless the run was made by `recipe`; `use` names the caller in the message."""
        if self.recipe != recipe:
            raise RunError(f"{self.path}: a run of {self.recipe!r}, {use} needs one of {recipe!r}")

    def check_store(self, store: TrainedOn) -> None:
        """Raise RunError where a store has another kind or other settings of input than the run was trained on."""
        if _model_inputs(store.kind, store.settings) == _model_inputs(self.input["kind"], self.input["settings"]):
            return
        raise RunError(
            f"{getattr(store, 'path', 'the task')} does not suit {self.path}: it has {store.kind} "
            f"{_short(store.settings)}, the run was trained on {self.input['kind']} "
            f"{_short(self.input['settings'])}; prepare it with the same settings"
        )


def _model_inputs(kind: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind and settings of a store that determine what a model sees; equal where a model suits both stores.

    A store of samples counts as one of features, which are computed from the samples in training. Settings that only
    choose clips, or the number of steps of a memory task, are left out.
    """
    seen = {name: value for name, value in settings.items() if name in ("features", "representation", "text", "name")}
    return "features" if kind == "audio" else kind, seen or settings


def run_settings(config: Any) -> dict[str, Any]:
    """The options of a recipe (a dataclass) that determine the result of a run, by their plain names, as JSON."""
    return {name: value for name, value in flat_values(config).items() if name not in OF_A_SESSION}


def other_settings(run: RunFolder, config: Any) -> dict[str, tuple[Any, Any]]:
    """The options that differ from those that the run was made with: {name: (then, now)}.

    The path of the store is ignored, since its fingerprint is compared.
    """
    return _other(run.settings, run_settings(config), flat_defaults(type(config)))


def _other(then: Mapping[str, Any], now: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    before = {name: then.get(name, defaults.get(name)) for name in now}
    return {name: (before[name], now[name]) for name in now if name != "store" and before[name] != now[name]}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 160 else text[:157] + "..."
