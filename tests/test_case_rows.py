"""Every row of the cases' index has a test that shows its behaviour."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cases import KINDS, cases_folder


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_of_the_index_is_shown_by_a_test(kind: str) -> None:
    lines = (cases_folder() / kind / "index.tsv").read_text(encoding="utf-8").splitlines()[1:]
    names = {name.rstrip("/") for line in lines for name in line.split("\t")[0].split()}
    sources = "".join(file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("test_*.py")))
    shown = set(re.findall(rf'case_file\(\s*"{kind}",\s*"([^"]+)"', sources))
    missing = sorted(
        name for name in names if not any(other == name or other.startswith(f"{name}/") for other in shown)
    )
    assert not missing, f"no test shows {missing}"
