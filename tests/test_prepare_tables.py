"""Tables, lists, hash splits and hash samples: what every preparation relies on."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.splits import hash_sample, hash_split
from seqaudio.prepare.corpora.tables import listed_file, read_lines, read_table
from seqaudio.prepare.engine import Item


def table(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, *columns: str) -> str:
    with pytest.raises(SourceError) as caught:
        read_table(path, columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# tables


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "path,label\nx.wav,yes\ny.wav,no\n"),
        ("a.csv", "path;label\r\nx.wav;yes\r\ny.wav;no\r\n"),
        ("a.csv", "path\tlabel\nx.wav\tyes\ny.wav\tno"),
        ("a.tsv", "path\tlabel\nx.wav\tyes\ny.wav\tno\n"),
        ("a.TSV", "path\tlabel\nx.wav\tyes\ny.wav\tno\n"),
        ("a.txt", "path, label\nx.wav, yes\n\n  y.wav ,no\n\n"),
        ("a.csv", "\ufeffpath,label\nx.wav,yes\ny.wav,no\n"),
        ("a.csv", '"path","label"\n"x.wav","yes"\n"y.wav","no"\n'),
    ],
    ids=["comma", "semicolon", "tab", "tsv", "TSV", "spaces and empty lines", "byte order mark", "quotes"],
)
def test_usual_tables_are_read(tmp_path: Path, name: str, content: str) -> None:
    rows = read_table(table(tmp_path, content, name), ["path", "label"])
    assert rows == [{"path": "x.wav", "label": "yes"}, {"path": "y.wav", "label": "no"}]


def test_a_quoted_field_may_hold_delimiter_and_line_end(tmp_path: Path) -> None:
    path = table(tmp_path, 'path,text\nx.wav,"one, two\nthree ""four"""\n')
    assert read_table(path) == [{"path": "x.wav", "text": 'one, two\nthree "four"'}]


def test_a_quote_in_a_tsv_is_a_character(tmp_path: Path) -> None:
    path = table(tmp_path, 'path\ttext\nx.wav\t"one\ny.wav\ttwo, three\n', "a.tsv")
    assert [row["text"] for row in read_table(path)] == ['"one', "two, three"]


def test_names_beyond_ascii_arrive(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label\nä/日本.wav,Grüße\n")
    assert read_table(path) == [{"path": "ä/日本.wav", "label": "Grüße"}]


def test_a_missing_column_is_refused_with_those_there(tmp_path: Path) -> None:
    path = table(tmp_path, "file,word\nx.wav,yes\n")
    assert refusal(path, "file", "label") == f"{path}: has no column 'label'; it has file, word"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty, expected a line of column names"),
        ("\n\n", "is empty, expected a line of column names"),
        ("path,label\n", "has no rows below its column names"),
        ("path,label,path\na,b,c\n", "has 2 columns called 'path'"),
        ("path,label\nx.wav,yes\ny.wav\n", "line 3: 1 fields, expected 2"),
        ("path,label\nx.wav,yes,sure\n", "line 2: 3 fields, expected 2"),
        (b"path,label\nx.wav,gr\xfc\xdfe\n", "not UTF-8"),
        (b"path,label\nx\0.wav,yes\n", "line 2: has a NUL character; save the table as UTF-8"),
        ("path,label\nx.wav," + 200_000 * "a" + "\n", "line 2: has a field of more than"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert message in refusal(table(tmp_path, content))


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "give a CSV or TSV table" in refusal(tmp_path / "a.csv")
    assert "give a CSV or TSV table" in refusal(tmp_path)


# splits


@pytest.mark.parametrize(
    ("key", "valid", "test", "split"),
    [
        ("george", 2.01, 0, "valid"),  # its SHA-256 begins with 0x0522: 2.006 % of the range
        ("george", 2.00, 0.01, "test"),
        ("george", 1.00, 1.00, "train"),
        ("theo", 11.32, 50, "valid"),  # 11.316 %
        ("theo", 10, 1.32, "test"),
        ("theo", 10, 1.31, "train"),
        ("ada", 0, 99.2, "test"),  # 99.192 %
        ("ada", 50, 49.1, "train"),
    ],
)
def test_a_split_is_decided_by_the_hash_of_the_name(key: str, valid: float, test: float, split: str) -> None:
    assert hash_split(key, valid, test) == split


def test_shares_are_those_asked_for() -> None:
    counts = Counter(hash_split(f"speaker {number}", 10, 20) for number in range(20_000))
    assert counts["valid"] == pytest.approx(2000, abs=150)
    assert counts["test"] == pytest.approx(4000, abs=200)


@given(st.text(), st.floats(0, 40), st.floats(0, 40))
def test_a_larger_test_share_takes_only_from_training(key: str, valid: float, test: float) -> None:
    before, after = hash_split(key, valid, test), hash_split(key, valid, test + 15)
    assert before == after or (before, after) == ("train", "test")


def test_all_or_nothing_of_a_share() -> None:
    names = [str(number) for number in range(200)]
    assert {hash_split(name, 0, 0) for name in names} == {"train"}
    assert "train" not in {hash_split(name, 50, 49.999999) for name in names}


def test_both_ways_to_write_an_accent_are_one_name() -> None:
    for number in range(50):
        name = f"Zoë {number}"
        assert hash_split(unicodedata.normalize("NFD", name), 30, 30) == hash_split(name, 30, 30)


def test_a_name_that_is_no_utf8_has_a_split() -> None:
    assert hash_split("\udcff.wav", 10, 10) in ("train", "valid", "test")


@pytest.mark.parametrize(("valid", "test"), [(-1, 10), (10, -1), (50, 50), (float("nan"), 10)])
def test_senseless_shares_are_refused(valid: float, test: float) -> None:
    with pytest.raises(OptionError, match="expected at least 0 each and less than 100 together"):
        hash_split("key", valid, test)


# samples


def items(count: int) -> list[Item]:
    return [Item(str(n), Path(str(n)), f"{n // 100}_{n}", label=str(n // 100)) for n in range(count)]


def test_a_sample_keeps_the_order_and_reaches_every_label() -> None:
    sample = hash_sample(items(1000), 100)
    assert len(sample) == 100
    assert sample == sorted(sample, key=lambda item: int(item.key))
    assert {item.label for item in sample} == set("0123456789")


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    assert set(hash_sample(items(500), 20)) < set(hash_sample(items(500), 21))


@pytest.mark.parametrize("limit", [None, 10, 11])
def test_no_limit_or_a_large_one_takes_all(limit: int | None) -> None:
    assert hash_sample(items(10), limit) == items(10)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(OptionError, match=f"--limit {limit}, expected at least 1"):
        hash_sample(items(10), limit)


def test_only_the_columns_that_are_of_use_are_kept(tmp_path: Path) -> None:
    path = table(tmp_path, "path,label,votes\nx.wav,yes,3\n")
    assert read_table(path, ["votes"], only=["label", "path", "other"]) == [{"path": "x.wav", "label": "yes"}]


# files and lists


def test_a_file_is_found_under_either_form_of_its_accents(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "né.wav") for form in ("NFC", "NFD"))
    (tmp_path / apart).touch()
    assert listed_file(tmp_path, composed) == tmp_path / apart
    (tmp_path / composed).touch()
    assert listed_file(tmp_path, composed) == tmp_path / composed
    assert listed_file(tmp_path, apart) == tmp_path / apart
    assert listed_file(tmp_path, "none.wav") == tmp_path / "none.wav"
    assert listed_file(tmp_path, 300 * "long") == tmp_path / (300 * "long")


def test_lists_are_read_without_their_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes("\ufeffbed/a.wav\r\n\n  größe/b.wav \n".encode())
    assert read_lines(tmp_path / "list", "a list") == ["bed/a.wav", "größe/b.wav"]
    with pytest.raises(SourceError, match="No such file or directory; expected a list of words"):
        read_lines(tmp_path / "none", "a list of words")
    (tmp_path / "list").write_bytes(b"\xff")
    with pytest.raises(SourceError, match=r"not UTF-8 .* expected a list of words"):
        read_lines(tmp_path / "list", "a list of words")
