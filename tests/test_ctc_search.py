"""Prefix beam search: against enumeration of all paths, fused scores, lexicons, blocks, and other decoders."""

from __future__ import annotations

import itertools
import math
import re
import string
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from conftest import ROOT
from made_up import token_store
from seqaudio.decoding import ctc_search
from seqaudio.decoding.ctc_models import (
    Lexicon,
    PrefixModel,
    RecurrentText,
    UnitNgram,
    Units,
    WordNgram,
    open_language_model,
)
from seqaudio.decoding.ctc_search import BeamSearch
from seqaudio.errors import RunError, VocabularyError
from seqaudio.models import EventModel
from seqaudio.ngrams import BackOff, KneserNey, write_arpa
from seqaudio.ngrams.back_off import RESERVED
from seqaudio.run_folder import RunFolder
from seqaudio.vocabulary import BOS, EOS, SPECIAL_TOKENS, Vocabulary

SMALL = Units(("<blank>", "a", " ", "b"))
LETTERS = Units(("<blank>", " ", *"abcdefgh"))
WORDS = ("a", "bad", "bed", "cab", "cafe", "dab", "egg", "fed", "had", "head")
WIDE = {"beam": 3000, "threshold": math.inf}
ALPHA, BETA = 0.7, 0.4


def frames_of(length: int, units: Units, seed: int, spread: float = 1.5) -> np.ndarray:
    """[T, V] log-probabilities that say nothing."""
    logits = np.random.default_rng(seed).normal(0, spread, size=(length, len(units)))
    result: np.ndarray = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return result


def spoken(text: str, seed: int, noise: float, units: Units = LETTERS) -> np.ndarray:
    """[T, V] log-probabilities of a text, each unit for one frame or two, with blanks between units."""
    draw = np.random.default_rng(seed)
    path: list[int] = []
    for character in text:
        path += [units.names.index(character)] * int(draw.integers(1, 3)) + [0] * int(draw.integers(1, 3))
    logits = draw.normal(0, noise, size=(len(path), len(units)))
    logits[np.arange(len(path)), path] += 4.0
    result: np.ndarray = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return result


def enumerated(frames: np.ndarray) -> dict[tuple[int, ...], float]:
    """ln p of every sequence of units, from every path."""
    T, V = frames.shape
    found: dict[tuple[int, ...], float] = defaultdict(lambda: -math.inf)
    for path in itertools.product(range(V), repeat=T):
        units = tuple(unit for unit, _ in itertools.groupby(path) if unit)
        found[units] = float(np.logaddexp(found[units], frames[np.arange(T), path].sum()))
    return found


def sentences(seed: int = 1, count: int = 200) -> list[list[str]]:
    draw = np.random.default_rng(seed)
    return [list(draw.choice(WORDS, size=size)) for size in draw.integers(1, 6, size=count)]


def ngram(sequences: list[list[str]], order: int) -> BackOff:
    names = [*RESERVED, *sorted({name for sequence in sequences for name in sequence})]
    coded = [np.array([names.index(name) for name in sequence]) for sequence in sequences]
    return KneserNey(order).fit(coded, len(names), BOS, EOS).back_off(names)


def character_ngram(units: Units, order: int = 3) -> BackOff:
    draw = np.random.default_rng(2)
    return ngram([list(draw.choice(units.names[1:], size=size)) for size in (5, 9, 30, 40, 60)], order)


def net(units: Units, more: tuple[str, ...] = ()) -> tuple[EventModel, Vocabulary]:
    torch.manual_seed(3)
    names = Vocabulary((*SPECIAL_TOKENS, *more, *reversed(units.names[1:])))
    return EventModel(len(names), embedding_size=4, hidden_size=8, layers=2).eval(), names


# ---- against enumeration


@pytest.mark.parametrize("seed", range(4))
def test_a_full_beam_equals_enumeration(seed: int) -> None:
    frames = frames_of(6, SMALL, seed)
    expected = enumerated(frames)
    search = BeamSearch(SMALL, **WIDE)
    found = search(frames, count=10_000)
    best = max(expected, key=lambda units: expected[units])
    assert found[0].units == best
    assert found[0].score == pytest.approx(expected[best], abs=1e-9)
    # of each text the best of the sequences that spell it, which differ in spaces
    texts: dict[str, float] = defaultdict(lambda: -math.inf)
    for units, score in expected.items():
        text = " ".join(SMALL.words(units))
        texts[text] = max(texts[text], score)
    assert {hypothesis.text for hypothesis in found} == set(texts)
    for hypothesis in found:
        assert hypothesis.acoustic == pytest.approx(expected[hypothesis.units], abs=1e-9)
        assert hypothesis.score == pytest.approx(texts[hypothesis.text], abs=1e-9)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def lm_score(model: BackOff, tokens: list[str]) -> float:
    return float(model.log_probabilities(model.index(token) for token in tokens).sum())


def whole_pass(
    model: EventModel, names: Vocabulary, text: str, marks: tuple[int, ...] = (BOS,), end: int = EOS
) -> float:
    """ln p of a text and its end, in one pass."""
    ids = [names.index(character) for character in text]
    with torch.no_grad():
        logits, _ = model(torch.tensor([*marks, *ids])[:, None])
    scores = torch.log_softmax(logits[:, 0].double(), dim=-1)[len(marks) - 1 :]
    return float(scores[torch.arange(len(ids) + 1), torch.tensor([*ids, end])].sum())


def models_of_text() -> dict[str, tuple[PrefixModel, object]]:
    """Language models over the units of SMALL, each with a function from units to ln p."""
    characters, words = character_ngram(SMALL), ngram([["a", "b"], ["a"], ["ab", "a"], ["ba", "b", "ab"]], 2)
    model, names = net(SMALL)

    def spelled(units: tuple[int, ...]) -> list[str]:
        return [SMALL.names[unit] for unit in units]

    marked, with_line_end = net(SMALL, ("\n",))
    line_end = with_line_end.index("\n")
    return {
        "characters": (UnitNgram(characters, SMALL), lambda units: lm_score(characters, spelled(units))),
        "words": (WordNgram(words, SMALL, unknown=0.0), lambda units: lm_score(words, SMALL.words(units))),
        "spelled": (
            WordNgram(words, SMALL),
            lambda units: (
                lm_score(words, SMALL.words(units))
                - math.log(3) * sum(len(word) for word in SMALL.words(units) if word not in words)
            ),
        ),
        "recurrent": (
            RecurrentText(model, names, SMALL),
            lambda units: whole_pass(model, names, "".join(spelled(units))),
        ),
        "marked": (
            RecurrentText(marked, with_line_end, SMALL, "\n"),
            lambda units: whole_pass(marked, with_line_end, "".join(spelled(units)), (BOS, line_end), line_end),
        ),
    }


def has_spare_space(units: tuple[int, ...]) -> bool:
    """Whether there is a space that follows no word."""
    spelled = "".join(SMALL.names[unit] for unit in units)
    return spelled.startswith(" ") or "  " in spelled


@pytest.mark.parametrize("name", ["characters", "words", "spelled", "recurrent", "marked"])
def test_a_full_beam_with_a_language_model_equals_enumeration(name: str) -> None:
    model, score_of = models_of_text()[name]
    frames = frames_of(5, SMALL, 7)
    acoustic = enumerated(frames)
    found = BeamSearch(SMALL, **WIDE, lm=model, alpha=ALPHA, beta=BETA)(frames, count=10_000)
    scores = {
        units: value + ALPHA * score_of(units) + BETA * len(SMALL.words(units))
        for units, value in acoustic.items()
        if name not in ("words", "spelled") or not has_spare_space(units)
    }
    assert {hypothesis.text for hypothesis in found} == {" ".join(SMALL.words(units)) for units in scores}
    assert found[0].units == max(scores, key=lambda units: scores[units])
    for hypothesis in found:
        assert hypothesis.acoustic == pytest.approx(acoustic[hypothesis.units], abs=1e-9)
        assert hypothesis.lm == pytest.approx(
            score_of(hypothesis.units), abs=1e-5 if name in ("recurrent", "marked") else 1e-9
        )
        assert hypothesis.words == len(SMALL.words(hypothesis.units))
        assert hypothesis.score == pytest.approx(scores[hypothesis.units], abs=1e-5)


def test_a_full_beam_with_a_lexicon_equals_enumeration_of_its_words() -> None:
    frames, lexicon = frames_of(6, SMALL, 8), {"ab", "b", "aa"}
    found = BeamSearch(SMALL, **WIDE, lexicon=Lexicon(lexicon, SMALL))(frames, count=10_000)
    texts: dict[str, float] = defaultdict(lambda: -math.inf)
    for units, score in enumerated(frames).items():
        words = "".join(SMALL.names[unit] for unit in units).removesuffix(" ").split(" ")
        if set(words) <= lexicon or not units:
            text = " ".join(words)
            texts[text] = max(texts[text], score)
    assert {h.text: pytest.approx(h.score) for h in found} == texts


# ---- smaller beams


@pytest.mark.parametrize("name", ["none", "characters", "words", "recurrent"])
@pytest.mark.parametrize("settings", [{"beam": 3}, {"threshold": 2.0}, {"least": -3.0}, {"beam": 20, "threshold": 5.0}])
def test_fused_scores_add_up(name: str, settings: dict[str, float]) -> None:
    model, score_of = models_of_text().get(name, (None, lambda units: 0.0))
    found = BeamSearch(SMALL, **settings, lm=model, alpha=ALPHA, beta=BETA)(frames_of(30, SMALL, 9), count=50)
    for hypothesis in found:
        total = hypothesis.acoustic + ALPHA * hypothesis.lm + BETA * hypothesis.words
        assert hypothesis.score == pytest.approx(total, abs=1e-12)
        assert hypothesis.lm == pytest.approx(score_of(hypothesis.units), abs=1e-4)
        assert hypothesis.words == len(SMALL.words(hypothesis.units))


@pytest.mark.parametrize("beam", [1, 5, 50])
def test_a_small_beam_never_claims_more_than_all_alignments_have(beam: int) -> None:
    frames = frames_of(40, LETTERS, 10)
    lengths = torch.tensor([len(frames)])
    for hypothesis in BeamSearch(LETTERS, beam=beam)(frames, count=beam):
        targets = torch.tensor([hypothesis.units])
        exact = -F.ctc_loss(
            torch.from_numpy(frames)[:, None], targets, lengths, torch.tensor([targets.shape[1]]), reduction="sum"
        )
        assert hypothesis.acoustic <= float(exact) + 1e-9


def test_the_number_of_hypotheses_is_bounded_by_count_and_by_beam() -> None:
    frames = frames_of(20, LETTERS, 11)
    assert len(BeamSearch(LETTERS, beam=20)(frames, count=7)) == 7
    assert len(BeamSearch(LETTERS, beam=3)(frames, count=7)) <= 3
    assert len(BeamSearch(LETTERS, threshold=0.0)(frames, count=7)) == 1


def test_a_unit_below_the_least_log_probability_is_never_taken() -> None:
    frames = np.log(np.array([[0.5, 0.49, 0.005, 0.005]] * 8))
    found = BeamSearch(SMALL, **WIDE, least=math.log(0.01))(frames, count=10_000)
    assert {unit for hypothesis in found for unit in hypothesis.units} == {1}


@pytest.mark.parametrize("with_lm", [False, True])
def test_a_lexicon_is_never_left(with_lm: bool) -> None:
    words = WordNgram(ngram(sentences(), 3), LETTERS) if with_lm else None
    for seed, beam in itertools.product(range(5), (1, 2, 10)):
        search = BeamSearch(LETTERS, beam=beam, lm=words, alpha=ALPHA, lexicon=Lexicon(WORDS, LETTERS))
        found = search(frames_of(40, LETTERS, seed), count=beam)
        assert found, "the best prefix of whole words has left the beam"
        assert {word for hypothesis in found for word in hypothesis.text.split()} <= set(WORDS)


def test_language_model_and_lexicon_repair_what_noise_has_damaged() -> None:
    words, right = ngram(sentences(), 3), dict.fromkeys(("plain", "lexicon", "both"), 0)
    for seed, sentence in enumerate(sentences(4, 30)):
        frames, text = spoken(" ".join(sentence), seed, noise=1.6), " ".join(sentence)
        lexicon = Lexicon(WORDS, LETTERS)
        searches = {
            "plain": BeamSearch(LETTERS),
            "lexicon": BeamSearch(LETTERS, lexicon=lexicon),
            "both": BeamSearch(LETTERS, lexicon=lexicon, lm=WordNgram(words, LETTERS), alpha=0.5, beta=1.0),
        }
        for name, search in searches.items():
            right[name] += search(frames)[0].text == text
    assert right["plain"] < 10 < 20 <= right["lexicon"] <= right["both"]


# ---- blocks and long recordings


@pytest.mark.parametrize("name", ["none", "characters", "words", "recurrent"])
@pytest.mark.parametrize("block", [1, 7])
def test_block_by_block_equals_the_whole(name: str, block: int) -> None:
    model, _ = models_of_text().get(name, (None, None))
    lexicon = Lexicon({"a", "ab", "bab"}, SMALL)
    search = BeamSearch(SMALL, beam=10, lm=model, alpha=ALPHA, beta=BETA, lexicon=lexicon)
    frames = frames_of(40, SMALL, 12)
    whole = search(frames, count=10)
    search.reset()
    for start in range(0, len(frames), block):
        search.push(frames[start : start + block])
        search.hypotheses(3)  # looking changes nothing
    assert search.hypotheses(10) == whole


def test_the_tree_of_prefixes_stays_small_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_of(1500, LETTERS, 13)
    search = BeamSearch(LETTERS, beam=10)
    whole = search(frames, count=10)
    monkeypatch.setattr(ctc_search, "TREE", 16)
    small = BeamSearch(LETTERS, beam=10)
    assert small(frames, count=10) == whole
    assert len(whole[0].units) > 800
    assert len(small._tree.parent) < 8 * len(whole[0].units), "what no prefix descends from is removed"


def test_no_frames_are_an_empty_text() -> None:
    search = BeamSearch(SMALL, lm=models_of_text()["words"][0], lexicon=Lexicon({"a"}, SMALL))
    found = search(np.zeros((0, 4)), count=5)
    assert [(h.units, h.text, h.acoustic, h.words) for h in found] == [((), "", 0.0, 0)]


def test_where_nothing_is_possible_there_is_no_hypothesis() -> None:
    frames = np.full((2, 4), -math.inf)
    assert BeamSearch(SMALL)(frames) == []
    assert BeamSearch(SMALL, lm=models_of_text()["recurrent"][0])(frames) == []


# ---- units that are words


def test_units_without_a_space_are_words() -> None:
    digits = Units(("<blank>", "one", "two", "three"))
    model = ngram([["one", "two"], ["one", "two", "three"], ["two", "three"]] * 5, 2)
    frames = np.log(np.array([[0.1, 0.6, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.38, 0.42]]))
    plain, fused = BeamSearch(digits), BeamSearch(digits, lm=UnitNgram(model, digits), alpha=1.0, beta=0.5)
    assert plain(frames)[0].text == "one three"
    best = fused(frames)[0]
    assert (best.text, best.words) == ("one two", 2)
    assert best.lm == pytest.approx(lm_score(model, ["one", "two"]))
    only = BeamSearch(digits, lexicon=Lexicon({"two", "three"}, digits))(frames)[0]
    assert set(only.text.split()) <= {"two", "three"}
    with pytest.raises(VocabularyError, match="need a space"):
        WordNgram(model, digits)


# ---- language models of files


def test_an_arpa_file_is_of_units_or_of_words(tmp_path: Path) -> None:
    write_arpa(character_ngram(LETTERS), tmp_path / "characters.arpa")
    write_arpa(ngram(sentences(), 2), tmp_path / "words.arpa")
    assert isinstance(open_language_model(tmp_path / "characters.arpa", LETTERS), UnitNgram)
    assert isinstance(open_language_model(tmp_path / "words.arpa", LETTERS), WordNgram)
    with pytest.raises(
        VocabularyError, match=r"spell none of the words of the n-gram model, such as 'a', 'bad', 'bed'"
    ):
        open_language_model(tmp_path / "words.arpa", Units(("<blank>", " ", *string.ascii_uppercase)))
    with pytest.raises(VocabularyError, match=r"'one' not among the words of the n-gram model"):
        open_language_model(tmp_path / "words.arpa", Units(("<blank>", "one")))


def test_a_run_of_language_modelling_is_a_language_model(tmp_path: Path) -> None:
    store = token_store(tmp_path)
    tokens = store.names.names[3:]
    units = Units(("<blank>", *tokens))
    arguments = {"vocabulary_size": len(store.names), "embedding_size": 4, "hidden_size": 8}
    model = {"name": "events", "arguments": arguments}
    for recipe in ("language_modelling", "music_generation"):
        folder = RunFolder.create(tmp_path / recipe, recipe=recipe, settings={}, model=model, store=store, resume=False)
        torch.manual_seed(5)
        folder.save_weights(EventModel(**arguments))
    found = open_language_model(tmp_path / "language_modelling", units)
    assert isinstance(found, RecurrentText)
    with pytest.raises(RunError, match="needs one of 'language_modelling'"):
        open_language_model(tmp_path / "music_generation", units)
    with pytest.raises(VocabularyError, match="'ä' not among the words of the language model"):
        open_language_model(tmp_path / "language_modelling", Units(("<blank>", "ä")))


# ---- the page


def test_the_page_about_decoding_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "decoding.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for code, printed in re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(code, "decoding.md", "exec"), names)
        assert capsys.readouterr().out == printed
    assert "word_times" in names


# ---- arguments


def test_words_that_the_units_cannot_spell_are_named() -> None:
    with pytest.raises(VocabularyError, match=r"cannot spell 'Bad', 'bäd'; leave these words out"):
        Lexicon(["bad", "Bad", "bäd"], LETTERS)
    with pytest.raises(VocabularyError, match="without words"):
        Lexicon([], LETTERS)


@pytest.mark.parametrize(
    "options",
    [
        {"beam": 0},
        {"threshold": -1.0},
        {"threshold": math.nan},
        {"alpha": math.inf},
        {"alpha": -1.0},
        {"beta": math.nan},
    ],
)
def test_options_out_of_their_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected at least 1"):
        BeamSearch(SMALL, **options)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((3, 5)), r"got log-probabilities \[3, 5\], expected \[T, 4\]"),
        (np.zeros(4), r"got log-probabilities \[4\]"),
        (np.full((3, 4), np.nan), "expected logarithms of probabilities"),
        (np.full((3, 4), 0.25), "expected logarithms of probabilities"),
    ],
)
def test_frames_of_another_shape_or_kind_are_refused(frames: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BeamSearch(SMALL)(frames)


@pytest.mark.parametrize("names", [("<blank>",), ("a", "a"), ()])
def test_units_are_a_blank_and_unique_names(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected a blank and unique units"):
        Units(names)


# ---- other decoders


def exact(frames: np.ndarray, text: str) -> float:
    """ln p of a text, with a space at its end or without, from all its alignments."""
    scores = []
    for spelled in (text, f"{text} "):
        ids = torch.tensor([[LETTERS.names.index(character) for character in spelled]])
        lengths = torch.tensor([len(frames)]), torch.tensor([ids.shape[1]])
        scores.append(-float(F.ctc_loss(torch.from_numpy(frames)[:, None], ids, *lengths, reduction="sum")))
    return max(scores)


def test_torchaudios_decoder_finds_the_same_best_path() -> None:
    pytest.importorskip("flashlight.lib.text")
    decoder = pytest.importorskip("torchaudio.models.decoder").ctc_decoder(
        lexicon=None, tokens=["<blank>", "|", *LETTERS.names[2:]], beam_size=100, beam_threshold=1e9,
        blank_token="<blank>", sil_token="|", log_add=True,
    )  # fmt: skip
    search = BeamSearch(LETTERS, beam=100, threshold=math.inf)
    for seed, sentence in enumerate(sentences(5, 20)):
        frames = spoken(" ".join(sentence), seed, noise=0.8)
        [[theirs]] = decoder(torch.from_numpy(frames).float()[None])
        # it puts a space around every text
        assert "".join(LETTERS.names[unit] for unit in theirs.tokens).split() == search(frames)[0].text.split()


@pytest.mark.parametrize("alpha", [0.0, ALPHA])
def test_torchaudios_decoder_with_a_lexicon_finds_the_same_words_or_less_likely_ones(
    tmp_path: Path, alpha: float
) -> None:
    pytest.importorskip("flashlight.lib.text")
    words = ngram(sentences(), 3)
    if alpha:
        pytest.importorskip("kenlm")
        write_arpa(words, tmp_path / "lm.arpa")
    (tmp_path / "lexicon.txt").write_text("".join(f"{word} {' '.join(word)} |\n" for word in WORDS))
    decoder = pytest.importorskip("torchaudio.models.decoder").ctc_decoder(
        lexicon=str(tmp_path / "lexicon.txt"), tokens=["<blank>", "|", *LETTERS.names[2:]], beam_size=200,
        beam_threshold=1e9, lm=str(tmp_path / "lm.arpa") if alpha else None, lm_weight=alpha, word_score=BETA,
        blank_token="<blank>", sil_token="|", log_add=True,
    )  # fmt: skip
    search = BeamSearch(
        LETTERS, beam=200, threshold=math.inf, lexicon=Lexicon(WORDS, LETTERS), alpha=alpha, beta=BETA,
        lm=WordNgram(words, LETTERS) if alpha else None,
    )  # fmt: skip

    def score(frames: np.ndarray, text: str) -> float:
        spoken_words = text.split()
        return exact(frames, text) + alpha * lm_score(words, spoken_words) + BETA * len(spoken_words)

    same = 0
    for seed, sentence in enumerate(sentences(6, 20)):
        frames = spoken(" ".join(sentence), seed, noise=0.9)
        [[found, *_]] = decoder(torch.from_numpy(frames).float()[None])
        ours, theirs = search(frames)[0], " ".join(found.words)
        same += ours.text == theirs
        assert ours.score == pytest.approx(score(frames, ours.text), abs=1e-5)
        assert ours.text == theirs or ours.score > score(frames, theirs)
    assert same >= 17, "it does not sum up all alignments of a prefix, so a few may differ"


def test_ctc_beam_decoder_finds_the_same_best_path() -> None:
    package = pytest.importorskip("ctc_beam_decoder")
    decoder = package.BeamSearchDecoder(["", *LETTERS.names[1:]])
    search = BeamSearch(LETTERS, beam=100)
    for seed, sentence in enumerate(sentences(7, 20)):
        frames = spoken(" ".join(sentence), seed, noise=0.7)
        assert decoder.decode(frames.astype(np.float32)).split() == search(frames)[0].text.split()
