"""Time a recogniser: a training step beside a bare loop, and each way of decoding its outputs beside real time.

    python benchmarks/ctc.py [--json]

Training: an update takes turns with one of nn.LSTM and ctc_loss on the same batches. Eight made-up recordings of about
2.6 s, 40 features, in batches of similar length as recipes make them; three frames a step, two bidirectional LSTMs of
192 units, 28 symbols, dropout 0.2, AdamW. `ours_vs_padded` is the median over rounds of our time / that of a loop that
lets the backward direction read the padding, which is wrong but fast; `ours_vs_packed` beside pack_padded_sequence,
which is right. 1 is equal. Ours is without filters, as the loops are.

Decoding, on one core: a minute of made-up speech, 1,500 frames of 40 ms over a blank, a space, 26 letters, an
apostrophe and a hyphen, 30 units, some 13 characters a second of words that were drawn, with noise that makes the
likeliest unit wrong in one of seven characters. The beam has 50 prefixes and the usual threshold.

    plain                no language model
    character_ngram      Kneser-Ney of order 6 over characters
    word_ngram           Kneser-Ney of order 3 over 2,000 words, any spelling permitted
    lexicon_word_ngram   the same, with these words alone
    recurrent            an LSTM of 128 units over characters, random weights, which take as long as trained ones
    alignment            forced alignment of the same minute, cut into sentences

These ratios are times faster than real time: 20 means that a second of sound takes 50 ms. Their times are of the
processor, for a minute of sound.
"""

from __future__ import annotations

import statistics
import string
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from _interleaved import interleave, ratio, report
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqaudio.batching import Batch
from seqaudio.decoding.ctc_alignment import align
from seqaudio.decoding.ctc_models import Lexicon, PrefixModel, RecurrentText, UnitNgram, Units, WordNgram
from seqaudio.decoding.ctc_search import BeamSearch
from seqaudio.models import EventModel, Recogniser
from seqaudio.ngrams import BackOff, KneserNey
from seqaudio.ngrams.back_off import RESERVED
from seqaudio.vocabulary import BOS, EOS, SPECIAL_TOKENS, Vocabulary

FEATURES, CLASSES, HIDDEN, LAYERS, STACKED, DROPOUT = 40, 28, 192, 2, 3, 0.2
ROWS, FRAMES, CHARACTERS, BATCHES = 8, 260, 20, 4

UNITS = Units(("<blank>", " ", *string.ascii_lowercase, "'", "-"))
BEAM = 50
SPOKEN, SECONDS = 1500, 60  # 40 ms a frame
WORDS, SENTENCES = 2000, 4000
NOISE, CLEAR = 1.6, 6.0  # deviation of the noise in nats, and by how much the right unit stands out of it


def batches() -> list[Batch]:
    """Recordings of similar length with texts."""
    draw = torch.Generator().manual_seed(0)
    made = []
    for number in range(BATCHES):
        longest = FRAMES + 40 * number
        lengths = torch.randint(longest - 30, longest + 1, (ROWS,), generator=draw)
        lengths[0] = longest
        counts = torch.randint(CHARACTERS // 2, CHARACTERS + 1, (ROWS,), generator=draw)
        targets = torch.randint(1, CLASSES, (CHARACTERS, ROWS), generator=draw)
        inputs = torch.randn(longest, ROWS, FEATURES, generator=draw)
        made.append(Batch(inputs, lengths, targets=targets, target_lengths=counts))
    return made


class Bare(nn.Module):
    """The same net as one would write it by hand."""

    def __init__(self, packed: bool) -> None:
        super().__init__()
        self.packed = packed
        self.lstm = nn.LSTM(STACKED * FEATURES, HIDDEN, LAYERS, bidirectional=True, dropout=DROPOUT)
        self.dropout = nn.Dropout(DROPOUT)
        self.output = nn.Linear(2 * HIDDEN, CLASSES)

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        assert batch.targets is not None
        assert batch.target_lengths is not None
        steps = batch.lengths // STACKED
        T, B, _ = batch.inputs.shape
        whole = batch.inputs[: T // STACKED * STACKED].view(-1, STACKED, B, FEATURES).transpose(1, 2).flatten(2)
        inputs = self.dropout(whole)
        if self.packed:
            outputs, _ = self.lstm(pack_padded_sequence(inputs, steps, enforce_sorted=False))
            outputs, _ = pad_packed_sequence(outputs)
        else:
            outputs, _ = self.lstm(inputs)
        logs = self.output(self.dropout(outputs)).log_softmax(-1)
        total = F.ctc_loss(logs, batch.targets.T, steps, batch.target_lengths, reduction="sum")
        return total, int(batch.target_lengths.sum())


def updates(model: nn.Module, loss: Callable[[Batch], tuple[Tensor, int]]) -> Callable[[], None]:
    """A function that makes an update with each batch."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    data = batches()

    def work() -> None:
        for batch in data:
            optimiser.zero_grad()
            total, count = loss(batch)
            (total / count).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()

    return work


def measure_training() -> tuple[dict[str, float], dict[str, float]]:
    """Our time / that of each bare loop, and milliseconds of an update."""
    torch.manual_seed(1)
    ours = Recogniser(
        FEATURES, CLASSES, hidden_size=HIDDEN, layers=LAYERS, subsampling=STACKED, filters=0, dropout=DROPOUT
    )
    padded, packed = Bare(packed=False), Bare(packed=True)
    rivals = {
        "ours": updates(ours, lambda batch: ours.loss(batch)[:2]),
        "padded": updates(padded, padded.loss),
        "packed": updates(packed, packed.loss),
    }
    seconds = interleave(rivals)
    ratios = {f"ours_vs_{name}": ratio(seconds, "ours", name) for name in ("padded", "packed")}
    return ratios, {f"{name}_update": 1000 * statistics.median(held) / BATCHES for name, held in seconds.items()}


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


def measure_decoding() -> tuple[dict[str, float], dict[str, float]]:
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
        if sum(len(frames) for _, frames in utterances) >= SPOKEN:
            break
        text = " ".join(sentence)
        utterances.append(([UNITS.names.index(character) for character in text], made_up_frames(text, draw)))

    def searching(name: str, model: PrefixModel | None) -> Callable[[], object]:
        lexicon = Lexicon(words.words[len(RESERVED) :], UNITS) if name.startswith("lexicon") else None
        search = BeamSearch(UNITS, beam=BEAM, lm=model, alpha=0.5, beta=0.5, lexicon=lexicon)
        return lambda: [search(frames) for _, frames in utterances]

    rivals = {name: searching(name, model) for name, model in models.items()}
    rivals["alignment"] = lambda: [align(frames, ids) for ids, frames in utterances]
    sound = sum(len(frames) for _, frames in utterances) * SECONDS / SPOKEN  # seconds, a little more than a minute
    seconds = {name: statistics.median(values) for name, values in interleave(rivals, clock=time.process_time).items()}
    faster = {name: sound / value for name, value in seconds.items()}
    return faster, {f"{name}_minute": 1000 * SECONDS / value for name, value in faster.items()}


def main() -> None:
    """Measure and print."""
    threads = torch.get_num_threads()
    training, decoding = measure_training(), measure_decoding()
    report(
        f"torch {torch.__version__}; training: {threads} threads, an update with {ROWS} recordings, our time / theirs; "
        f"decoding: one thread, beam {BEAM}, times faster than real time",
        training[0] | decoding[0],
        training[1] | decoding[1],
    )


if __name__ == "__main__":
    main()
