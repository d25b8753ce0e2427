"""What is exported of each kind of model: one step, from an input and a flat state to an output and the next state."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqaudio.decoding.spotting import (
    FLUSH,
    MOST_ODDS,
    REFRACTORY,
    SMOOTHING,
    keywords_of,
    spotting_of,
)
from seqaudio.decoding.torch_logits import state_after_quiet
from seqaudio.errors import RunError, StoreError
from seqaudio.export.front_end import FrontEnd
from seqaudio.export.graph import Graph
from seqaudio.export.trace import trace
from seqaudio.features import FeatureSettings
from seqaudio.layers import Stack, Unrolled
from seqaudio.models import EventModel, ForecastModel, KeywordModel, Model, Recogniser, SpotterModel
from seqaudio.run_folder import RunFolder
from seqaudio.state import State, flatten, unflatten
from seqaudio.store import Store
from seqaudio.trained import card_of
from seqaudio.version import __version__
from seqaudio.vocabulary import SILENCE, UNKNOWN


@dataclass(frozen=True)
class About:
    """What the user of a file needs to know, all of which is in its metadata."""

    kind: str  # keywords, tokens, text or forecast: what the outputs are of
    output: str  # logits, log-probabilities or values
    labels: tuple[str, ...]  # of the outputs
    warm_up: int = 0  # first calls whose output does not count, since samples are missing
    sample_rate: int = 0  # hertz; 0 for models without sound
    hop: int = 0  # samples a call
    window: int = 0  # samples that a frame sees
    thresholds: dict[str, float] = field(default_factory=dict)  # of keywords
    licence: str = ""  # of a packaged model, or of the training data, where its store is there and says so
    model: str = ""  # name of the model
    seqaudio: str = __version__


class ExportStep(nn.Module):
    """One call: input and state [1, N] -> output and the next state [1, N], all that torch computes.

    input: samples [1, K H] float32 of K frames, ids [1] int64, or values [1, F] float32.

    Args:
        model: in evaluation mode; `model.step` is what is computed.
        about: becomes the metadata.
        front_end: makes frames of samples; None where the model's inputs are the inputs.
        example: an input.
        state: of the model before its first frame.
    Attributes:
        initial: the state before the first call, [1, N].
        layout: offset in the state and shape of each part by name.
    """

    def __init__(
        self,
        model: Model,
        about: About,
        example: Tensor,
        state: State,
        front_end: FrontEnd | None = None,
    ) -> None:
        super().__init__()
        self.model = unrolled(model)
        self.about = about
        self.front_end = front_end
        self.example = example
        self._start = (state, front_end.initial_state() if front_end is not None else ())
        named = flatten(self._start)
        changing = self._changing(named)
        self._names = [name for name in named if name in changing]
        self._fixed = {name: tensor for name, tensor in named.items() if name not in changing}
        self.layout: dict[str, tuple[int, tuple[int, ...]]] = {}
        offset = 0
        for name in self._names:
            self.layout[name] = (offset, tuple(named[name].shape))
            offset += named[name].numel()
        self.initial = _flat([named[name] for name in self._names])
        if offset == 0:
            raise RunError("the model has no state, so nothing would be carried from step to step; export it whole")

    def graph(self) -> Graph:
        """The step as a graph, with the names that its users know."""
        exact = [] if self.front_end is None else self.front_end.matrices()
        return trace(self, {"input": self.example, "state": self.initial}, ("output", "stateN"), exact)

    def forward(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        sizes = [torch.Size(shape).numel() for _, shape in self.layout.values()]
        parts = zip(self.layout.items(), torch.split(state, sizes, dim=1), strict=True)
        named = {name: part.view(shape) for (name, (_, shape)), part in parts}
        before = unflatten(self._start, self._fixed | named)
        output, after = self._call(inputs, before)
        flat = flatten(after)
        return output, _flat([flat[name] for name in self._names])

    def _call(self, inputs: Tensor, before: Any) -> tuple[Tensor, Any]:
        model_state, front_state = before
        if self.front_end is None:
            output, model_state = self.model.step(inputs, model_state)
        else:
            warm = front_state.calls >= self.about.warm_up
            frames, front_state = self.front_end(inputs, front_state)
            output, after = self.model.step(frames.reshape(1, -1), model_state)
            model_state = after if self.about.warm_up == 0 else _chosen(warm, after, model_state)
        return self.in_units(output), (model_state, front_state)

    @property
    def model_start(self) -> Any:
        """The state of the model before its first frame."""
        return self._start[0]

    def in_units(self, output: Tensor) -> Tensor:
        """The model's output as it is exported: forecasts in the units of the series."""
        if isinstance(self.model, ForecastModel):
            return output * self.model.target_std + self.model.target_mean
        return output

    @torch.no_grad()
    def _changing(self, named: dict[str, Tensor]) -> set[str]:
        """The parts of the state that a call replaces; others, such as masks of dropout, are constants."""
        for name, tensor in named.items():
            if not tensor.is_floating_point():
                raise RunError(f"the state of {self.about.model!r} has integers ({name}), which cannot be exported yet")
        _, after = self._call(self.example, self._start)
        return {name for name, tensor in flatten(after).items() if tensor is not named[name] and tensor.numel()}


def export_step(run: RunFolder) -> ExportStep:
    """The step of a run's model. Raises RunError, or OptionError for its features, where it has none that streams."""
    model = run.model()
    name = run.config["model"]["name"]
    labels, licence = tuple(run.vocabulary), _licence(run)
    refused = f"{run.path}: its model {name!r}"
    if isinstance(model, SpotterModel | KeywordModel | Recogniser):
        if isinstance(model, Recogniser) and not model.causal:
            raise RunError(f"{refused} needs whole recordings; train with --no-bidirectional --centring loudness")
        if not model.layers.causal:
            raise RunError(f"{refused} is bidirectional and needs whole recordings; train it without --bidirectional")
        settings = FeatureSettings.from_dict(run.input_setting("features", dict[str, Any]))
        count = model.subsampling if isinstance(model, Recogniser) else 1
        front_end = FrontEnd(settings, count)
        spots = isinstance(model, SpotterModel)
        spotting = spotting_of(run)
        thresholds = {word: spotting.threshold_of(word) for word in keywords_of(run.vocabulary)}
        about = About(
            "text" if isinstance(model, Recogniser) else "keywords",
            "log-probabilities" if isinstance(model, Recogniser) else "logits",
            labels, front_end.warm_up, settings.sample_rate, front_end.hop, settings.window_samples,
            thresholds if spots else {}, licence, name,
        )  # fmt: skip
        start = state_after_quiet(model, settings, 1) if isinstance(model, SpotterModel) else model.initial_state(1)
        return ExportStep(model, about, torch.zeros(1, front_end.hop), start, front_end)
    if isinstance(model, EventModel):
        about = About("tokens", "logits", labels, licence=licence, model=name)
        return ExportStep(model, about, torch.zeros(1, dtype=torch.int64), model.initial_state(1))
    if isinstance(model, ForecastModel):
        about = About("forecast", "values", labels, licence=licence, model=name)
        return ExportStep(model, about, torch.zeros(1, model.input_size), model.initial_state(1))
    raise RunError(f"{refused} cannot be exported; those of keywords, text, tokens and forecasts can")


class HitRule(NamedTuple):
    """When a label counts as heard: averaged log odds pass its threshold; reported behind the peak. Times in calls."""

    smoothed: int
    refractory: int
    hold: int  # after so many above the threshold it is reported, without waiting for the fall
    thresholds: list[float]  # of the labels; 2, which is never passed, of those that are no keywords
    most_odds: float


def hit_rule(step: ExportStep) -> HitRule | None:
    """The rule of a model that spots keywords in streams, for programs that have `main` or a listener."""
    if not isinstance(step.model, SpotterModel) or step.front_end is None:
        return None
    shift = step.front_end.settings.frame_shift
    thresholds = [2.0 if label in (UNKNOWN, SILENCE) else step.about.thresholds[label] for label in step.about.labels]
    return HitRule(
        max(1, round(SMOOTHING / shift)), round(REFRACTORY / shift), round(FLUSH / shift), thresholds, MOST_ODDS
    )


def unrolled(model: Model) -> Model:
    """A copy whose layers are cells, called step by step: the same numbers from operations that can be recorded."""
    copied = copy.deepcopy(model).eval()
    for part in copied.modules():
        if isinstance(part, Stack):
            cells = [getattr(layer, "cell", None) for layer in part.layers]
            part.layers = nn.ModuleList(
                layer if cell is None else Unrolled(cell) for layer, cell in zip(part.layers, cells, strict=True)
            )
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    return copied


def _chosen(condition: Tensor, one: Any, other: Any) -> Any:
    """`one` where the condition [1, 1] holds; as one selection of all tensors."""
    flat = flatten(other)
    both = torch.where(condition, _flat(list(flatten(one).values())), _flat(list(flat.values())))
    parts = torch.split(both, [tensor.numel() for tensor in flat.values()], dim=1)
    return unflatten(
        other, {name: part.view(tensor.shape) for (name, tensor), part in zip(flat.items(), parts, strict=True)}
    )


def _flat(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.reshape(1, -1) for part in parts], dim=1) if parts else torch.zeros(1, 0)


def _licence(run: RunFolder) -> str:
    if (card := card_of(run.path)) is not None:
        return card.licence
    place = run.settings.get("store")
    try:
        return Store(place).licence if isinstance(place, str) else ""
    except StoreError:
        return ""
