"""The first hour: hints that can be followed, whatever is installed, and help that says what there is."""

from __future__ import annotations

import re
import tomllib

from conftest import ROOT
from seqaudio.errors import EXTRAS, how_to_install


def test_each_hint_names_an_extra_and_its_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra, package in EXTRAS.items():
        assert [re.split("[>=]", line)[0] for line in extras[extra]] == [package]
        assert how_to_install(extra) == f'pip install {package} (in a clone: pip install ".[{extra}]")'


def test_no_hint_names_a_package_that_is_on_no_index() -> None:
    for folder in ("seqaudio", "recipes", "data_prep"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "seqaudio[" not in path.read_text(encoding="utf-8"), path
