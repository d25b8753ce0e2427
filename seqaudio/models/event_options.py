"""Options of recipes that train an `EventModel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seqaudio.models.budget import choose_width


@dataclass(frozen=True, kw_only=True)
class EventModelOptions:
    """Options of the model: cell, sizes, initialisation, dropout."""

    cell: str = "lstm"  # recurrent cell, with wrappers as in lstm+zoneout=0.1; `seqaudio info --cells` lists the names
    embedding_size: int = 128
    hidden_size: int | None = None  # units a layer; 256 where neither this nor --parameters is given
    parameters: int | None = None  # of the whole model, in place of --hidden-size: chooses the nearest width
    layers: int = 1
    initialisation: str = ""  # such as chrono=100 or orthogonal+forget_bias=2; empty is the cell's default
    learned_state: bool = False  # the state before the first event is learned; zero otherwise
    dropout: float = 0.2

    def arguments(self, vocabulary_size: int) -> dict[str, Any]:
        """Arguments of the model `events` for a vocabulary. Raises OptionError for an invalid width."""
        arguments: dict[str, Any] = {
            "vocabulary_size": vocabulary_size,
            "embedding_size": self.embedding_size,
            "cell": self.cell,
            "layers": self.layers,
            "dropout": self.dropout,
            "initialisation": self.initialisation,
            "learned_state": self.learned_state,
        }
        arguments["hidden_size"] = choose_width(
            "events", arguments, hidden_size=self.hidden_size, parameters=self.parameters, default=256
        )
        return arguments
