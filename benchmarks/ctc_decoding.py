"""Time the decoding of a CTC recogniser's outputs on one core, each way of decoding in turn, in one process.

    python benchmarks/ctc_decoding.py [--json]

A minute of made-up speech: 1,500 frames of 40 ms over a blank, a space, 26 letters, an apostrophe and a hyphen, 30
units, some 13 characters a second of words that were drawn, with noise that makes the likeliest unit wrong in one of
seven characters. The beam has 50 prefixes and the usual threshold.

    plain                no language model
    character_ngram      Kneser-Ney of order 6 over characters
    word_ngram           Kneser-Ney of order 3 over 2,000 words, any spelling permitted
    lexicon_word_ngram   the same, with these words alone
    recurrent            an LSTM of 128 units over characters, random weights, which take as long as trained ones
    alignment            forced alignment of the same minute, cut into sentences

`ratios` are times faster than real time (medians of 15 rounds): 20 means that a second of sound takes 50 ms. Times are
of the processor, for a minute of sound.
"""

from __future__ import annotations

import statistics
import string
import time
from collections.abc import Callable

import numpy as np
import torch
from _interleaved import interleave, report

from seqaudio.decoding.ctc_alignment import align
from seqaudio.decoding.ctc_models import Lexicon, PrefixModel, RecurrentText, UnitNgram, Units, WordNgram
from seqaudio.decoding.ctc_search import BeamSearch
from seqaudio.models import EventModel
from seqaudio.ngrams import BackOff, KneserNey
from seqaudio.ngrams.back_off import RESERVED
from seqaudio.vocabulary import BOS, EOS, SPECIAL_TOKENS, Vocabulary

UNITS = Units(("<blank>", " ", *string.ascii_lowercase, "'", "-"))
BEAM = 50
FRAMES, SECONDS = 1500, 60  # 40 ms a frame
WORDS, SENTENCES = 2000, 4000
NOISE, CLEAR = 1.6, 6.0  # deviation of the noise in nats, and by how much the right unit stands out of it


def made_up_sentences(draw: np.random.Generator) -> list[list[str]]:
    """Sentences of words that Zipf's law draws, each after some of the others alone."""
    letters = np.array([*string.ascii_lowercase])
    shares = draw.dirichlet(np.full(len(letters), 0.5), size=len(letters))
    words: dict[str, None] = {}
    while len(words) < WORDS:
        places = [int(draw.integers(len(letters)))]
        for _ in range(int(draw.integers(0, 9))):
            places.append(int(draw.choice(len(letters), p=shares[places[-1]])))
        words["".join(letters[places])] = None
    followers = draw.zipf(1.3, size=(WORDS, 40)) % WORDS
    sentences = []
    for _ in range(SENTENCES):
        place, sentence = int(draw.integers(WORDS)), []
        for _ in range(int(draw.integers(3, 14))):
            sentence.append([*words][place])
            place = int(draw.choice(followers[place]))
        sentences.append(sentence)
    return sentences


def made_up_frames(text: str, draw: np.random.Generator) -> np.ndarray:
    """[T, V] log-probabilities of a text: a unit stands out for one frame or two, and blanks between units."""
    path: list[int] = []
    for character in text:
        path += [UNITS.names.index(character)] * int(draw.integers(1, 3)) + [0] * int(draw.integers(0, 2))
    logits = draw.normal(0, NOISE, size=(len(path), len(UNITS)))
    logits[np.arange(len(path)), path] += CLEAR
    result: np.ndarray = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return result.astype(np.float32)


def ngram(sequences: list[list[str]], order: int) -> BackOff:
    """The Kneser-Ney model of sequences of words or characters."""
    names = [*RESERVED, *sorted({name for sequence in sequences for name in sequence})]
    ids = {name: number for number, name in enumerate(names)}
    coded = [np.array([ids[name] for name in sequence]) for sequence in sequences]
    return KneserNey(order).fit(coded, len(names), BOS, EOS).back_off(names)


def measure() -> tuple[dict[str, float], dict[str, float]]:
    """Times faster than real time, and milliseconds for a minute of sound, of each way of decoding."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    draw = np.random.default_rng(1)
    sentences = made_up_sentences(draw)
    # every unit once, so that the model knows it
    texts = [[*" ".join(sentence)] for sentence in sentences] + [[*UNITS.names[1:]]]
    words = ngram(sentences, 3)
    names = Vocabulary((*SPECIAL_TOKENS, *UNITS.names[1:]))
    net = EventModel(len(names), embedding_size=32, hidden_size=128).eval()
    models: dict[str, PrefixModel | None] = {
        "plain": None,
        "character_ngram": UnitNgram(ngram(texts, 6), UNITS),
        "word_ngram": WordNgram(words, UNITS),
        "lexicon_word_ngram": WordNgram(words, UNITS),
        "recurrent": RecurrentText(net, names, UNITS),
    }
    utterances: list[tuple[list[int], np.ndarray]] = []
    for sentence in sentences:
        if sum(len(frames) for _, frames in utterances) >= FRAMES:
            break
        text = " ".join(sentence)
        utterances.append(([UNITS.names.index(character) for character in text], made_up_frames(text, draw)))

    def searching(name: str, model: PrefixModel | None) -> Callable[[], object]:
        lexicon = Lexicon(words.words[len(RESERVED) :], UNITS) if name.startswith("lexicon") else None
        search = BeamSearch(UNITS, beam=BEAM, lm=model, alpha=0.5, beta=0.5, lexicon=lexicon)
        return lambda: [search(frames) for _, frames in utterances]

    rivals = {name: searching(name, model) for name, model in models.items()}
    rivals["alignment"] = lambda: [align(frames, ids) for ids, frames in utterances]
    sound = sum(len(frames) for _, frames in utterances) * SECONDS / FRAMES  # seconds, a little more than a minute
    seconds = {name: statistics.median(values) for name, values in interleave(rivals, clock=time.process_time).items()}
    faster = {name: sound / value for name, value in seconds.items()}
    return faster, {f"{name}_minute": 1000 * SECONDS / value for name, value in faster.items()}


def main() -> None:
    """Measure and print."""
    report(f"one thread, beam {BEAM}; times faster than real time below", *measure())


if __name__ == "__main__":
    main()
