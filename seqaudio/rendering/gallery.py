"""Write a page of pieces in one file, without network or scripts: a table of figures, a piano roll and sound of each.

The rolls are PNG inside the page; MIDI and sound are files beside it, so that a folder can be moved as a whole.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 76rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.15rem; margin: 0 }
table { border-collapse: collapse; margin: 1.5rem 0 } caption { text-align: left; padding-bottom: .4rem }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #ccc; text-align: right; white-space: nowrap }
th:first-child, td:first-child { text-align: left } td { font-variant-numeric: tabular-nums }
section { margin: 2rem 0; padding-top: 1rem; border-top: 1px solid #ccc }
img { max-width: 100%; height: auto; display: block; margin: .6rem 0 } audio { width: 100%; max-width: 40rem }
p { margin: .3rem 0 } a { color: #0b57d0 } .note { color: #555 }
@media (max-width: 40rem) { table { display: block; overflow-x: auto } }
"""


@dataclass(frozen=True)
class Entry:
    """A piece on the page. Files are names in the folder of the page."""

    name: str
    figures: tuple[str, ...]  # one for each heading of the table
    midi: str
    picture: bytes  # PNG
    wav: str | None = None
    remark: str = ""
    others: tuple[str, ...] = ()  # more files of the piece


def gallery(title: str, headings: Sequence[str], entries: Sequence[Entry], notes: Sequence[str] = ()) -> str:
    """The page as HTML 5.

    Args:
        headings: of the figures, one for each column.
        notes: lines under the table.

    Raises ValueError for an entry that has another number of figures than there are headings.
    """
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in ("piece", *headings))
    rows = "\n".join(_row(entry, len(headings)) for entry in entries)
    lines = "\n".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    sections = "\n".join(map(_section, entries))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
{lines}
{sections}
</body>
</html>
"""


def _row(entry: Entry, columns: int) -> str:
    if len(entry.figures) != columns:
        raise ValueError(f"piece {entry.name} has {len(entry.figures)} figures, expected {columns}")
    link = f'<a href="#{_anchor(entry)}">{escape(entry.name)}</a>'
    return f"<tr><td>{link}</td>{''.join(f'<td>{escape(figure)}</td>' for figure in entry.figures)}</tr>"


def _section(entry: Entry) -> str:
    picture = b64encode(entry.picture).decode("ascii")
    parts = [
        f'<section id="{_anchor(entry)}">',
        f"<h2>{escape(entry.name)} {' '.join(map(_link, (entry.midi, *entry.others)))}</h2>",
        *([f"<p>{escape(entry.remark)}</p>"] if entry.remark else []),
        f'<img src="data:image/png;base64,{picture}" alt="Piano roll of piece {escape(entry.name)}">',
        *([f'<audio controls preload="none" src="{quote(entry.wav)}"></audio>'] if entry.wav else []),
        "</section>",
    ]
    return "\n".join(parts)


def _link(file: str) -> str:
    return f'<a href="{quote(file)}">{escape(file)}</a>'


def _anchor(entry: Entry) -> str:
    return f"piece-{quote(entry.name)}"
