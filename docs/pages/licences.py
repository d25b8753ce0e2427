"""Write LICENSE-models, the licences of the trained models in the package and of their data, from their cards.

python docs/pages/licences.py        in the root of a clone
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from seqaudio.files import write_bytes
from seqaudio.json_files import checked, read_json
from seqaudio.trained import Card

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "LICENSE-models"
CARDS = ROOT / "recipes" / "trained_models" / "cards.json"
HEAD = """Trained models of seqaudio

The code of seqaudio is under the Apache License 2.0, see LICENSE. The trained models in seqaudio/trained/models/ have
a licence each, which follows from the data that they have learned from. `seqaudio models NAME` prints the card of a
model, with its figures.
"""
TEXTS = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/legalcode",
    "CC-BY-SA-4.0": "https://creativecommons.org/licenses/by-sa/4.0/legalcode",
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
}


def licences(cards: Mapping[str, Card]) -> str:
    """The text, by the names of the models."""
    lines = [HEAD]
    for name, card in cards.items():
        lines.append(f"{name}: {card.title}")
        model, output = ("yes" if allowed else "no" for allowed in (card.commercial, card.output_commercial))
        lines.append(f"  licence {card.licence}; commercial use of the model: {model}, of its output: {output}")
        lines += textwrap.wrap(card.terms, 116, initial_indent="  ", subsequent_indent="  ")
        lines.append("  data:")
        for source in card.data:
            told = "; ".join(
                part for part in (source.name, source.what, f"licence: {source.licence}", source.url) if part
            )
            lines += textwrap.wrap(told, 116, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
        lines.append("")
    used = dict.fromkeys(card.licence for card in cards.values())
    lines += [f"{licence}: {TEXTS[licence]}" for licence in used]
    return "\n".join(lines) + "\n"


def known() -> dict[str, Card]:
    """The cards of all models, by name, without measured figures."""
    return {name: checked(Card, card) for name, card in read_json(CARDS).items()}


if __name__ == "__main__":
    write_bytes(PAGE, licences(known()).encode())
