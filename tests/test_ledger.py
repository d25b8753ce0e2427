from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqaudio.ledger import (
    HEADER,
    LedgerEntry,
    Reason,
    Status,
    decode_field,
    encode_field,
    ledger_line,
    read_ledger,
    summarise,
)


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    entries = [
        LedgerEntry("a/b c.wav", Status.KEPT, seconds=1.25, split="train", rows=1, sha256="ab"),
        LedgerEntry("tab\there\nand 100%.wav", Status.REFUSED, Reason.TRUNCATED, "ends at\t7"),
        LedgerEntry("odd-\udcff.mid", Status.SKIPPED, Reason.TOO_LONG),
    ]
    (tmp_path / "ledger.tsv").write_text(HEADER + "".join(map(ledger_line, entries)), newline="\n")
    assert read_ledger(tmp_path / "ledger.tsv") == entries
    assert len((tmp_path / "ledger.tsv").read_text().splitlines()) == 4


@given(st.binary())
def test_every_file_name_survives_encoding_on_one_line(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    encoded = encode_field(text)
    assert decode_field(encoded) == text
    assert encoded.isprintable()


def test_a_summary_counts_reasons() -> None:
    entries = [LedgerEntry("a", Status.KEPT)] * 3 + [LedgerEntry("b", Status.REFUSED, Reason.EMPTY)] * 2
    assert summarise(entries) == "3 kept, 2 refused (2 empty)"
    assert summarise([]) == "0 kept"


def test_another_table_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("path\tlabel\n")
    with pytest.raises(ValueError, match="columns"):
        read_ledger(tmp_path / "x.tsv")
