"""Tables and folders as people write them: read whole, or told in one line what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import case_file
from conftest import Command, assert_refused
from made_up_speech import RATE, prepare, prepared, refused, rows, script, write_word
from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.columns import number
from seqaudio.prepare.corpora.tables import find_file, read_table
from seqaudio.prepare.series.rows import Columns, read_series
from seqaudio.store import Store

SCRIPT = "data_prep/audio_folder.py"
audio_folder = script("audio_folder")


def write(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# the cases


def test_a_quote_that_is_a_character_takes_no_rows_along(command: Command, tmp_path: Path) -> None:
    store, told = prepared(command, case_file("audio", "quote_in_last_column.csv"), tmp_path / "out")
    assert sum(rows(store).values()) == 36
    assert "line 12: a quotation mark is not closed, so it is read as a character" in told
    assert "36 rows, columns path, label; not used: note" in told


def test_a_quote_that_opens_and_never_closes_is_named(command: Command, tmp_path: Path) -> None:
    table = case_file("audio", "quote_to_the_end.csv")
    done = command(SCRIPT, "--source", table, "--out", tmp_path / "out")
    assert_refused(done, "line 12", "the quotation mark at character 26 is not closed")


def test_rows_with_start_and_end_are_parts(command: Command, tmp_path: Path) -> None:
    table = case_file("audio", "segments.csv")
    done = command(
        SCRIPT, "--source", table, "--out", tmp_path / "out", "--sample-rate", str(RATE), "--keep", "samples"
    )
    assert done.returncode == 0, done.stderr
    assert "each row a segment of its recording, in seconds" in done.stdout
    store = Store(tmp_path / "out")
    whole, _ = soundfile.read(table.parent / "session.wav", dtype="int16")
    parts = {
        name: split.sequence(n) for split in map(store.__getitem__, store.counts) for n, name in enumerate(split.ids)
    }
    assert len(parts) == 12
    np.testing.assert_array_equal(parts["session.wav#1.2-1.5"], whole[int(1.2 * RATE) : int(1.5 * RATE)])


@pytest.mark.parametrize("name", ["backslashes.csv", "quoted_strings.tsv", "manifest.json"])
def test_tables_of_other_systems_are_read(name: str, command: Command, tmp_path: Path) -> None:
    tables = {
        "backslashes.csv": case_file("audio", "backslashes.csv"),
        "quoted_strings.tsv": case_file("audio", "quoted_strings.tsv"),
        "manifest.json": case_file("audio", "manifest.json"),
    }
    store, told = prepared(command, tables[name], tmp_path / "out")
    assert sum(rows(store).values()) == 36
    assert store.names.names == ("one", "three", "two")
    assert "36 rows, columns" in told


def test_an_archive_or_a_recording_is_told_as_what_it_is(command: Command, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    done = command(SCRIPT, "--source", case_file("audio", "words.zip"), *out)
    assert_refused(done, "words.zip: a ZIP archive, expected a CSV or TSV table, or a folder; unpack it")
    done = command(SCRIPT, "--source", case_file("audio", "session.wav"), *out)
    assert_refused(done, "session.wav: a recording, expected a CSV or TSV table, or a folder")
    done = command("data_prep/midi_folder.py", "--source", case_file("midi", "tunes.zip"), *out)
    assert_refused(done, "tunes.zip: a ZIP archive, expected a folder of MIDI files; unpack it and give the folder")


# quotation marks

CELL = st.text("ab ,;\t'", max_size=4)


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=12), st.integers(0, 11), st.booleans())
@settings(max_examples=150)
def test_one_stray_quote_loses_no_row_untold(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]], where: int, second: bool
) -> None:
    plain = [(f"{n}.wav", a.replace(",", ""), b.replace(",", "")) for n, (a, b) in enumerate(cells)]
    at = where % len(plain)
    place, label, note = plain[at]
    plain[at] = (place, label, f'"{note}x') if second else (place, f'"{label}x', note)
    path = write(tmp_path_factory.mktemp("quotes"), "\n".join(["path,label,note", *map(",".join, plain)]) + "\n")
    assert [row["path"] for row in read_table(path)] == [f"{n}.wav" for n in range(len(plain))]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['a.wav,"one, two"', "b.wav,three"], ["one, two", "three"]),
        (['a.wav,"one', 'two"', "b.wav,three"], ["one\ntwo", "three"]),
        (['a.wav,"one ""quoted"" word"', "b.wav,three"], ['one "quoted" word', "three"]),
        (['a.wav,5" disk', "b.wav,three"], ['5" disk', "three"]),
        (['a.wav,"one" more', "b.wav,three"], ['"one" more', "three"]),
        (['a.wav, "one"', "b.wav,three"], ["one", "three"]),
        (['a.wav,"one', 'b.wav,"two', "c.wav,three"], ['"one', '"two', "three"]),
        (['a.wav,"one', "b.wav,two", 'c.wav,"three'], ['"one', "two", '"three']),
        (['a.wav,"one', 'b.wav,two"', "c.wav,three"], ['"one', 'two"', "three"]),
    ],
)
def test_quotes_mean_what_they_can_mean(tmp_path: Path, lines: list[str], expected: list[str]) -> None:
    path = write(tmp_path, "\n".join(["path,text", *lines]))
    assert [row["text"] for row in read_table(path)] == expected


def test_a_quote_in_a_row_of_another_width_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, 'path,text,note\na.wav,one,x\nb.wav,"one, two, three\nc.wav,two,y\n')
    with pytest.raises(SourceError, match=r"line 3: the quotation mark at character 7 is not closed"):
        read_table(path)


# tables


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\npath;label\nx.wav;yes\n",
        '"sep=|"\r\npath|label\r\nx.wav|yes\r\n',
        "path,label,,\nx.wav,yes,,\n",
        "path|label\nx.wav|yes\n",
        "\n\npath,label\nx.wav,yes\n",
        "path,label\nx.wav,yes\n".encode("utf-16"),
        "path,label\nx.wav,yes\n".encode("utf-16-le"),
        "path,label\nx.wav,yes\n".encode("utf-16-be"),
        '{"path": "x.wav", "label": "yes"}\n',
        '[{"path": "x.wav", "label": "yes"}]',
        '{\n "data": [{"path": "x.wav",\n "label": "yes"}]\n}',
    ],
)
def test_tables_of_all_kinds_are_read(tmp_path: Path, content: str | bytes) -> None:
    assert read_table(write(tmp_path, content, "table.txt")) == [{"path": "x.wav", "label": "yes"}]


def test_a_column_of_quoted_values_in_a_tsv_loses_its_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, 'path\tlabel\ttext\n"a.wav"\t"one"\t"I" said "yes"\n"b.wav"\t"a ""b"""\tplain\n', "a.tsv")
    assert [list(row.values()) for row in read_table(path)] == [
        ["a.wav", "one", '"I" said "yes"'],
        ["b.wav", 'a "b"', "plain"],
    ]


def test_a_split_whose_recordings_are_all_refused_is_told(command: Command, tmp_path: Path) -> None:
    for take in range(4):
        write_word(tmp_path / "in" / "train" / "one" / f"{take}.wav", take=take)
    (tmp_path / "in" / "test" / "one").mkdir(parents=True)
    write(tmp_path / "in" / "test" / "one", "no sound", "a.wav")
    _, told = prepared(command, tmp_path / "in", tmp_path / "out")
    assert "warning: test is empty, as all its recordings were refused" in told


def test_objects_need_not_have_all_names(tmp_path: Path) -> None:
    lines = [{"path": "a.wav", "n": 1.50, "ok": True}, {"path": "b.wav", "label": None, "tags": ["x", "é"]}]
    path = write(tmp_path, "\n".join(map(json.dumps, lines)), "a.jsonl")
    empty = {"n": "", "ok": "", "label": "", "tags": ""}
    assert read_table(path) == [
        {**empty, "path": "a.wav", "n": "1.5", "ok": "true"},
        {**empty, "path": "b.wav", "tags": '["x", "é"]'},
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"path": "a.wav"}\n{"path": \n', "line 2: not an object in JSON"),
        ('{"path": "a.wav"}\n[1]\n', "line 2: not an object in JSON"),
        ("[1, 2]", "object 1: not an object in JSON"),
        ("[", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "has no rows"),
    ],
)
def test_json_that_is_no_table_is_told(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_table(write(tmp_path, content, "a.json"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"PK\x03\x04 and more", "a.xlsx", "a workbook, expected a CSV or TSV table, or a folder; save it as CSV"),
        (b"\x1f\x8b\x08", "a.tgz", "a gzip archive"),
        (b"fLaC....", "a.flac", "a recording"),
        (b"ID3\x04....", "a.mp3", "a recording"),
        (b"MThd....", "a.mid", "a MIDI file"),
        (b"%PDF-1.7", "a.csv", "a PDF"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, name: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_table(write(tmp_path, content, name))


@pytest.mark.parametrize(
    ("text", "value"), [("1.5", 1.5), ("1,5", 1.5), ("1,234.5", None), ("inf", None), ("nan", None), ("", None)]
)
def test_numbers_have_a_point_or_a_comma(text: str, value: float | None) -> None:
    assert number(text) == value


def test_series_with_decimal_commas_are_read(tmp_path: Path) -> None:
    plain = read_series(write(tmp_path, "t,a\n0,1.5\n1,2.25\n"), Columns("t")).values
    for text in ("sep=;\nt;a\n0;1,5\n1;2,25\n", "t\ta\n0\t1,5\n1\t2,25\n", "t;a;\n0;1,5;\n1;2,25;\n"):
        np.testing.assert_array_equal(read_series(write(tmp_path, text), Columns("t")).values, plain)
    for text in ('t,a\n0,"1,500"\n1,2\n', "t\ta\n0\t1,500\n1\t2,250\n"):  # thousands, or not: nobody can tell
        with pytest.raises(SourceError, match="'1,500' in row 1"):
            read_series(write(tmp_path, text), Columns("t"))


def test_files_in_another_case_are_found_unless_two_are(tmp_path: Path) -> None:
    (tmp_path / "Clips").mkdir()
    (tmp_path / "Clips" / "One.WAV").touch()
    found = tmp_path / "Clips" / "One.WAV"
    for name in ("Clips/One.wav", "clips/one.wav", "Clips\\One.WAV", ".\\CLIPS\\ONE.wav", "./Clips/One.WAV"):
        path = find_file(tmp_path, name)
        assert path is not None, name
        assert path.samefile(found)
    assert find_file(tmp_path, "clips/two.wav") is None
    (tmp_path / "Clips" / "one.Wav").touch()
    if len(list((tmp_path / "Clips").iterdir())) == 2:  # not where the disk ignores case
        assert find_file(tmp_path, "Clips/ONE.wav") is None


def test_the_folder_that_was_searched_is_named(command: Command, tmp_path: Path) -> None:
    table = write(tmp_path, "path,label\nC:\\voices\\a.wav,yes\nC:\\voices\\b.wav,no\n")
    done = command(SCRIPT, "--source", table, "--out", tmp_path / "out")
    assert_refused(done, f"none of its 2 files, such as C:\\voices\\a.wav, is in {tmp_path}")
    write_word(tmp_path / "a.wav")
    table = write(tmp_path, "path,label\na.wav,yes\nb.wav,no\n")
    store, told = prepared(command, table, tmp_path / "out")
    assert f"1 of 2 files not found in {tmp_path}, such as b.wav" in told
    assert set(refused(store)) == {"b.wav"}


# parts of recordings


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("path,start,end,label", "s.wav,{start},{end},yes"),
        ("path,start_time,end_time,label", "s.wav,{start},{end},yes"),
        ("File_Name,Begin,End,Label", "s.wav,{start},{end},yes"),
        ("path,onset,offset,label", "s.wav,{start},{end},yes"),
        ("path,offset,duration,label", "s.wav,{start},{length},yes"),
        ("path;start;duration;label", "s.wav;{start};{length};yes"),
    ],
)
def test_parts_by_many_names(tmp_path: Path, header: str, row: str) -> None:
    samples = (np.arange(2 * RATE) % 3000).astype(np.int16)
    soundfile.write(tmp_path / "s.wav", samples, RATE)
    cells = [row.format(start=f"{n / 4:.2f}", end=f"{n / 4 + 0.25:.2f}", length="0.25") for n in range(8)]
    if ";" in header:
        cells = [cell.replace(".25", ",25").replace(".50", ",50").replace(".75", ",75") for cell in cells]
    store = prepare(
        audio_folder, write(tmp_path, "\n".join([header, *cells])), tmp_path / "out", keep="samples",
        valid_percent=0, test_percent=0,
    )  # fmt: skip
    assert store["train"].ids[:2] == ["s.wav#0-0.25", "s.wav#0.25-0.5"]
    np.testing.assert_array_equal(np.concatenate(list(store["train"])), samples)


def test_parts_beyond_the_recording_are_refused_by_name(tmp_path: Path) -> None:
    write_word(tmp_path / "a.wav")
    seconds = soundfile.info(tmp_path / "a.wav").duration
    lines = [
        "path,label,start,end",
        "a.wav,yes,0.1,0.2",
        "a.wav,no,5,6",
        f"a.wav,up,0.1,{seconds + 0.01:.3f}",
        "a.wav,go,,",
    ]
    store = prepare(audio_folder, write(tmp_path, "\n".join(lines)), tmp_path / "out", valid_percent=0, test_percent=0)
    assert set(refused(store)) == {"a.wav#5-6"}
    assert "the segment from 5 to 6 s, expected one within the" in refused(store)["a.wav#5-6"].detail
    assert store["train"].labels == ["yes", "up", "go"]
    assert store["train"].ids[2] == "a.wav"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.wav,yes,0.5,0.5", "row 2: the segment from 0.5 to 0.5 s is empty"),
        ("a.wav,yes,0,soon", "row 2: 'soon', expected"),
    ],
)
def test_a_part_that_cannot_be_is_named_with_its_row(tmp_path: Path, line: str, message: str) -> None:
    table = write(tmp_path, f"path,label,start,end\na.wav,yes,0,1\n{line}\n")
    with pytest.raises(SourceError, match=message):
        prepare(audio_folder, table, tmp_path / "out")


def test_columns_that_are_no_parts_are_named_as_unused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_word(tmp_path / "a.wav")
    table = write(tmp_path, "path,label,start,end,duration,age\na.wav,yes,monday,tuesday,0.3,41\n")
    store = prepare(audio_folder, table, tmp_path / "out", valid_percent=0, test_percent=0)
    assert store["train"].ids == ["a.wav"]
    assert "1 row, columns path, label; not used: start, end, duration, age" in capsys.readouterr().out
    with pytest.raises(OptionError, match="duration alone makes no segment of a recording; give --end-column"):
        prepare(audio_folder, write(tmp_path, "path,label,duration\na.wav,x,1\n"), tmp_path, start_column="duration")
