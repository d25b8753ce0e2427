"""Texts as words: cut and written again, a vocabulary of the training part, perplexity, generation, n-grams."""

from __future__ import annotations

import json
import math
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Command, assert_refused
from seqaudio.batching import Batch
from seqaudio.cli import generate, ngram
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.decoding.ctc_models import RecurrentText, Units, open_language_model
from seqaudio.decoding.text import TextTokens
from seqaudio.errors import OptionError, RunError, SourceError, StoreError, VocabularyError
from seqaudio.evaluation.results import read_results
from seqaudio.evaluation.text import TextScores
from seqaudio.models import EventModel, events
from seqaudio.ngrams import read_arpa
from seqaudio.prepare.text import Parts, training_vocabulary
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.text_units import CharacterUnit, TextUnit, WordUnit
from seqaudio.vocabulary import BOS, EOS, SPECIAL_TOKENS, UNKNOWN_WORD, Vocabulary

WORDS = WordUnit()
UNK = len(SPECIAL_TOKENS)


def sentence(draw: random.Random) -> str:
    parts = [
        ["the", "a", "no"],
        ["well-known", "old", "big"],
        ["dog", "cat", "don"],
        ["doesn't sleep", "sings", "runs"],
    ]
    return " ".join(map(draw.choice, parts)) + draw.choice([".", "!", ', "yes."'])


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of a small grammar, with a word that stands in the last twentieth alone."""
    draw = random.Random(1)
    lines = [sentence(draw) for _ in range(700)]
    lines[-20] = "the zebra sings."
    path = tmp_path_factory.mktemp("words") / "book.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def store(book: Path) -> Path:
    prepare = load(preparations()["text_file"])
    prepare.main(prepare.Config(source=book, out=book.parent / "store", units="words"))
    return book.parent / "store"


@pytest.fixture(scope="module")
def run(store: Path) -> Path:
    train = load(recipes("train.py")["language_modelling"])
    options = {"hidden_size": 24, "epochs": 2, "advance": 16, "batch_size": 8, "learning_rate": 1e-2, "device": "cpu"}
    train.main(train.Config(store=store, run=store.parent / "run", **options))
    return store.parent / "run"


# --- cutting and writing ---


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("Don't! It's no 'joke'.", "Don't ! It's no ' joke ' ."),
        ("well-known--at 3.5 or 1,000", "well @-@ known @--@ at 3 @.@ 5 or 1 @,@ 000"),
        ('She said: "No..." (loudly)', 'She said : " No ... " ( loudly )'),
        ("one\n\ntwo, three\n", "one \n \n two , three \n"),
        ("“Käse” costs $5; 20% of «l'été»!", "“ Käse ” costs $ 5 ; 20 % of « l'été » !"),
        ("a_b _c_ x@y", "a @_@ b _ c _ x @@@ y"),
        ("the <unk> of <b>", "the <unk> of < b >"),
        ("नमस्ते दुनिया।", "नमस्ते दुनिया ।"),
    ],
)
def test_words_marks_and_line_ends_are_units(text: str, units: str) -> None:
    assert WORDS.split(text) == units.split(" ")


@pytest.mark.parametrize(
    "text",
    [
        "Don't! It's no 'joke', is it?",
        'well-known--at 3.5 or 1,000 she said: "No..." (loudly).',
        '"Well, Prince," said "he".\n\n"So he\ndid not."\n',
        "“Käse” costs $5; 20% of it [or l'été]!\nEnd",
        "",
        "\n\n",
    ],
)
def test_usual_texts_are_written_again_as_they_were(text: str) -> None:
    assert WORDS.join(WORDS.split(text)) == text


@pytest.mark.data
def test_most_lines_of_a_novel_are_written_as_they_were(data_folder: Path) -> None:
    text = (data_folder / "text" / "war_and_peace.txt").read_text(encoding="utf-8")
    lines = text.split("\n")
    again = WORDS.join(WORDS.split(text)).split("\n")
    assert len(lines) == len(again) == 62_015
    assert sum(one == other for one, other in zip(lines, again, strict=True)) == 61_139


@pytest.mark.parametrize("unit", [CharacterUnit(), WordUnit(), WordUnit(tokenised=True)], ids=str)
def test_what_was_joined_is_cut_into_the_same_units(unit: TextUnit) -> None:
    draw = random.Random(3)
    pieces = [*"ab1 .,-'\"’“”()@<>$_\n\u0301…—é\t", "<unk>", "unk", "--", "@-@"]
    for _ in range(3000):
        text = unicodedata.normalize("NFC", "".join(draw.choices(pieces, k=draw.randint(0, 12))))
        units = unit.split(text)
        assert unit.split(unit.join(units)) == units, repr(text)


def test_what_was_tokenised_is_cut_at_white_space_alone() -> None:
    text, unit = "it 's a well @-@ known <unk> , n't\n\nNo .", WordUnit(tokenised=True)
    assert unit.split(text) == text.replace("\n", " \n ").replace("  ", " ").split(" ")
    assert unit.join(unit.split(text)) == text


# --- stores ---


def written(folder: Path, text: str) -> list[Path]:
    (folder / "a.txt").write_text(text, encoding="utf-8")
    return [folder / "a.txt"]


def test_the_vocabulary_is_that_of_the_training_part(tmp_path: Path) -> None:
    files = written(tmp_path, "b a a c b a d <unk> " * 10 + "test " * 20)
    parts = Parts(10, 10)
    assert training_vocabulary(files, WORDS, parts) == (*SPECIAL_TOKENS, UNKNOWN_WORD, "a", "b", "c", "d")
    assert training_vocabulary(files, WORDS, parts, min_count=20)[UNK + 1 :] == ("a", "b")
    assert training_vocabulary(files, WORDS, parts, size=1)[UNK + 1 :] == ("a",)
    later = training_vocabulary(files, WORDS, Parts(0, 0))
    assert "test" in later


def test_the_parts_in_their_order_are_the_words_of_the_text(store: Path, book: Path) -> None:
    opened = Store(store)
    words = WORDS.split(book.read_text(encoding="utf-8"))
    ids = np.concatenate([opened[split].sequence(0) for split in ("train", "valid", "test")])
    names = opened.names
    assert [word if word in names else UNKNOWN_WORD for word in words] == [names[number] for number in ids]
    assert words.count("zebra") == int((ids == UNK).sum()) == 1
    assert "zebra" not in names
    assert UNK not in opened["train"].sequence(0)


def test_the_store_says_its_unit_and_how_many_words_are_unknown(command: Command, book: Path, tmp_path: Path) -> None:
    prepare = ("data_prep/text_file.py", "--source", book, "--out", tmp_path / "store", "--units", "words")
    done = command(*prepare, "--vocabulary-size", "20")
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "store")
    assert store.settings["text"] == {"unit": "word", "tokenised": False}
    assert len(store.names) == UNK + 1 + 20
    row = store["valid"].sequence(0)
    assert f"{100 * (row == UNK).mean():.2f} % of valid" in done.stdout
    again = command("seqaudio", "info", tmp_path / "store", "--verify")
    assert again.stdout.startswith(done.stdout.rstrip("\n"))
    assert "verified" in again.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": "words", "min_count": 100_000}, ("no word occurs at least 100,000 times", "occurs", "--min-count")),
        ({"min_count": 3}, ("--min-count is for words", "--units words")),
        ({"vocabulary_size": 3}, ("--vocabulary-size is for words",)),
        ({"tokenised": True}, ("--tokenised is for words",)),
        ({"units": "words", "valid_percent": 60.0, "test_percent": 40.0}, ("less than 100 together",)),
    ],
)
def test_what_leaves_no_words_is_one_line(options: dict[str, Any], words: tuple[str, ...], book: Path) -> None:
    prepare = load(preparations()["text_file"])
    with pytest.raises((OptionError, SourceError)) as refusal:
        prepare.main(prepare.Config(source=book, out=book.parent / "refused", **options))
    for word in words:
        assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (book.parent / "refused").exists()


def test_a_long_word_is_cut_in_the_message(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("a" * 10_000, encoding="utf-8")
    with pytest.raises(SourceError, match="aaa\\.\\.\\., occurs once") as refusal:
        training_vocabulary([tmp_path / "long.txt"], WORDS, Parts(0, 0), min_count=2)
    assert len(str(refusal.value)) < 1_500


def test_names_of_another_use_are_no_words(tmp_path: Path) -> None:
    files = written(tmp_path, "it ends here <eos> " * 30)
    with pytest.raises(VocabularyError, match="the text has the words <eos>"):
        training_vocabulary(files, WordUnit(tokenised=True), Parts(5, 5))
    assert {"<", "eos", ">"} <= {*training_vocabulary(files, WORDS, Parts(5, 5))}


# --- models ---


def test_perplexity_is_that_of_the_models_own_steps(run: Path, store: Path) -> None:
    evaluate = load(recipes("evaluate.py")["language_modelling"])
    evaluate.main(evaluate.Config(run=run, split="test"))
    found = read_results(run)
    model, ids = RunFolder(run).model(), Store(store)["test"].sequence(0).tolist()
    state, nats = model.initial_state(1), 0.0
    with torch.no_grad():
        for before, after in zip([BOS, *ids], [*ids, EOS], strict=True):
            logits, state = model.step(torch.tensor([before]), state)
            nats -= float(logits.log_softmax(-1)[0, after])
    assert found["test"]["count"] == len(ids) + 1
    assert found["test"]["perplexity"] == pytest.approx(math.exp(nats / (len(ids) + 1)), rel=1e-4)
    assert found["test"]["nats_per_word"] == pytest.approx(nats / (len(ids) + 1), rel=1e-5)
    for name in ("unigram", "kneser-ney"):
        scores = found["baselines"][name]["test"]
        assert scores["perplexity"] == pytest.approx(math.exp(scores["nats_per_word"]))
        assert scores["count"] == len(ids) + 1
    assert found["valid"]["perplexity"] < found["baselines"]["unigram"]["valid"]["perplexity"]


def test_perplexity_is_told(command: Command, run: Path) -> None:
    done = command("recipes/language_modelling/evaluate.py", "--run", run)
    assert done.returncode == 0, done.stderr
    nats = json.loads((run / "results.json").read_text())["valid"]["nats_per_word"]
    assert (
        f"valid {nats:.4f} nats a word ({nats / math.log(2):.3f} bits), perplexity {math.exp(nats):.2f}" in done.stdout
    )
    assert done.stdout.count("(perplexity ") == 2, "those of the baselines"
    assert "character" not in done.stdout


def test_scores_of_a_model_that_knows_nothing_are_still_numbers(store: Path) -> None:
    scores = TextScores(Store(store))
    assert scores.of({"nats_per_event": 1e4, "count": 1})["perplexity"] == math.inf
    assert math.isnan(scores.of({"nats_per_event": math.nan, "count": 1})["perplexity"])


def test_a_large_vocabulary_is_evaluated_in_short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    model = EventModel(10, embedding_size=4, hidden_size=6).eval()
    inputs, targets = torch.randint(3, 10, (2, 13, 3))
    batch = Batch(inputs, torch.tensor([13, 0, 7]), targets=targets)
    with torch.no_grad():
        total, count, _ = model.loss(batch)
    monkeypatch.setattr(events, "LOGITS_AT_ONCE", 10 * 3 * 5 + 29)
    seen: list[int] = []
    model.output.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    assert model.evaluate(batch)["nats_per_event"] == (pytest.approx(float(total), rel=1e-5), count)
    assert seen == [5, 5, 3]


def test_a_store_of_other_words_is_refused(run: Path, book: Path) -> None:
    prepare = load(preparations()["text_file"])
    prepare.main(prepare.Config(source=book, out=book.parent / "fewer", units="words", vocabulary_size=5))
    evaluate = load(recipes("evaluate.py")["language_modelling"])
    with pytest.raises(RunError, match=r"has another vocabulary \(9 names\)"):
        evaluate.main(evaluate.Config(run=run, store=book.parent / "fewer"))
    prepare.main(prepare.Config(source=book, out=book.parent / "characters"))
    with pytest.raises(RunError, match="another vocabulary"):
        evaluate.main(evaluate.Config(run=run, store=book.parent / "characters"))


# --- generation ---


def test_a_text_is_written_without_unknown_words(run: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"prompt": "the old dog ", "max_events": 200, "temperature": 3.0}
    generate.main(generate.Config(run, tmp_path / "a.txt", **options))
    text = (tmp_path / "a.txt").read_text(encoding="utf-8")
    units = WORDS.split(text)
    assert text.startswith("the old dog ")
    assert UNKNOWN_WORD not in text
    assert {*units} - {*RunFolder(run).vocabulary.names} == set()
    generate.main(generate.Config(run, tmp_path / "b.txt", **options))
    assert (tmp_path / "b.txt").read_text(encoding="utf-8") == text


def test_a_model_that_is_sure_of_unknown_words_writes_others() -> None:
    vocabulary = Vocabulary((*SPECIAL_TOKENS, UNKNOWN_WORD, "a", "b"))
    legal = TextTokens(vocabulary, WORDS).grammar().legal()
    assert np.flatnonzero(legal).tolist() == [EOS, UNK + 1, UNK + 2]


def test_words_of_a_prompt_that_the_model_never_saw_are_kept(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.main(generate.Config(run, tmp_path / "a.txt", prompt="the zebra's dog", max_events=40))
    assert (tmp_path / "a.txt").read_text(encoding="utf-8").startswith("the zebra's dog")
    shown = capsys.readouterr()
    assert "a.txt: 40 words, seed 1" in shown.out
    assert shown.err.startswith('note: --prompt: the model has never seen "zebra\'s"')
    with pytest.raises(OptionError, match="--prompt of 3 words leaves no room within --max-events 3"):
        generate.main(generate.Config(run, tmp_path / "b.txt", prompt="the old dog", max_events=3))


# --- n-grams and recognisers ---


def test_the_words_of_a_store_are_counted(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ngram.main(ngram.Config(store, tmp_path / "lm.arpa"))
    assert "over words" in capsys.readouterr().out
    model = read_arpa(tmp_path / "lm.arpa")
    assert {"doesn't", "@-@", "."} <= {*model.words}
    assert {*model.words} <= {*Store(store).names.names, "<s>", "</s>"}


def test_rare_words_that_a_store_has_lost_do_not_stand_beside_a_recogniser(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngram, "_spelling", lambda run: object())
    with pytest.raises(OptionError, match=r"--like an4: .* has <unk> for rare words; give its text instead"):
        ngram.main(ngram.Config(store, tmp_path / "lm.arpa", like=Path("an4")))


def test_a_model_of_words_stands_beside_words_alone(run: Path) -> None:
    with pytest.raises(VocabularyError, match="a model of words, and the recogniser writes characters; give"):
        open_language_model(run, Units(("<blank>", " ", "a", "b")))
    assert isinstance(open_language_model(run, Units(("<blank>", "dog", "cat"))), RecurrentText)


def test_one_bad_option_is_one_line(command: Command, book: Path, tmp_path: Path) -> None:
    prepare = ("seqaudio", "prepare", "text_file", "--source", book, "--out", tmp_path / "store")
    assert_refused(command(*prepare, "--units", "words", "--min-count", "0"), "--min-count 0, expected 1 to")


def test_a_unit_that_there_is_not_is_told_with_the_file(store: Path) -> None:
    damaged = Store(store)
    damaged.settings = {"text": {"unit": "syllable"}}
    with pytest.raises(StoreError, match=r"store.json: damaged \(settings.text.unit is \"syllable\", expected"):
        TextScores(damaged)
