"""Texts: normalised, cut into units, turned into ids and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqaudio.errors import SourceError, VocabularyError
from seqaudio.transcripts import BLANK, Spelling, TextSettings, read_lexicon

LEXICON = {"SIX": ("S", "IH", "K", "S"), "TWO": ("T", "UW")}


@pytest.mark.parametrize(
    ("settings", "text", "expected"),
    [
        ({}, "  Six\t two\n", "Six two"),
        ({"case": "upper"}, "Straße über", "STRASSE ÜBER"),
        ({"case": "lower"}, "SIX", "six"),
        ({}, "Cafe\u0301", "Café"),
        (
            {"punctuation": False},
            "Don't stop - 'quoted', well-known: 50 % (yes)!",
            "Don't stop quoted well known 50 yes",
        ),
        ({"punctuation": False}, "it\u2019s", "it's"),
        ({"punctuation": False}, "rock 'n' roll", "rock n roll"),
        ({}, "Don't, stop.", "Don't, stop."),
    ],
)
def test_texts_are_normalised_as_the_settings_say(settings: dict[str, object], text: str, expected: str) -> None:
    normalised = TextSettings(**settings).normalised  # type: ignore[arg-type]
    assert normalised(text) == expected
    assert normalised(expected) == expected


@given(st.lists(st.text(st.sampled_from("ABC' é"), max_size=9), min_size=1))
def test_ids_of_characters_are_the_text_again(texts: list[str]) -> None:
    settings = TextSettings()
    if not any(settings.normalised(text) for text in texts):
        with pytest.raises(VocabularyError, match="no recording has a text"):
            Spelling.of_texts(texts, settings)
        return
    spelling = Spelling.of_texts(texts, settings)
    assert spelling.vocabulary[0] == BLANK
    assert list(spelling.vocabulary)[1:] == sorted(spelling.vocabulary.names[1:])
    for text in texts:
        ids = spelling.encode(text)
        assert (ids > 0).all()
        assert spelling.text(ids) == settings.normalised(text)


def test_words_and_phones_are_units_too() -> None:
    words = Spelling.of_texts(["SIX TWO", "TWO"], TextSettings("words"))
    assert words.vocabulary.names == (BLANK, "SIX", "TWO")
    assert words.text(words.encode("TWO SIX TWO")) == "TWO SIX TWO"
    phones = Spelling.of_texts(["SIX TWO"], TextSettings("phones"), LEXICON)
    assert phones.vocabulary.names == (BLANK, "IH", "K", "S", "T", "UW")
    assert phones.text(phones.encode("TWO SIX")) == "T UW S IH K S"


def test_what_a_recogniser_does_not_have_is_named() -> None:
    spelling = Spelling.of_texts(["six"], TextSettings())
    with pytest.raises(VocabularyError, match="'w', 'é' not among the 3 characters"):
        spelling.encode("wéx")
    with pytest.raises(SourceError, match="no pronunciation of SEVEN; add a line such as SEVEN"):
        Spelling.of_texts(["SIX SEVEN"], TextSettings("phones"), LEXICON)
    with pytest.raises(SourceError, match="no pronunciation of NINE, SEVEN; add a line such as NINE"):
        Spelling.of_texts(["SIX SEVEN", "TWO", "SEVEN NINE"], TextSettings("phones"), LEXICON)


def test_a_lexicon_gives_the_first_pronunciation(tmp_path: Path) -> None:
    file = tmp_path / "words.dic"
    file.write_text(";;; a comment\nSIX  S IH K S\n\nTWO T UW\nTWO(2) T UH\nTWO T AH\n")
    assert read_lexicon(file) == LEXICON


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"SIX S IH K S\nTWO\n", "line 2: 'TWO', expected"), (b"\n", "no pronunciation"), (b"\xff\xfe S", "UTF-8")],
)
def test_a_file_that_is_no_lexicon_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "words.dic"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=words):
        read_lexicon(file)
