"""Options of a recipe's model, which give its description: the name and arguments that a run keeps in config.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

from seqaudio.errors import OptionError
from seqaudio.layers import has_recurrent_weights
from seqaudio.models.budget import choose_width
from seqaudio.models.frame_heads import HeadName
from seqaudio.models.pcan import STEP
from seqaudio.units import Seconds
from seqaudio.vocabulary import ConditionName

Description = dict[str, Any]  # {"name": ..., "arguments": {...}}, as `build_model` takes them


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions:
    """The net: cell, width, depth, initialisation."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int]  # units of a layer where neither hidden_size nor parameters is given

    cell: str = "lstm"  # recurrent cell, may be wrapped: lstm+zoneout=0.1; `seqaudio info --cells` lists the names
    hidden_size: int | None = None  # units of each layer
    parameters: int | None = None  # of the whole model, instead of --hidden-size: picks the nearest width
    layers: int = 1  # recurrent layers
    initialisation: str = ""  # such as chrono=100 or orthogonal+forget_bias=2; default: that of the cell
    learned_state: bool = False  # learn the initial state, which is zero otherwise

    def _described(self, name: str, **arguments: Any) -> Description:
        """The description with the recurrent arguments. Raises OptionError for a width that is impossible."""
        arguments |= {
            "cell": self.cell,
            "layers": self.layers,
            "initialisation": self.initialisation,
            "learned_state": self.learned_state,
        }
        arguments["hidden_size"] = choose_width(
            name, arguments, hidden_size=self.hidden_size, parameters=self.parameters, default=self.WIDTH
        )
        return {"name": name, "arguments": arguments}


@dataclass(frozen=True, kw_only=True)
class EventModelOptions(RecurrentOptions):
    """A net that reads tokens through an embedding and predicts the next token."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int] = 256

    hidden_size: int | None = None  # units of each layer; 256 unless --parameters is given
    embedding_size: int = 128  # size of a token's embedding
    dropout: float = 0.2  # probability, on the embedding, between the layers and before the softmax
    tied: bool = False  # the weights of the softmax are those of the embedding
    variational: bool = False  # --dropout has one mask for all steps of a piece, instead of one for each step
    weight_dropout: float = 0.0  # of recurrent weights, anew for each window
    embedding_dropout: float = 0.0  # probability with which a token loses its embedding, anew for each window

    def description(
        self, vocabulary_size: int, steps: tuple[int, int] | None = None, conditions: Sequence[int] = ()
    ) -> Description:
        """The model `events` over a vocabulary; `voices` for steps of some tokens, the first few of them given.

        conditions: the number of values of each, unknown included.
        Raises OptionError for a width that is impossible, and for what `voices` does not have.
        """
        about = self._of_events(vocabulary_size, conditions)
        if steps is None:
            return self._described("events", **about)
        for name in about.keys() & {"embedding_dropout", "conditions"}:
            raise OptionError(f"--{name.replace('_', '-')}: the model of this store's tokens has none; leave it out")
        return self._described("voices", step_tokens=steps[0], given=steps[1], **about)

    def _of_events(self, vocabulary_size: int, conditions: Sequence[int] = ()) -> dict[str, Any]:
        """The arguments that models of events share; what is off is left out, as in descriptions of older runs."""
        more = {name: getattr(self, name) for name in ("tied", "variational", "weight_dropout", "embedding_dropout")}
        more["conditions"] = list(conditions)
        about = {"vocabulary_size": vocabulary_size, "embedding_size": self.embedding_size, "dropout": self.dropout}
        return about | {name: value for name, value in more.items() if value}


WEIGHT_DROPOUT = 0.5  # of models of rolls; the four published sets are small


@dataclass(frozen=True, kw_only=True)
class RollModelOptions(RecurrentOptions):
    """A net that reads frames of notes and gives the distribution of the next frame."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int] = 256

    head: HeadName = "sigmoid"  # notes of a frame: independent, or nade: each given the lower ones of its frame
    hidden_size: int | None = None  # units of each layer; 256 unless --parameters is given
    nade_size: int = 128  # hidden units of --head nade
    shared: int = 16  # channels that see the notes around each note, the same for every note; 0: notes share nothing
    dropout: float = 0.5  # between the layers and before the head, one mask for all steps of a piece
    input_dropout: float = 0.2  # of the notes that the net reads, one mask for all steps of a piece
    weight_dropout: float | None = None  # of recurrent weights, anew for each window; 0.5 by default, if a cell has any

    def description(self, notes: int) -> Description:
        """The model `rolls` over frames of N notes.

        Raises OptionError for a width that is impossible, or a cell that does not exist.
        """
        weight_dropout = self.weight_dropout
        if weight_dropout is None:
            weight_dropout = WEIGHT_DROPOUT if has_recurrent_weights(self.cell, notes) else 0.0
        return self._described(
            "rolls",
            notes=notes,
            head=self.head,
            nade_size=self.nade_size,
            shared=self.shared,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            weight_dropout=weight_dropout,
        )


@dataclass(frozen=True, kw_only=True)
class MusicModelOptions(EventModelOptions):
    """A net that reads the tokens of music, and where these write bars what stood at the same place bars earlier."""

    GROUP: ClassVar[str] = "model"

    # bars that it looks back, where tokens write bars; `--look-back` alone: none; by default what suits the tokens
    look_back: tuple[int, ...] | None = None
    # of the training pieces, a share of which bars are moved to the end, so that `seqaudio fill` can write bars into a
    # piece; for tokens of `bars`, without look back
    fill: float = 0.0
    # what the net is told of a piece where it is known, so that `seqaudio generate` can ask for it; density is notes a
    # quarter
    conditions: tuple[ConditionName, ...] = ()

    def music_description(
        self,
        vocabulary_size: int,
        places: tuple[int, range] | None,
        suits: tuple[int, ...],
        steps: tuple[int, int] | None = None,
        conditions: Sequence[int] = (),
    ) -> Description:
        """The model `phrases`, or where it does not look back `events`, of steps of tokens `voices`.

        Args:
            places: id of the token that begins a bar, ids of those that say the step in it; None where there are none.
            suits: the bars that it looks back by default.
            steps: tokens of a step, and how many of them are given, as `description` takes them.
            conditions: the number of values of each condition, unknown included.
        Raises OptionError as `description` does, and for a look back where no token writes bars, or some are moved.
        """
        if self.fill and self.look_back:
            raise OptionError(
                f"--look-back {' '.join(map(str, self.look_back))} counts bars, and --fill moves them; leave out one"
            )
        look_back = () if self.fill else suits if self.look_back is None else self.look_back
        if not look_back:
            return self.description(vocabulary_size, steps, conditions)
        if places is None:
            raise OptionError(
                f"--look-back {' '.join(map(str, look_back))}: the tokens of this store write no bars; leave it out, "
                f"or prepare it with --representation bars"
            )
        bar, places_in_bar = places
        return self._described(
            "phrases",
            bar=bar,
            steps=[places_in_bar.start, len(places_in_bar)],
            lags=sorted(set(look_back)),
            **self._of_events(vocabulary_size, conditions),
        )


class Preset(NamedTuple):
    """The size of a spotter."""

    hidden_size: int
    filters: int


# at most 30,000, 100,000 and 550,000 parameters with two layers of GRU, 40 features and a dozen labels
PRESETS = {"tiny": Preset(40, 8), "small": Preset(76, 16), "base": Preset(192, 24)}


@dataclass(frozen=True, kw_only=True)
class KeywordModelOptions(RecurrentOptions):
    """A net that gives a label after each frame of a stream, or one for a whole clip."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int] = 128  # of a net for whole clips

    cell: str = "gru"  # recurrent cell, may be wrapped: lstm+zoneout=0.1; `seqaudio info --cells` lists the names
    preset: Literal["tiny", "small", "base"] = "small"  # of streams: at most 30,000, 100,000 or 550,000 parameters
    hidden_size: int | None = None  # units of each layer; by default those of the preset, or 128 for whole clips
    layers: int = 2  # recurrent layers
    filters: int | None = None  # streams: of the convolution in front, 0 = none; by default those of the preset
    memory: Seconds = 3.0  # streams: frames are centred on their mean over about this time; 0 = off
    pcan: bool = False  # streams: reduce noise and control gain as microcontrollers do, in place of --memory
    pooling: Seconds = 0.12  # streams: outputs are averaged over about this time; 0 = the last one alone
    label_smoothing: float = 0.05  # streams: share of a target's probability that goes to all labels alike
    whole: Literal["mean", "last", "attention"] = "mean"  # clips: how outputs become those of the whole clip
    bidirectional: bool = False  # clips: better on whole clips, but does not work on streams
    dropout: float = 0.3  # probability, between the layers and before the softmax
    mean_prior: float = 10.0  # centre frames on their running mean; the training mean weighs N frames; 0 = off

    def clip_description(self, input_size: int, classes: int) -> Description:
        """The model `keyword` over clips [T, input_size]. Raises OptionError for a width that is impossible."""
        return self._described(
            "keyword",
            input_size=input_size,
            classes=classes,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            mean_prior=self.mean_prior,
            pooling=self.whole,
        )

    def stream_description(self, input_size: int, classes: int, frame_shift: Seconds) -> Description:
        """The model `spotter` over frames [T, input_size].

        frame_shift: in seconds, which turns times into numbers of frames.
        Raises OptionError for a width that is impossible, or an option that belongs to whole clips.
        """
        if self.bidirectional:
            raise OptionError("--bidirectional needs the whole clip; leave it out, or give --examples clips")
        preset = PRESETS[self.preset]
        gain = {"pcan": frame_shift / STEP} if self.pcan else {}  # left out where it is off, as in older runs
        whole = replace(self, hidden_size=self.hidden_size or (None if self.parameters else preset.hidden_size))
        return whole._described(
            "spotter",
            input_size=input_size,
            classes=classes,
            dropout=self.dropout,
            filters=preset.filters if self.filters is None else self.filters,
            memory=0.0 if self.pcan else self.memory and max(1.0, self.memory / frame_shift),
            mean_prior=self.mean_prior,
            pooling=max(1.0, self.pooling / frame_shift),
            smoothing=self.label_smoothing,
            **gain,
        )


@dataclass(frozen=True, kw_only=True)
class RecogniserOptions(RecurrentOptions):
    """A net that gives the probability of a blank and of each unit of the text, a few times a second."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int] = 256

    hidden_size: int | None = None  # units of each layer and direction; 256 unless --parameters is given
    layers: int = 3  # recurrent layers
    bidirectional: bool = True  # better on whole recordings; --no-bidirectional for streams
    subsampling: int = 3  # frames of a step of the net; a text needs at least as many steps as characters
    filters: int = 16  # of the convolution in front; 0: none, the frames of a step side by side
    dropout: float = 0.3  # probability, before the net, between its layers and before the softmax
    # subtract from each frame the mean so far (running, for streams; loudness: louder frames count more in it, so that
    # pauses leave no trace), or that of the recording (utterance); auto: running or utterance, by --bidirectional
    centring: Literal["auto", "none", "running", "loudness", "utterance"] = "auto"
    memory: Seconds = 10.0  # running, loudness: over about this time; 0: from the start
    mean_prior: float = 100.0  # centring: the training mean weighs N frames

    def description(
        self, input_size: int, classes: int, frame_shift: Seconds, features: str = "log_mel"
    ) -> Description:
        """The model `recogniser` over frames [T, input_size], for a blank and units.

        frame_shift: in seconds, which turns times into numbers of frames. features: their kind.
        Raises OptionError for a width that is impossible, and where the loudness of frames is not known.
        """
        centring = self.centring
        if centring == "loudness" and features != "log_mel":
            raise OptionError(
                f"--centring loudness needs log-mel energies, got {features}; prepare with --features log_mel"
            )
        if centring == "auto":
            centring = "utterance" if self.bidirectional else "running"
        return self._described(
            "recogniser",
            input_size=input_size,
            classes=classes,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            subsampling=self.subsampling,
            filters=self.filters,
            centring=centring,
            memory=self.memory and max(1.0, self.memory / frame_shift),
            mean_prior=self.mean_prior,
        )


@dataclass(frozen=True, kw_only=True)
class MemoryModelOptions(RecurrentOptions):
    """A recurrent net for a memory task."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int] = 32

    hidden_size: int | None = None  # units of each layer; 32 unless --parameters is given

    def description(self, name: str, sizes: dict[str, int]) -> Description:
        """The model `series` or `recall` with its sizes. Raises OptionError for a width that is impossible."""
        return self._described(name, **sizes)


@dataclass(frozen=True, kw_only=True)
class ForecastModelOptions:
    """A net that forecasts from a window of the past, or from a state that it carries through the series."""

    GROUP: ClassVar[str] = "model"

    model: Literal["window_mlp", "recurrent"] = "recurrent"  # feed-forward net over the window, or recurrent net
    window: int = 96  # steps of input for a forecast; 0: a recurrent net that carries its state through the series
    horizon: int = 24  # steps to forecast
    recursive: bool = False  # forecast one step and feed it back, instead of all steps at once
    # subtract this from each window and add it to the forecast; default: last if the targets are inputs, else none
    level: Literal["none", "last", "mean", "standard"] | None = None
    apart: bool = False  # the same net for each channel by itself, instead of all channels together
    cell: str | None = None  # of a recurrent net, gru by default; `seqaudio info --cells` lists the names
    hidden_size: int = 64  # units of each layer
    layers: int = 1  # hidden layers; a window_mlp with 0 is a linear map
    dropout: float = 0.0  # probability, between the layers and before the output
    initialisation: str | None = None  # of a recurrent net, such as chrono=100
    learned_state: bool = False  # learn the initial state of a recurrent net, which is zero otherwise

    @property
    def output_steps(self) -> int:
        """Steps of one output of the net; with `recursive` outputs are fed back until the horizon is reached."""
        return 1 if self.recursive else self.horizon

    def description(self, input_size: int, output_size: int, targets: list[int] | None) -> Description:
        """The model over channels. Raises OptionError for an option of the other model.

        targets: index of each target channel among the inputs; None where one of them is not an input.
        """
        arguments: dict[str, Any] = {
            "input_size": input_size,
            "output_size": output_size,
            "horizon": self.output_steps,
            "window": self.window,
            "level": self.level or ("last" if self.window and targets is not None else "none"),
            "apart": self.apart,
            "targets": targets,
            "hidden_size": self.hidden_size,
            "layers": self.layers,
            "dropout": self.dropout,
        }
        recurrent = {"cell": self.cell, "initialisation": self.initialisation, "learned_state": self.learned_state}
        given = {name: value for name, value in recurrent.items() if value}
        if self.model == "recurrent":
            return {"name": "forecaster", "arguments": arguments | {"cell": "gru"} | given}
        for name, value in given.items():
            raise OptionError(f"--{name.replace('_', '-')} {value} belongs to --model recurrent; leave it out")
        return {"name": "window_mlp", "arguments": arguments}
