"""Cards of trained models: what they do, what they learned from, what may be done with them, how good they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seqaudio.errors import RunError
from seqaudio.json_files import checked, read_json

CARD = "card.json"  # of a packaged model
PAGE = "README.md"


@dataclass(frozen=True)
class Source:
    """Data that a model has learned from, or is measured on."""

    name: str
    licence: str
    url: str = ""
    what: str = ""  # such as 3,000 recordings of six speakers


@dataclass(frozen=True)
class Figure:
    """A measured value. `commands` repeat it: the last one prints JSON, in which `key` leads to the value."""

    what: str  # such as accuracy of three unseen speakers
    value: float
    unit: str = ""  # "%" for a share, which `value` has from 0 to 1
    commands: tuple[str, ...] = ()  # for a shell, in an empty folder; $SEQAUDIO_DATA has the corpora
    key: str = ""  # names with dots, such as metrics.accuracy
    tolerance: float = 0.0  # that another machine may differ by
    data: str = ""  # name of the data that it is measured on; by default the first of the card

    def __str__(self) -> str:
        value = f"{100 * self.value:.1f} %" if self.unit == "%" else f"{self.value:.4g} {self.unit}".strip()
        return f"{value} {self.what}"


@dataclass(frozen=True)
class Card:
    """What a user should know of a trained model before using it."""

    title: str  # what it is, in a few words
    about: str  # what it hears or writes, and what it does not
    recipe: str
    licence: str  # of the weights, an SPDX identifier
    commercial: bool | None  # whether the model may be used commercially; None: not stated
    output_commercial: bool | None  # whether what it writes or says may be used commercially
    terms: str  # why, in a sentence
    data: tuple[Source, ...]
    figures: tuple[Figure, ...]  # the first is the key figure
    labels: tuple[str, ...] = ()  # of keywords
    parameters: int = 0
    tags: tuple[str, ...] = ()
    language: tuple[str, ...] = ()  # ISO 639-1
    seqaudio: str = ""  # version that packed it
    training: tuple[str, ...] = ()  # commands that make it again

    @property
    def use(self) -> str:
        """Whether model and output may be used commercially, in a word or a few."""
        if self.commercial is None or self.output_commercial is None:
            return "not stated"
        if self.commercial == self.output_commercial:
            return "yes" if self.commercial else "no"
        return "model only" if self.commercial else "output only"


def card_of(folder: Path) -> Card | None:
    """The card of a model; None for a run, which has none. Raises RunError where it is damaged."""
    file = folder / CARD
    if not file.is_file():
        return None
    try:
        return checked(Card, read_json(file))
    except ValueError as error:
        raise RunError(f"{file}: damaged ({error}); install seqaudio again") from None


# what hubs call the tasks of recipes
TASKS = {
    "keyword_recognition": "audio-classification",
    "speech_recognition": "automatic-speech-recognition",
    "language_modelling": "text-generation",
    "forecasting": "time-series-forecasting",
}


def page(card: Card, name: str) -> str:
    """A card as Markdown, with front matter as model hubs read it."""
    task = TASKS.get(card.recipe, "other")
    first = card.data[0].name if card.data else "not stated"
    front = ["---", f"license: {card.licence.lower() or 'unknown'}", "library_name: seqaudio", f"pipeline_tag: {task}"]
    for title, values in (("language", card.language), ("tags", ("seqaudio", *card.tags))):
        front += [f"{title}:", *(f"  - {value}" for value in values)] if values else []
    front += ["model-index:", f"  - name: {name}", "    results:"] if card.figures else []
    for figure in card.figures:
        data = _quoted(figure.data or first)
        front += ["      - task:", f"          type: {task}", "        dataset:", f"          name: {data}"]
        front += [f"          type: {data}", "        metrics:", f"          - type: {_quoted(_metric(figure))}"]
        front += [f"            name: {_quoted(figure.what)}", f"            value: {figure.value:.6g}"]
    words = {True: "yes", False: "no", None: "not stated"}
    model, output = words[card.commercial], words[card.output_commercial]
    lines = [*front, "---", "", f"# {name}: {card.title}", "", card.about, "", "## Use", ""]
    lines += [f"Commercial use of the model: {model}; of its output: {output}. {card.terms}", ""]
    lines += [f"Licence of the weights: {card.licence or 'not stated'}.", ""]
    if card.labels:
        lines += [f"Labels: {', '.join(card.labels)}.", ""]
    lines += ["## Data", "", "| data | licence | what |", "|---|---|---|"] if card.data else []
    for source in card.data:
        linked = f"[{source.name}]({source.url})" if source.url else source.name
        lines.append(f"| {linked} | {source.licence} | {source.what} |")
    lines += ["", "## Figures", ""] if card.figures else []
    for figure in card.figures:
        lines.append(f"- {figure}")
        if figure.commands:
            lines += ["", "  ```sh", *(f"  {command}" for command in figure.commands), "  ```", ""]
    lines += [""] if lines[-1] else []
    lines += [f"{card.parameters:,} parameters; recipe {card.recipe}, seqaudio {card.seqaudio}."]
    if card.training:
        lines += ["", "## Training", "", "```sh", *card.training, "```"]
    return "\n".join(lines) + "\n"


def _metric(figure: Figure) -> str:
    """The name of a figure's metric: the last part of its key, or the first word of what it is."""
    return figure.key.rpartition(".")[2] or figure.what.split(" ")[0]


def _quoted(text: str) -> str:
    """A text as YAML takes it in quotation marks."""
    return '"' + text.replace(chr(92), "").replace('"', "'") + '"'
