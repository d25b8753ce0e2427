"""Wishes, folders of pieces and their page: what is asked for is in the files, and the page needs nothing else."""

from __future__ import annotations

import json
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from test_generate_music import changed

from conftest import Command, assert_refused
from seqaudio.api import composing
from seqaudio.cli import generate, ideas
from seqaudio.errors import OptionError
from seqaudio.json_files import read_json
from seqaudio.midi import read_midi
from seqaudio.notes.keys import key_name, key_named, scale_of
from seqaudio.rendering.gallery import Entry, gallery


class Page(HTMLParser):
    """The elements of a page, its table as text, and a check that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.elements, self.rows = list[str](), list[tuple[str, dict[str, str | None]]](), list[list[str]]()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def made(run: Path, out: Path, **options: Any) -> None:
    generate.main(generate.Config(run, out, **options))


def test_wishes_hold_in_the_written_file(tune_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tune_run, tmp_path / "x.mid", key="d minor", bars=4, tempo=80.0, metre="3/4", program=73)
    notes = read_midi(tmp_path / "x.mid")
    assert set((notes.pitch % 12).tolist()) <= set(scale_of(key_named("D minor")))
    assert [key_name(key) for key in notes.key_signatures] == ["D minor"]
    line = capsys.readouterr().out.splitlines()[1]
    count, four = f"{len(notes):,} notes)", "(100 % of 4 bars)"
    assert line == (
        f"  guaranteed by the mask: bars 4 {four}, key D minor (100 % of {count}, metre 3/4 {four}; "
        f"set when written: tempo 80 (100 % of 1 tempo), program 73 (100 % of {count}"
    )
    made(tune_run, tmp_path / "y.mid", top_k=1)
    made(tune_run, tmp_path / "z.mid", top_k=1, temperature=0.5, seed=1)
    # the likeliest token does not depend on the temperature, the length in bars on the seed alone
    assert read_midi(tmp_path / "y.mid") == read_midi(tmp_path / "z.mid")


def test_a_folder_has_numbered_pieces_and_a_page(tune_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "ideas"
    made(tune_run, out, count=3, seed=5, bars=2, wav=True, key="C major")
    names = ["01.mid", "01.wav", "02.mid", "02.wav", "03.mid", "03.wav", "index.html"]
    assert sorted(path.name for path in out.iterdir()) == names
    page = Page((out / "index.html").read_text(encoding="utf-8"))
    heads, *rows = page.rows
    assert heads == ["piece", *ideas.HEADINGS]
    assert [row[:4] for row in rows] == [[f"0{n}", str(4 + n), "C major", "2"] for n in (1, 2, 3)]
    assert all(float(row[5]) > 0 and 0 <= float(row[6]) <= 2 for row in rows)
    assert [sound["src"] for sound in page.all("audio")] == ["01.wav", "02.wav", "03.wav"]
    pictures = [str(picture["src"]) for picture in page.all("img")]
    assert all(b64decode(source.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG") for source in pictures)
    assert len(pictures) == 3 and all(picture["alt"] for picture in page.all("img"))
    assert not page.all("script") and not page.all("link")
    links = [str(link["href"]) for link in page.all("a")]
    anchors = {f"#{section['id']}" for section in page.all("section")}
    assert all(link in anchors or (out / link).is_file() for link in links)
    # the same seed alone gives the same piece
    made(tune_run, tmp_path / "one.mid", seed=6, bars=2, key="C major")
    assert read_midi(tmp_path / "one.mid") == read_midi(out / "02.mid")
    with pytest.raises(OptionError, match="exists; give --force"):
        made(tune_run, out, count=3, bars=2)


def test_copies_are_drawn_again(
    tune_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = {1: 4.0, 3: 2.5, 5: 1.0, 2: 0.0}
    seeds, by_notes = list[int](), dict[int, int]()

    class Known(ideas.Copies):
        def bars(self, notes: object, quarters: float) -> float:
            return copied.get(by_notes[id(notes)], 9.0)

    compose = composing.Composer.compose

    def composed(self: composing.Composer, wanted: list[int]) -> list[composing.Composed]:
        seeds.extend(wanted)
        found = compose(self, wanted)
        by_notes.update({id(piece.notes): piece.seed for piece in found})
        return found

    monkeypatch.setattr(ideas.Copies, "of", lambda run: Known(None, "copies"))
    monkeypatch.setattr(ideas, "checked_copies", lambda run, config: Known(None, "copies"))
    monkeypatch.setattr(composing.Composer, "compose", composed)
    made(tune_run, tmp_path / "new", count=2, bars=2, max_copied=1.0)
    assert seeds == [1, 2, 3, 5]  # each piece has a sequence of its own
    assert [row[1] for row in Page((tmp_path / "new" / "index.html").read_text()).rows[1:]] == ["5", "2"]
    assert "seed 5" in capsys.readouterr().out
    seeds.clear()
    with pytest.raises(
        OptionError, match=r"--max-copied 0\.5: the piece of seed 7 and 20 more copy at least 9 bars each"
    ):
        made(tune_run, tmp_path / "x.mid", seed=7, bars=2, max_copied=0.5)
    assert seeds == list(range(7, 28)) and not (tmp_path / "x.mid").exists()


def test_without_its_store_copies_are_not_checked(tune_run: Path, tmp_path: Path) -> None:
    run = changed(tune_run, tmp_path / "run")
    data = read_json(run / "config.json")
    data["settings"]["store"] = "moved"
    (run / "config.json").write_text(json.dumps(data))
    made(run, tmp_path / "out", bars=2)
    text = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert Page(text).rows[1][6] == "not checked" and "copies were not checked: moved" in text
    with pytest.raises(OptionError, match=r"--max-copied 2: copies were not checked"):
        made(run, tmp_path / "x.mid", bars=2, max_copied=2.0)


def test_the_page_shows_any_name_as_text() -> None:
    text = gallery("<b>", ("a & b",), [Entry("<1>", ("<i>",), "<1>.mid", b"", remark="<script>")], ("<p>",))
    page = Page(text)
    assert not page.all("script") and not page.all("i")
    assert page.rows == [["piece", "a & b"], ["<1>", "<i>"]]
    with pytest.raises(ValueError, match="has 0 figures, expected 1"):
        gallery("", ("a",), [Entry("x", (), "x.mid", b"")])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--key", "H major"), "--key 'H major', expected a key"),
        (("--top-k", "0"), "--top-k 0, expected 1 to 1,000,000"),
        (("--top-p", "0"), "--top-p 0.0, expected"),
        (("--min-p", "2"), "--min-p 2.0, expected 0 to 1"),
        (("--max-copied", "-1"), "--max-copied -1.0, expected 0 to 10,000"),
    ],
)
def test_what_makes_no_sense_is_refused(
    command: Command, tune_run: Path, tmp_path: Path, options: tuple[str, str], words: str
) -> None:
    assert_refused(command("seqaudio", "generate", tune_run, "--out", tmp_path / "x.mid", *options), words)
    assert not (tmp_path / "x.mid").exists()
