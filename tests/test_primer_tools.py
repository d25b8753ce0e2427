"""The tools of docs/primer on small pages: what is taken apart, what is found wrong, what notebooks hold."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT

sys.path.append(str(ROOT / "docs" / "primer"))

from chapters import PRIMER, Page, PageError, pages, read_page, take_apart
from commands import program, run_commands
from draw import draw_figure
from examples import faults, run_pages
from glossary import Term, lower, missing_terms, read_glossary, rivals_in, stem, words_of
from notebooks import build, notebook
from printed import difference
from translation import differences

PAGE = """# A title

Words, a [link](other.md#part) and one [outside](https://example.org/x.md).

```python
import math

total = 3.14159  # a comment
print(f"the total of {2} is {total:.3f}")
```

```text
the total of 2 is 3.142
```

![A picture of nothing](pictures/nothing.png)

```sh
# a comment
seqaudio info --cells
recipes/memory_tasks/train.py --run runs/x \\
  --task adding
```

## Exercises

1. Double it.

<details><summary>Solution</summary>

```python
print(2 * total)
```

```text
6.28318
```

</details>
"""
TRANSLATED = (
    PAGE.replace("# A title", "# Bir başlık")
    .replace("Exercises", "Alıştırmalar")
    .replace('f"the total of {2} is {total:.3f}"', 'f"{total:.3f}, {2} sayının toplamı"')
    .replace("the total of 2 is 3.142", "3.142, 2 sayının toplamı")
    .replace("3.14159  # a comment", "3.14159  # bir açıklama")
)


def page_of(text: str, folder: Path, name: str = "page.md") -> Page:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_page(path)


# --- taking pages apart ---


@pytest.mark.parametrize("language", ["en", "tr"])
def test_the_pieces_of_a_page_are_the_page(language: str) -> None:
    for page in pages(language):
        assert page.text == page.path.read_text(encoding="utf-8")


def test_a_page_tells_its_parts(tmp_path: Path) -> None:
    page = page_of(PAGE, tmp_path)
    assert page.text == PAGE
    assert page.title == "A title"
    assert page.headings == [(1, "A title"), (2, "Exercises")]
    assert [example.printed.body for example in page.examples if example.printed] == [
        "the total of 2 is 3.142\n",
        "6.28318\n",
    ]
    assert page.commands == ["seqaudio info --cells", "recipes/memory_tasks/train.py --run runs/x    --task adding"]
    assert page.links == ["other.md#part", "https://example.org/x.md"]
    assert page.pictures == [("A picture of nothing", tmp_path / "pictures" / "nothing.png")]
    ((words, blocks),) = page.solutions
    assert words == "Solution"
    assert [block.kind for block in blocks] == ["python", "text"]
    assert [page.pieces[1].line, page.examples[1].code.line] == [5, 31]


def test_a_text_that_does_not_follow_a_block_is_not_its_output(tmp_path: Path) -> None:
    page = page_of("```python\nx = 1\n```\n\nWords.\n\n```text\nx\n```\n", tmp_path)
    assert page.examples[0].printed is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("words\n```python\nx = 1\n", "x.md:2: the block is never closed"), ("```\nx\n```\n", "x.md:1: a block without")],
)
def test_damaged_pages_are_refused_with_the_line(text: str, expected: str) -> None:
    with pytest.raises(PageError, match=expected):
        list(take_apart(text, "x.md"))


# --- what is printed ---


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("loss 0.52\n", "loss 0.53"),
        ("loss 0.52", "loss   0.51\n\n"),
        ("1,000 steps", "1,010 steps"),
        ("2.5e-3", "2.4e-03"),
        ("-0.00", "0.01"),
        ("[1, 2]", "[1, 2]"),
        ("9.99", "10.00"),
        ("a-1 x2", "a-1 x2"),
        ("", "\n"),
    ],
)
def test_what_differs_in_the_last_digit_agrees(expected: str, printed: str) -> None:
    assert difference(expected, printed) == ""


@pytest.mark.parametrize(
    ("expected", "printed", "words"),
    [
        ("loss 0.52", "loss 0.54", "line 1 is 'loss 0.54', the page says 'loss 0.52'"),
        ("loss 0.52", "less 0.52", "less"),
        ("a\nb", "a", "1 lines, the page says 2"),
        ("", "a", "1 lines, the page says 0"),
        ("1 2", "1", "line 1"),
        ("2.5e-3", "2.5e-4", "line 1"),
        ("0.5", "-0.5", "line 1"),
        ("1.0", "nan", "nan"),
        ("x2", "x3", "x3"),
    ],
)
def test_what_differs_by_more_is_told(expected: str, printed: str, words: str) -> None:
    assert words in difference(expected, printed)


def test_turkish_numbers_are_compared_as_numbers() -> None:
    assert difference("0,99 of 1.234,5 (%9)", "1,00 of 1.235,5 (%9)", "tr") == ""
    assert "line 1" in difference("1,23", "1,53", "tr")
    assert "line 1" in difference("3.265", "4.265", "tr")
    assert "line 1" in difference("1,23", "1.23", "tr")


def broken_pages() -> list[tuple[str, str]]:
    """A page with one defect each, and what is said of it."""
    return [
        (PAGE.replace("is 3.142", "is 4.142"), r"page.md:5: line 1 is 'the total of 2 is 3.142'"),
        (PAGE.replace("```text\n6.28318\n```\n", ""), r"page.md:31: prints '6.28318', the page shows nothing"),
        (
            PAGE.replace("import math\n", "import math, nowhere\n"),
            r"page.md:5: Traceback[^$]*No module named 'nowhere'",
        ),
        (PAGE.replace("print(2 * total)", "2 * total"), r"page.md:31: 0 lines, the page says 1"),
        (PAGE.replace("print(2 * total)", "print(2 * totl)"), r"page.md:31: Traceback[^$]*print\(2 \* totl\)"),
    ]


def test_every_defect_of_a_page_is_found_by_running_it(tmp_path: Path) -> None:
    broken = broken_pages()
    folders = [tmp_path / str(number) for number in range(len(broken) + 1)]
    for folder in folders:
        folder.mkdir()
    chosen = [page_of(text, folder) for (text, _), folder in zip(broken, folders, strict=False)]
    *outcomes, whole = run_pages([*chosen, page_of(PAGE, folders[-1])], timeout=120)
    assert faults(whole) == []
    for outcome, (_, expected) in zip(outcomes, broken, strict=True):
        (fault,) = faults(outcome)
        assert re.search(expected, fault), fault


def test_pages_share_a_process_and_neither_names_nor_settings_nor_folders(tmp_path: Path) -> None:
    first = """```python
import os, pathlib, torch
torch.set_default_dtype(torch.float64)
torch.manual_seed(3)
pathlib.Path("left.txt").write_text("x")
os.write(1, b"noise of a library")
print(os.getpid())
```
"""
    second = """```python
import os, pathlib, torch
print(os.getpid(), torch.zeros(1).dtype, torch.get_num_threads(), list(pathlib.Path().iterdir()), "first" in globals())
```
"""
    one, two = run_pages([page_of(first, tmp_path, "a.md"), page_of(second, tmp_path, "b.md")], timeout=120)
    assert one.error is two.error is None
    assert two.printed == [f"{one.printed[0].strip()} torch.float32 1 [] False\n"]


def test_a_block_that_ends_the_process_is_told(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="ended their process with status 3"):
        run_pages([page_of("```python\nimport os\nos._exit(3)\n```\n", tmp_path)])


def test_outputs_are_written_into_a_page_once(tmp_path: Path) -> None:
    bare = re.sub(r"```text\n.*?```\n\n", "", PAGE, flags=re.DOTALL)
    page = page_of(bare, tmp_path)
    again = page.with_printed(["the total of 2 is 3.142\n", "6.28318\n"])
    assert again.text == PAGE
    assert again.with_printed(["the total of 2 is 3.142\n", "6.28318\n"]).text == PAGE
    assert again.with_printed(["", ""]).text == bare


def test_the_update_refuses_what_changes_from_run_to_run(tmp_path: Path) -> None:
    page_of(PAGE.replace("total = 3.14159", "total = __import__('random').random()"), tmp_path)
    before = (tmp_path / "page.md").read_bytes()
    script = [sys.executable, str(PRIMER / "run.py"), "--update", str(tmp_path / "page.md")]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "set a seed" in done.stderr
    assert (tmp_path / "page.md").read_bytes() == before


# --- translations ---


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Page, Path]:
    return page_of(PAGE, tmp_path), tmp_path


def test_a_translation_may_differ_in_words_and_their_order(pair: tuple[Page, Path]) -> None:
    original, folder = pair
    assert differences(original, page_of(TRANSLATED, folder, "tr.md")) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("total = 3.14159", "total = 3.14158", "differ in more than words"),
        ("{total:.3f}", "{total:.2f}", "differ in more than words"),
        ("{2} sayının", "iki sayının", "differ in more than words"),
        ("print(2 * total)", "print(total * 2)", "differ in more than words"),
        ("```text\n6.28318\n```\n", "", "blocks are 5 in the original, 4 in the translation"),
        ("--task adding", "--task copy", "commands differ at number 2"),
        ("nothing.png", "something.png", "pictures differ at number 1: 'nothing.png', 'something.png'"),
        ("1. Double it.", "1. Double it.\n\nNow.", "rows of tables are 7 in the original, 8 in the translation"),
        ("1. Double it.", "- Double it.\n- Halve it.", "of tables differ at number 5: 'words', '- - '"),
        ("## Alıştırmalar", "### Alıştırmalar", "levels of headings differ at number 2: 2, 3"),
    ],
)
def test_any_other_difference_of_a_translation_is_found(
    pair: tuple[Page, Path], old: str, new: str, expected: str
) -> None:
    original, folder = pair
    assert old in TRANSLATED
    found = differences(original, page_of(TRANSLATED.replace(old, new), folder, "tr.md"))
    assert any(expected in line for line in found), found


def test_a_translation_may_print_numbers_in_its_language_and_import_nothing_else(pair: tuple[Page, Path]) -> None:
    original, folder = pair
    for added, found in (("from seqaudio.numerals import turkish_print as print", 0), ("from os import path", 1)):
        text = TRANSLATED.replace("import math\n", f"import math\n\n{added}\n")
        assert len(differences(original, page_of(text, folder, "tr.md"))) == found


def test_commands_that_are_only_shown_are_compared_and_not_run(tmp_path: Path) -> None:
    text = "# A title\n\n```console\nseqaudio train series \\\n  --run runs/x\n```\n"
    page = page_of(text, tmp_path)
    assert (page.commands, page.shown_commands) == ([], ["seqaudio train series    --run runs/x"])
    assert differences(page, page_of(text.replace("runs/x", "runs/y"), tmp_path, "tr.md")) == [
        "page.md: commands differ at number 1: 'seqaudio train series    --run runs/x', "
        "'seqaudio train series    --run runs/y'"
    ]


# --- the glossary ---


def test_the_glossary_has_some_sixty_terms_each_once() -> None:
    terms = read_glossary()
    assert 55 <= len(terms) <= 100
    for names in ([term.turkish for term in terms], [name for term in terms for name in term.english]):
        assert len(set(names)) == len(names)
    assert sum(bool(term.avoided) for term in terms) > 50
    named = {term.english[0]: term.turkish for term in terms}
    assert named["feed-forward net"] == "ileri beslemeli ağ"
    assert named["backpropagation through time"] == "zaman içinde geri yayılım"
    assert named["vanishing gradient"] == "kaybolan gradyan"
    assert named["exploding gradient"] == "patlayan gradyan"
    assert named["gate"] == "kapı"


def test_the_glossary_obeys_itself() -> None:
    terms = read_glossary()
    for term in terms:
        assert rivals_in(f"{term.turkish}: {term.definition}", terms) == []
        assert missing_terms(f"{term.english[0]} {term.english[0]}", term.turkish, [term]) == []


def test_a_row_that_lacks_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sozluk.md"
    path.write_text("| gate | kapı | geçit |\n", encoding="utf-8")
    with pytest.raises(PageError, match=r"sozluk\.md:1: expected English, Turkish, definition and avoided words"):
        read_glossary(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Words,", "Burada WORD vardır,"),
        ("Words,", "Burada\nWORDyı görürüz,"),
        ("# bir açıklama", "# WORD"),
        ("# a comment", "# WORD"),
        ("sayının toplamı", "WORD"),
        ("# Bir başlık", "# Bir WORD"),
        ("A picture of nothing", "WORD"),
    ],
)
def test_a_second_translation_is_found_wherever_it_stands(old: str, new: str, tmp_path: Path) -> None:
    terms = [term for term in read_glossary() if term.avoided]
    assert rivals_in(words_of(page_of(TRANSLATED, tmp_path)), terms) == []
    for term in terms:
        for rival in term.avoided:
            page = page_of(TRANSLATED.replace(old, new.replace("WORD", rival)), tmp_path)
            assert any(term.turkish in found for found in rivals_in(words_of(page), [term])), rival


def test_the_pages_do_not_pass_with_another_translation() -> None:
    terms = {term.english[0]: term for term in read_glossary()}
    for page in pages("tr", chapters_only=True):
        for english in ("recurrent net", "gradient"):
            ours = terms[english]
            mutated = Page(page.path, tuple(take_apart(page.text.replace(ours.turkish, ours.avoided[0]))))
            assert rivals_in(words_of(page), [ours]) == []
            assert rivals_in(words_of(mutated), [ours]) or ours.turkish not in words_of(page)


def test_a_second_translation_that_nobody_thought_of_is_found() -> None:
    term = Term(("forget gate",), "unutma kapısı", "", ())
    english = "The forget gate closes. Forget\ngates open."
    assert missing_terms(english, "Unutma kapıları açılır.", [term]) == []
    assert missing_terms(english, "Boşaltma kapısı kapanır.", [term]) == [
        "'forget gate' stands in the English text, 'unutma kapısı' not in the Turkish one"
    ]
    assert missing_terms("One forget gate.", "", [term]) == []


def test_what_is_code_is_no_word(tmp_path: Path) -> None:
    page = page_of("Bu `jeton` kod.\n\n```python\njeton = 1\n```\n\n```sh\nseqaudio jeton\n```\n", tmp_path)
    assert "jeton" not in words_of(page)


@pytest.mark.parametrize(
    ("term", "forms"),
    [
        ("kayıp", ["Kaybı", "kayıplar", "KAYIP"]),
        ("bellek", ["belleği", "Bellekte"]),
        ("öğrenme oranı", ["öğrenme oranları", "Öğrenme oranının"]),
        ("eğitim kümesi", ["EĞİTİM KÜMESİ", "eğitim kümeleri"]),
        ("yinelemeli ağ", ["yinelemeli ağın", "Yinelemeli\nağlar"]),
    ],
)
def test_forms_of_a_term_are_the_term(term: str, forms: list[str]) -> None:
    for form in forms:
        assert missing_terms("gate gate", form, [Term(("gate",), term, "", ())]) == [], form
    assert missing_terms("gate gate", "başka bir söz", [Term(("gate",), term, "", ())])


def test_letters_become_small_as_in_turkish() -> None:
    assert lower("ISI İÇİN ŞÖYLE") == "ısı için şöyle"
    assert stem("kayan pencere") == "kayan pencere"


# --- commands, figures ---


def test_a_command_is_of_the_project_and_a_failing_one_is_told_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="begins with 'rm', expected seqaudio or a script of the project"):
        program("rm -r runs")
    page = page_of("```sh\nseqaudio info nothing.mid\n```\n", tmp_path)
    with pytest.raises(PageError, match=r"page\.md: seqaudio info nothing\.mid\nstatus 2\nerror: .*nothing\.mid"):
        run_commands(page, tmp_path)


def test_a_figure_that_is_not_there_and_one_that_is_not_written_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PageError, match="no figure is called 'nothing'; there are "):
        draw_figure("nothing", "en", tmp_path)
    (tmp_path / "primer_idle_figure.py").write_text("def draw(language, out):\n    return None\n")
    (tmp_path / "primer_vast_figure.py").write_text(
        "def draw(language, out):\n    (out / 'primer_vast_figure.png').write_bytes(bytes(200_000))\n"
    )
    monkeypatch.setattr("draw.FIGURES", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PageError, match=r"primer_idle_figure\.py has not written primer_idle_figure\.png"):
        draw_figure("primer_idle_figure", "en", tmp_path)
    with pytest.raises(PageError, match="200,000 bytes, at most 150,000"):
        draw_figure("primer_vast_figure", "tr", tmp_path)


# --- notebooks ---


def assert_valid_notebook(content: dict[str, Any]) -> None:
    """The rules of the schema of format 4.5 that concern what we write."""
    assert content.keys() == {"nbformat", "nbformat_minor", "metadata", "cells"}
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert content["metadata"]["kernelspec"].keys() == {"display_name", "language", "name"}
    assert content["metadata"]["language_info"]["name"] == "python"
    ids = [cell["id"] for cell in content["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in content["cells"]:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
        assert isinstance(cell["metadata"], dict)
        assert_lines(cell["source"])
        if cell["cell_type"] == "code":
            assert cell.keys() == {"id", "cell_type", "metadata", "execution_count", "source", "outputs"}
            assert cell["execution_count"] is None
            for output in cell["outputs"]:
                assert output.keys() == {"output_type", "name", "text"}
                assert (output["output_type"], output["name"]) == ("stream", "stdout")
                assert_lines(output["text"])
        else:
            assert cell["cell_type"] == "markdown"
            assert cell.keys() - {"attachments"} == {"id", "cell_type", "metadata", "source"}
            text = "".join(cell["source"])
            attached = cell.get("attachments", {})
            assert re.findall(r"\]\(attachment:([^)]+)\)", text) == list(attached)
            for bundle in attached.values():
                assert bundle.keys() == {"image/png"}
                assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")


def assert_lines(lines: object) -> None:
    """A text as a list of lines, each but the last with its end."""
    assert isinstance(lines, list)
    assert all(isinstance(line, str) and line for line in lines)
    assert all(line.endswith("\n") and "\n" not in line[:-1] for line in lines[:-1])


def test_a_notebook_holds_prose_code_outputs_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "nothing.png").write_bytes(b"\x89PNG")
    (tmp_path / "other.md").write_text("# Other\n")
    content = notebook(page_of(PAGE, tmp_path), tmp_path / "page.ipynb")
    assert_valid_notebook(content)
    assert [cell["cell_type"] for cell in content["cells"]] == ["markdown", "code", "markdown", "code"]
    first, code, second, solution = content["cells"]
    assert "[link](other.ipynb#part) and one [outside](https://example.org/x.md)" in "".join(first["source"])
    assert "".join(code["source"]).startswith("import math\n")
    assert code["outputs"][0]["text"] == ["the total of 2 is 3.142\n"]
    assert code["metadata"] == {}
    assert "**Solution**" in "".join(second["source"])
    assert "```sh\n# a comment" in "".join(second["source"])
    assert list(second["attachments"]) == ["nothing.png"]
    assert solution["metadata"]["jupyter"] == {"source_hidden": True, "outputs_hidden": True}
    assert "<details>" not in "".join(second["source"])  # there are no words to fold


def test_the_words_of_a_solution_are_folded_on_both_sides_of_its_code(tmp_path: Path) -> None:
    text = PAGE.replace("<summary>Solution</summary>\n", "<summary>Solution</summary>\n\nTwice.\n")
    text = text.replace("\n</details>", "\nThat is it.\n\n</details>\n\nThe end.").replace("![A picture", "[A picture")
    *_, before, solution, after = notebook(page_of(text, tmp_path), tmp_path / "page.ipynb")["cells"]
    fold = "<details><summary>{}</summary>\n\n{}\n\n</details>"
    assert "".join(before["source"]).endswith(fold.format("Solution", "Twice."))
    assert solution["metadata"]["jupyter"]["source_hidden"]
    assert "".join(after["source"]) == fold.format("…", "That is it.") + "\n\n\nThe end."


def test_a_notebook_without_its_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"page\.md: no picture pictures/nothing\.png; make figures draws them"):
        notebook(page_of(PAGE, tmp_path), tmp_path / "page.ipynb")


@pytest.mark.parametrize("language", ["en", "tr"])
def test_all_pages_become_notebooks(language: str, tmp_path: Path) -> None:
    written = build(language, tmp_path)
    assert [path.stem for path in written] == [page.path.stem for page in pages(language)]
    for path, page in zip(written, pages(language), strict=True):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert_valid_notebook(content)
        code = ["".join(cell["source"]) + "\n" for cell in content["cells"] if cell["cell_type"] == "code"]
        assert code == [example.code.body for example in page.examples]
        text = "".join("".join(cell["source"]) for cell in content["cells"])
        assert len(re.findall("attachment:", text)) == len(page.pictures)
        assert text.count("<details>") == text.count("</details>") <= 2 * len(page.solutions)
        for link in re.findall(r"(?<!!)\[[^]]*\]\(([^)\s#]+)", text):
            assert "://" in link or (path.parent / link).exists(), link


@pytest.mark.slow
def test_the_code_of_a_notebook_prints_what_stands_below_it(tmp_path: Path) -> None:
    build("en", tmp_path)
    cells = json.loads((tmp_path / "02_recurrent_net.ipynb").read_text(encoding="utf-8"))["cells"]
    text = ""
    for cell in cells:
        if cell["cell_type"] == "code":
            text += "```python\n" + "".join(cell["source"]) + "\n```\n"
            text += "".join("```text\n" + "".join(output["text"]) + "```\n" for output in cell["outputs"])
    (outcome,) = run_pages([page_of(text, tmp_path)])
    assert faults(outcome) == []
    assert len(outcome.printed) > 5
