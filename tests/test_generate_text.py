"""Text from a language model: what it begins with, that it repeats, that it is the model's own distribution."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seqaudio
from made_up import token_store
from seqaudio.api import Language
from seqaudio.batching import Batch
from seqaudio.cli import generate
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.decoding import sample
from seqaudio.decoding.text import TextTokens
from seqaudio.errors import OptionError, RunError, SeqAudioError, VocabularyError
from seqaudio.models import EventModel
from seqaudio.run_folder import RunFolder
from seqaudio.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, Vocabulary


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of sentences with letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("text")
    draw = random.Random(1)
    words = [["der", "ein", "kein"], ["Hügel", "Käse", "Öltank"], ["rollt", "schläft", "singt"]]
    text = "".join(" ".join(map(draw.choice, words)) + draw.choice([".\n", "! "]) for _ in range(600))
    (folder / "book.txt").write_text(text, encoding="utf-8")
    prepare, train = load(preparations()["text_file"]), load(recipes("train.py")["language_modelling"])
    prepare.main(prepare.Config(source=folder / "book.txt", out=folder / "store"))
    options = {"hidden_size": 24, "epochs": 3, "advance": 16, "batch_size": 8, "learning_rate": 1e-2, "device": "cpu"}
    train.main(train.Config(store=folder / "store", run=folder / "run", **options))
    return folder / "run"


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of music, as far as it is looked at before a piece is drawn."""
    folder = tmp_path_factory.mktemp("music")
    store = token_store(folder)
    model = {"name": "events", "arguments": {"vocabulary_size": len(store.names)}}
    RunFolder.create(folder / "run", recipe="music_generation", settings={}, model=model, store=store, resume=False)
    return folder / "run"


def test_python_writes_the_text_of_the_command(run: Path, tmp_path: Path) -> None:
    language = seqaudio.load(run, Language)
    options: dict[str, Any] = {"seed": 4, "max_events": 80, "temperature": 0.7}
    assert language.generate(prompt="der ", **options) == text_of(run, tmp_path / "x.txt", prompt="der ", **options)
    for wrong, words in [
        ({"bars": 3}, "^bars is for music"),
        ({"prompt": "Š"}, "^prompt: 'Š'"),
        ({"seed": -1}, "^seed"),
    ]:
        with pytest.raises(OptionError, match=words):
            language.generate(**wrong)


def text_of(run: Path, out: Path, **options: Any) -> str:
    generate.main(generate.Config(run, out, **options))
    return out.read_text(encoding="utf-8")


def test_a_text_begins_with_its_prompt_and_repeats_with_its_seed(run: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"prompt": "der Hügel ", "max_events": 120}
    first, same = (text_of(run, tmp_path / name, **options) for name in ("a.txt", "b.txt"))
    other = text_of(run, tmp_path / "c.txt", **options, seed=2)
    assert first == same != other
    assert first.startswith("der Hügel ")
    assert len(first) == len(other) == 120
    assert set(first) <= set(RunFolder(run).vocabulary.names)


def test_without_a_prompt_a_text_begins_as_the_model_does(run: Path, tmp_path: Path) -> None:
    model, characters = RunFolder(run).model(), TextTokens(RunFolder(run).vocabulary)
    with torch.no_grad():
        logits, _ = model.step(torch.tensor([BOS]), model.initial_state(1))
    likeliest = characters.vocabulary[int(logits[0, EOS + 1 :].argmax()) + EOS + 1]
    assert text_of(run, tmp_path / "a.txt", temperature=1e-3, max_events=40)[0] == likeliest


def test_several_texts_have_the_next_seeds(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate.main(generate.Config(run, tmp_path / "a.txt", count=2, seed=4, max_events=300))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-1.txt", "a-2.txt"]
    said = capsys.readouterr().out
    assert f"{tmp_path / 'a-1.txt'}: 300 characters, seed 4\n" in said
    texts = [(tmp_path / f"a-{number}.txt").read_text(encoding="utf-8") for number in (1, 2)]
    assert texts[1] == text_of(run, tmp_path / "b.txt", seed=5, max_events=300)
    assert all(text[:240].rstrip() + " ..." in said for text in texts), "a preview is shown"
    assert texts[0] not in said


def test_drawn_a_step_at_a_time_is_the_models_whole_distribution(run: Path) -> None:
    """The logits that sampling sees at each step are those of one pass over the whole text."""
    model, characters = RunFolder(run).model(), TextTokens(RunFolder(run).vocabulary)
    assert isinstance(model, EventModel)
    seen: list[torch.Tensor] = []

    class Watched:
        initial_state = staticmethod(model.initial_state)

        def step(self, inputs: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
            logits, state = model.step(inputs, state)
            seen.append(logits[0])
            return logits, state

    prompt = characters.encode("ein Käse ")
    draw = torch.Generator().manual_seed(3)
    ids = sample(Watched(), characters, generator=draw, max_events=80, primer=prompt, minimum_events=80)
    assert len(ids) == 80
    inputs, targets = torch.tensor([[BOS, *ids]]).T, torch.tensor([[*ids, EOS]]).T
    with torch.no_grad():
        total, count, _ = model.loss(Batch(inputs, torch.tensor([81]), targets=targets))
    steps = torch.stack(seen).log_softmax(-1)
    assert count == len(steps) == 81
    nats = -steps.gather(1, targets).sum()
    assert float(nats) == pytest.approx(float(total), rel=1e-5)


class Stubborn:
    """A model that is sure of one token."""

    def __init__(self, token: int, size: int) -> None:
        self.logits = torch.full((1, size), -20.0)
        self.logits[0, token] = 20.0

    def initial_state(self, batch_size: int) -> int:
        return 0

    def step(self, inputs: torch.Tensor, state: int) -> tuple[torch.Tensor, int]:
        return self.logits, state


VOCABULARY = Vocabulary((*SPECIAL_TOKENS, *sorted("ae\u0301é \n")))


@pytest.mark.parametrize("token", [PAD, BOS])
def test_padding_and_the_beginning_are_never_drawn(token: int) -> None:
    characters = TextTokens(VOCABULARY)
    model = Stubborn(token, len(VOCABULARY))
    ids = sample(model, characters, generator=torch.Generator().manual_seed(1), max_events=50, minimum_events=50)
    assert len(ids) == 50
    assert min(ids) > EOS


def test_a_text_ends_where_the_model_ends_it_but_not_at_once() -> None:
    characters = TextTokens(VOCABULARY)
    model = Stubborn(EOS, len(VOCABULARY))
    ids = sample(model, characters, generator=torch.Generator().manual_seed(1), max_events=50, minimum_events=32)
    assert len(ids) == 32


def test_grammar_of_characters() -> None:
    grammar = TextTokens(VOCABULARY).grammar()
    assert np.flatnonzero(~grammar.legal()).tolist() == [PAD, BOS]
    assert np.flatnonzero(grammar.legal(room=0)).tolist() == [EOS]
    grammar.push(5)
    for illegal in (PAD, BOS, len(VOCABULARY), -1):
        with pytest.raises(ValueError, match=r"must not be inside|expected ids in"):
            grammar.push(illegal)
    grammar.push(EOS)
    assert not grammar.legal().any()
    with pytest.raises(ValueError, match="nothing follows"):
        grammar.push(5)


def test_texts_are_composed_and_line_ends_are_one_character() -> None:
    characters = TextTokens(VOCABULARY)
    decomposed = unicodedata.normalize("NFD", "é")
    assert characters.decode(characters.encode(f"a{decomposed}\r\na\r")) == "aé\na\n"
    drawn = [VOCABULARY.index("e"), VOCABULARY.index("\u0301")]
    assert characters.decode(drawn) == "é"
    for special in (PAD, BOS, EOS):
        with pytest.raises(ValueError, match=r"stands|must not be"):
            characters.decode([special])


def test_letters_that_the_model_never_saw_are_all_named() -> None:
    with pytest.raises(VocabularyError, match=r"'x', 'ß' not among the 6 characters that the model knows"):
        TextTokens(VOCABULARY).encode("aßexa")


@pytest.mark.parametrize(
    ("kind", "out", "options", "words"),
    [
        ("run", "a.txt", {"prompt": "der Šas"}, ("--prompt", "'Š'", "characters that the model")),
        ("run", "a.txt", {"prompt": "der Hügel", "max_events": 9}, ("--prompt of 9 characters", "--max-events 9")),
        ("run", "a.mid", {}, ("--out", "is for music", "write .txt")),
        ("run", "a.doc", {}, ("ends in .txt",)),
        ("run", "none/a.txt", {}, ("no such folder",)),
        ("run", "a.txt", {"temperature": 0.0}, ("--temperature 0.0",)),
        ("run", "a.txt", {"max_events": 0}, ("--max-events 0",)),
        ("run", "a.txt", {"wav": True}, ("--wav is for music", "language_modelling")),
        ("run", "a.txt", {"png": True}, ("--png is for music",)),
        ("run", "a.txt", {"primer": Path("x.mid")}, ("--primer is for music",)),
        ("run", "a.txt", {"primer_events": 3}, ("--primer-events is for music",)),
        ("music", "a.mid", {"prompt": "der"}, ("--prompt is for text", "music_generation")),
        ("music", "a.txt", {}, ("--out", "is for text", "write .mid")),
        ("none", "a.txt", {}, ("not a run",)),
    ],
)
def test_what_does_not_go_together_is_one_line(
    kind: str, out: str, options: dict[str, Any], words: tuple[str, ...], run: Path, music: Path, tmp_path: Path
) -> None:
    folder = {"run": run, "music": music, "none": tmp_path / "none"}[kind]
    with pytest.raises((OptionError, RunError)) as refusal:
        generate.main(generate.Config(folder, tmp_path / out, **options))
    assert "\n" not in str(refusal.value)
    for word in words:
        assert word in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_stays(run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("thesis")
    with pytest.raises(SeqAudioError, match="--force"):
        text_of(run, tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "thesis"
    assert len(text_of(run, tmp_path / "a.txt", force=True, max_events=50)) == 50


def test_a_preview_has_no_characters_that_a_terminal_obeys() -> None:
    assert generate.preview("a\x1b[31mb\nc") == "a [31mb\nc"
    assert generate.preview("x" * 241) == "x" * 240 + " ..."
    assert generate.preview("y" * 240) == "y" * 240


def test_eight_bits_sample_nearly_the_same_distribution(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    sampler = EventModel.sampler
    monkeypatch.setattr(EventModel, "sampler", lambda self, int8=False: (asked.append(int8), sampler(self, int8))[1])
    texts = [text_of(run, tmp_path / f"{int8}.txt", max_events=200, int8=int8) for int8 in (False, True)]
    assert asked == [False, True]
    known = set(text_of(run, tmp_path / "more.txt", max_events=2000).split())
    assert len(set(texts[1].split()) & known) > 0.5 * len(set(texts[1].split()))


def test_eight_bits_of_other_cells_are_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = RunFolder(run).config["model"]["arguments"] | {"cell": "min_gru"}
    monkeypatch.setattr(RunFolder, "model", lambda self: EventModel(**arguments).eval())
    with pytest.raises(OptionError, match="int8"):
        text_of(run, tmp_path / "a.txt", int8=True)
    assert not (tmp_path / "a.txt").exists()
