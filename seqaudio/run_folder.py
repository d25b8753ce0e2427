"""Run folders: everything about one training, and all that is needed to use its model.

config.json        recipe, settings, model (name and arguments), input settings, vocabulary, store fingerprint, the run
                   whose weights it started from (name and hash), and the files given with --use (name and hash), which
                   loading a run never executes. Settings have plain names, without their option group (`noise`, not
                   `augmentation.noise`); a setting that is missing, since its option is newer than the run, has its
                   default
metrics.jsonl      one line for each epoch; TensorBoard files are in tensorboard/
model.safetensors  the weights with the best validation result
resume/            checkpoints, see `bptt/checkpoint.py`
spotting.json      thresholds and usual lengths of the keywords, of a model for streams
decoding.json      weights of a language model beside a recogniser, tuned on validation
results.json       final metrics, with those of the baselines
test_reads.tsv     one line for each evaluation that read the test split
lock               names the process of a training while it writes to the run
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from seqaudio import extensions
from seqaudio.errors import OptionError, RunError
from seqaudio.extensions import Extension
from seqaudio.features.settings import FeatureSettings
from seqaudio.files import write_json
from seqaudio.folders import Kind, foreign_file
from seqaudio.json_files import Format, checked, fitted, read_json
from seqaudio.locks import LOCK, locked
from seqaudio.option_groups import flat_defaults, flat_values
from seqaudio.terminal import few
from seqaudio.trained import finding
from seqaudio.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from seqaudio.models import Model

FORMAT = 1
SHOWN = 5  # settings that differ, in a message
PARTS = (  # of a run, as regular expressions
    r"(config\.json|model\.safetensors|results\.json|spotting\.json|decoding\.json|metrics\.jsonl|test_reads\.tsv)(\.partial)?",
    LOCK,
    r"resume/epoch-[^/]+\.(json|safetensors)(\.partial)?",
    r"tensorboard/(.*/)?events\.out\.tfevents\.[^/]+",
    r"figures/[^/]+\.(png|pdf|svg)(\.partial)?",
)
RUN = Kind("a run", re.compile("|".join(PARTS)))
NOT_BEGUN = Kind("a run that has not begun", re.compile(rf"config\.json\.partial|{LOCK}"))
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


@dataclass(frozen=True)
class ModelDescription:
    """A model as `build_model` takes it."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class RunInput:
    """Kind and settings of the data of a training."""

    kind: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class RunConfig:
    """The content of `config.json`, of format FORMAT."""

    recipe: str
    settings: dict[str, Any]
    model: ModelDescription
    input: RunInput
    vocabulary: tuple[str, ...]
    store: str  # fingerprint
    use: tuple[Extension, ...] = ()
    parent: dict[str, str] | None = None


class RunFolder:
    """An existing run, or a model that comes with seqaudio, by its name. `RunFolder.create` makes a new one.

    What the folder holds is read without torch, which comes with the weights.

    Args:
        recipes: those of which a run is wanted, for the message where there is no such folder.
    Raises:
        RunError: the folder is missing, is not a run, or has a format that this version cannot read.
    """

    def __init__(self, path: Path | str, recipes: Sequence[str] = ()) -> None:
        self.path = finding.found(path)
        if not os.path.isdir(self.path):  # noqa: PTH112  # no error for a name that no system takes
            raise finding.missing(self.path, recipes)
        file = self.path / "config.json"
        if not file.is_file():
            raise RunError(f"{self.path}: not a run (it has no config.json); seqaudio train NAME makes runs")
        try:
            data = read_json(file)
            if (found := checked(Format, data).format) != FORMAT:
                raise RunError(f"{self.path}: run format {found}, this version reads {FORMAT}")
            config = checked(RunConfig, data)
            self.vocabulary = Vocabulary(config.vocabulary)
        except ValueError as error:
            raise RunError(f"{file}: damaged ({error})") from None
        self.config: dict[str, Any] = {"use": [], "parent": None} | data
        self.recipe = config.recipe
        self.settings = config.settings
        self.input: dict[str, Any] = self.config["input"]
        self.extensions = config.use

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
        labels: Vocabulary | None = None,
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
            labels: of the model, where they are not those of the store.
            about_input: further facts that the run keeps about its input, such as the length of clips.

        A folder in which a training was killed before it wrote config.json counts as missing.

        Raises RunError where the folder exists and `resume` is False, or where it is True and the folder is missing or
        was made with something else; the message names both values.
        """
        config = {
            "format": FORMAT,
            "recipe": recipe,
            "settings": settings,
            "model": model,
            "input": {"kind": store.kind, "settings": store.settings, **(about_input or {})},
            "vocabulary": list(store.names if labels is None else labels),
            "store": store.fingerprint,
            "use": [extension._asdict() for extension in extensions.used()],
            "parent": parent,
        }
        if not resume:
            _make(path)
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
                f"{path} was made with {name} = {_short(repr(then))}, now it is {_short(repr(now_is))}; "
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
        """The path of this run's picture `name`, in the format that --figure-format of the training chose."""
        folder = self.path / "figures"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.{self.settings.get('figure_format', 'png')}"

    def save_weights(self, model: Model) -> None:
        """Write a model's weights as those of the run."""
        from seqaudio.tensors import save_tensors

        save_tensors(self.path / "model.safetensors", model.state_dict())

    def setting(self, name: str, kind: Any) -> Any:
        """A setting of the run, of the type `kind`. Raises RunError where it is missing or of another type."""
        return self._fitted(kind, self.settings.get(name), f"settings.{name}")

    def input_setting(self, name: str, kind: Any) -> Any:
        """A setting of its data, such as `features`. Raises RunError where it is missing or not of the type `kind`."""
        return self._fitted(kind, self.input["settings"].get(name), f"input.settings.{name}")

    def training_store(self, try_: str = "") -> Path:
        """The path of the store that the run was trained on.

        Raises RunError for a model that came without it; `try_` ends the message.
        """
        if self.settings.get("store") is None:
            raise RunError(f"the model {self.path.name} comes without the store of its training{try_}")
        path: Path = self.setting("store", Path)
        return path

    def input_fact(self, name: str, kind: Any) -> Any:
        """A property of the training data other than the settings, such as `clip_seconds`; None where the run has none.

        Raises RunError for a value of another type.
        """
        return self._fitted(kind, self.input.get(name), f"input.{name}")

    def _fitted(self, kind: Any, value: Any, where: str) -> Any:
        try:
            return fitted(kind, value, where)
        except ValueError as error:
            raise RunError(f"{self.path / 'config.json'}: damaged ({error})") from None

    def weights(self) -> dict[str, Tensor]:
        """The run's weights by name. Raises RunError before the first epoch is done, and for weights not finite."""
        from seqaudio.tensors import first_not_finite, load_tensors, widened

        weights = widened(load_tensors(self._weights_file()))
        if (name := first_not_finite(weights)) is not None:
            raise RunError(
                f"{self._weights_file()}: {name} holds NaN or infinity, so the model cannot be used; train it again"
            )
        return weights

    def _weights_file(self) -> Path:
        file = self.path / "model.safetensors"
        if not file.is_file():
            raise RunError(f"{self.path}: holds no trained model yet; finish its training with --resume")
        return file

    def model(self) -> Model:
        """The trained model, in evaluation mode, on the CPU.

        Warns on stderr where the content of a user's file has changed since the run was made.
        Raises RunError where weights and configuration do not fit, or where a user's file that defines a part of the
        model is not in use; the message names the file.
        """
        model = self._untrained_model()
        weights = self.weights()
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            raise RunError(f"{self.path}: model.safetensors does not fit config.json ({first})") from None
        return model.eval()

    def _untrained_model(self) -> Model:
        from seqaudio.models import build_model

        missing = extensions.missing(self.extensions)
        name, arguments = self.config["model"]["name"], self.config["model"]["arguments"]
        for size in ("classes", "vocabulary_size"):
            if self.vocabulary and arguments.get(size, len(self.vocabulary)) != len(self.vocabulary):
                raise RunError(
                    f"{self.path / 'config.json'}: damaged (a model with {size} {_short(arguments[size])}, expected "
                    f"{len(self.vocabulary):,} as in the vocabulary)"
                )
        try:
            if not self.extensions:  # a user's own cells need not work on torch's meta device
                self._check_forms(name, arguments)
            model = build_model(name, arguments)
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

    def _check_forms(self, name: str, arguments: dict[str, Any]) -> None:
        from seqaudio.models import check_forms
        from seqaudio.tensors import read_forms, widened_form

        try:
            stored = read_forms(self._weights_file())
            check_forms(name, arguments, {part: widened_form(form) for part, form in stored.items()})
        except RunError as error:
            raise RunError(f"{self.path}: model.safetensors does not fit config.json ({error})") from None

    def require(self, recipe: str, use: str) -> None:
        """Raise RunError unless the run was made by `recipe`; `use` names the caller in the message."""
        if self.recipe != recipe:
            raise RunError(f"{self.path}: a run of {self.recipe!r}, {use} needs one of {recipe!r}")

    def check_store(self, store: TrainedOn) -> None:
        """Raise RunError where a store has another kind or other settings of input than the run was trained on."""
        here = _model_inputs(store.kind, store.settings)
        there = _model_inputs(self.input["kind"], self.input["settings"])
        if here == there:
            return
        differing = [f"{name}: {_short(a)} against {_short(b)}" for name, a, b in _differences(there, here)]
        differ = f"the run has {few(differing, SHOWN)}"
        if here["kind"] != there["kind"]:
            differ = f"it has {store.kind} where the run was trained on {self.input['kind']}"
        raise RunError(
            f"{getattr(store, 'path', 'the task')} does not suit {self.path}: {differ}; "
            f"prepare it with the same settings"
        )


def is_not_begun(path: Path) -> bool:
    """Whether a folder is empty, or has only what a training leaves if it is killed before it writes config.json."""
    return path.is_dir() and foreign_file(path, NOT_BEGUN) is None


@contextmanager
def claim_run(path: Path, resume: bool) -> Iterator[None]:
    """Hold the lock of a new run, whose folder is made, or with `resume` of an existing run.

    Raises RunError where the new run exists or the existing one is missing; InUseError where another process trains it.
    """
    if resume:
        if is_not_begun(path):
            raise RunError(f"{path}: not a run (it has no config.json), nothing was trained yet; leave out --resume")
        RunFolder(path)
    else:
        _make(path)
    with locked(path / LOCK, "run", path):
        yield


def _make(path: Path) -> None:
    if (path.exists() or path.is_symlink()) and not is_not_begun(path):
        raise RunError(f"{path} exists; give --resume to go on with it, or choose another --run")
    path.mkdir(parents=True, exist_ok=True)


def _model_inputs(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The kind and settings of a store that determine what a model sees; equal where a model suits both stores.

    A store of samples counts as one of features, which are computed from the samples in training. Settings that only
    choose clips, or the number of steps of a memory task, are left out.
    """
    seen = {name: value for name, value in settings.items() if name in ("features", "representation", "text", "name")}
    return {"kind": "features" if kind == "audio" else kind} | (seen or settings)


def _differences(one: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Each name with its values where two settings differ; a setting of features that is left out has its default."""
    for name in dict.fromkeys([*one, *other]):
        a, b = one.get(name), other.get(name)
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            defaults = asdict(FeatureSettings()) if name == "features" else {}
            yield from _differences(defaults | a, defaults | b)
        else:
            yield name, a, b


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
