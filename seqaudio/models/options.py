"""The options of a recipe's model, and what they make of it: the name and the plain arguments that a run keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from seqaudio.errors import OptionError
from seqaudio.models.budget import choose_width

Description = dict[str, Any]  # {"name": ..., "arguments": {...}}, as `build_model` takes them


@dataclass(frozen=True, kw_only=True)
class RecurrentOptions:
    """The net: its cell, how wide and how deep it is, and how its weights begin."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int]  # units a layer where neither hidden_size nor parameters is given

    cell: str = "lstm"  # recurrent cell, wrappers too, as in lstm+zoneout=0.1; `seqaudio info --cells` lists the names
    hidden_size: int | None = None  # units a layer
    parameters: int | None = None  # of the whole model, instead: picks the width that comes nearest
    layers: int = 1
    initialisation: str = ""  # such as chrono=100 or orthogonal+forget_bias=2; empty is the cell's own
    learned_state: bool = False  # the state before the first step is learned; zero otherwise

    def _described(self, name: str, **arguments: Any) -> Description:
        """With a width of its own. Raises OptionError for a width that cannot be."""
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
    """A net that reads tokens through an embedding and predicts the next one."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int] = 256

    hidden_size: int | None = None  # units a layer; 256 where neither this nor --parameters is given
    embedding_size: int = 128
    dropout: float = 0.2

    def description(self, vocabulary_size: int) -> Description:
        """The model `events` over a vocabulary. Raises OptionError for a width that cannot be."""
        return self._described(
            "events", vocabulary_size=vocabulary_size, embedding_size=self.embedding_size, dropout=self.dropout
        )


@dataclass(frozen=True, kw_only=True)
class KeywordModelOptions(RecurrentOptions):
    """A net that reads the frames of a clip and averages its outputs over time."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int] = 128

    cell: str = "gru"  # recurrent cell, wrappers too, as in lstm+zoneout=0.1; `seqaudio info --cells` lists the names
    hidden_size: int | None = None  # units a layer; 128 where neither this nor --parameters is given
    layers: int = 2
    bidirectional: bool = False  # better on whole clips, but cannot listen to a stream
    dropout: float = 0.3
    mean_prior: float = 10.0  # frames of the training mean that a clip's own running mean starts from; 0 = off

    def description(self, input_size: int, classes: int) -> Description:
        """The model `keyword` over frames of a size. Raises OptionError for a width that cannot be."""
        return self._described(
            "keyword",
            input_size=input_size,
            classes=classes,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            mean_prior=self.mean_prior,
        )


@dataclass(frozen=True, kw_only=True)
class MemoryModelOptions(RecurrentOptions):
    """A net that has to remember."""

    GROUP: ClassVar[str] = "model"
    WIDTH: ClassVar[int] = 32

    hidden_size: int | None = None  # units a layer; 32 where neither this nor --parameters is given

    def description(self, name: str, sizes: dict[str, int]) -> Description:
        """The model `series` or `recall` with its sizes. Raises OptionError for a width that cannot be."""
        return self._described(name, **sizes)


@dataclass(frozen=True, kw_only=True)
class ForecastModelOptions:
    """A net that sees a window of the past, or carries its state from the first step on, and tells the next values."""

    GROUP: ClassVar[str] = "model"

    model: Literal["window_mlp", "recurrent"] = "recurrent"  # window_mlp is a feed-forward net over a window
    window: int = 96  # steps that a forecast sees; 0 for a recurrent net that carries its state through the series
    horizon: int = 24  # steps ahead
    recursive: bool = False  # read out one step and feed forecasts back; all steps are read out at once otherwise
    # taken from a window, put back behind it; last where the targets are inputs, none otherwise
    level: Literal["none", "last", "mean", "standard"] | None = None
    apart: bool = False  # one net for all channels, each seen alone; all channels together otherwise
    cell: str | None = None  # of a recurrent net: gru where none is given; `seqaudio info --cells` lists the names
    hidden_size: int = 64  # units a layer
    layers: int = 1  # of a window_mlp, 0 leaves a linear map
    dropout: float = 0.0
    initialisation: str | None = None  # of a recurrent net, such as chrono=100
    learned_state: bool = False  # of a recurrent net: the state before the first step is learned; zero otherwise

    @property
    def steps_told(self) -> int:
        """Steps that are read out at once; a recursive net feeds them back until the horizon is reached."""
        return 1 if self.recursive else self.horizon

    def description(self, input_size: int, output_size: int, targets: list[int] | None) -> Description:
        """The model over channels. Raises OptionError for options of the other model.

        targets: the place of each target among the inputs; None where one is not among them.
        """
        arguments: dict[str, Any] = {
            "input_size": input_size,
            "output_size": output_size,
            "horizon": self.steps_told,
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
