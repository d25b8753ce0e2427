"""Registries: classes and functions by the names that options and configs use, such as cells and models."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from seqaudio.errors import OptionError

Entry = TypeVar("Entry")


def did_you_mean(name: str, known: list[str]) -> str:
    """`did you mean gru?` where a known name is similar, otherwise the list of known names."""
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known))}"


class Registry(Generic[Entry]):
    """An ordered map from name to class or function. `what` says in messages what an entry is, such as "cell"."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Decorator that registers a class or function under `name`. Raises ValueError where the name is taken."""

        def add(entry: Entry) -> Entry:
            if name in self._entries:
                raise ValueError(f"{self.what} {name!r} is already registered; choose another name")
            self._entries[name] = entry
            return entry

        return add

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            raise OptionError(f"no {self.what} is called {name!r}; {did_you_mean(name, list(self._entries))}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)
