"""Evaluate a recogniser on a split: texts by greedy decoding, error rates of words and characters, nats a unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from seqaudio.batching import PaddedBatches
from seqaudio.batching.transcribed import Transcribed
from seqaudio.decoding.greedy import PathCollapser, Placed, best_path, collapse
from seqaudio.evaluation.edits import error_rate
from seqaudio.evaluation.metrics import MAX_STEPS
from seqaudio.models.recogniser import Recogniser
from seqaudio.ngrams import Unigram, best_kneser_ney
from seqaudio.transcripts import Spelling
from seqaudio.vocabulary import BOS, EOS

ROWS = 32  # of a batch


@dataclass(frozen=True)
class Heard:
    """The outputs of a recogniser for a set of recordings, in its order."""

    log_probabilities: tuple[np.ndarray, ...]  # [J, V] float32 each
    nats: float  # of all texts that can be aligned
    units: int  # of these texts
    texts: tuple[str, ...]  # by greedy decoding


@torch.no_grad()
def hear(model: Recogniser, recordings: Transcribed, device: torch.device | str = "cpu") -> Heard:
    """Run a recogniser over recordings. Leaves the model in evaluation mode."""
    model.eval()
    batches = PaddedBatches(recordings, ROWS, max_steps=MAX_STEPS)
    found: dict[int, np.ndarray] = {}
    nats, units = 0.0, 0
    for rows, batch in zip(batches.rows(0), batches.epoch(0), strict=True):
        on_device = batch.to(device)
        log_probabilities, steps, _ = model(on_device.inputs, batch.lengths)
        total, count = model.nats(log_probabilities, steps, on_device)
        nats, units = nats + float(total), units + count
        held = log_probabilities.cpu().numpy()
        for column, row in enumerate(rows):
            found[row] = held[: int(steps[column]), column].copy()
    matrices = tuple(found[row] for row in range(len(found)))
    spelling = recordings.spelling
    texts = (spelling.text(placed.unit for placed in collapse(best_path(matrix))) for matrix in matrices)
    return Heard(matrices, nats, units, tuple(texts))


@torch.no_grad()
def hear_in_blocks(model: Recogniser, recordings: Transcribed, steps: int = 10) -> tuple[str, ...]:
    """The texts of recordings by greedy decoding, each in blocks of so many steps, as in a stream.

    Raises OptionError for a model that needs whole recordings. Leaves the model in evaluation mode.
    """
    model.eval()
    size, texts = steps * model.subsampling, []
    for row in range(len(recordings.rows)):
        frames, state, path = recordings([row], 0).inputs, model.initial_state(1), PathCollapser()
        units: list[Placed] = []
        for start in range(0, len(frames) // model.subsampling * model.subsampling, size):
            block = frames[start : start + size]
            log_probabilities, _, state = model(block, None, state)
            units += path.push(log_probabilities[:, 0].numpy())
        texts.append(recordings.spelling.text(placed.unit for placed in (*units, *path.finish())))
    return tuple(texts)


def recognition_metrics(
    model: Recogniser, recordings: Transcribed, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """The metrics of `metrics_of` with greedy decoding."""
    heard = hear(model, recordings, device)
    return metrics_of(recordings, heard, heard.texts)


def metrics_of(recordings: Transcribed, heard: Heard, texts: tuple[str, ...]) -> dict[str, float]:
    """Word and character error rates as shares, nats a unit, and the number of recordings.

    Where the units are phones, there are no words: `per` is the error rate of phones. `unknown_words` is the share of
    words that a recogniser of words does not have, `unknown_characters` or `unknown_phones` that of others, if any.
    """
    spelling = recordings.spelling
    nats = {f"nats_per_{spelling.noun}": heard.nats / heard.units if heard.units else float("nan")}
    count = {"count": float(len(texts))}
    unknown = recordings.unknown_share()
    if unknown or spelling.settings.units == "words":
        count[f"unknown_{spelling.settings.units}"] = unknown
    words = error_rate(recordings.references(), [text.split() for text in texts])
    if spelling.settings.units == "phones":
        return {"per": words} | nats | count
    characters = error_rate([list(text) for text in recordings.texts], [list(text) for text in texts])
    return {"wer": words, "cer": characters} | nats | count


def selection(spelling: Spelling) -> tuple[str, str, str, float]:
    """The metric that selects the best epoch (word or phone errors), its direction, and the tie-breaker (nats).

    Error rates above 1 count as 1, so that a net that writes nothing is no better than one that writes too much.
    """
    return "per" if spelling.settings.units == "phones" else "wer", "min", f"nats_per_{spelling.noun}", 1.0


def reached(metrics: Mapping[str, float], spelling: Spelling) -> str:
    """The metrics of a recogniser in words."""
    nats = f"{metrics[f'nats_per_{spelling.noun}']:.4f} nats a {spelling.noun}, {metrics['count']:,.0f} recordings"
    if "per" in metrics:
        return f"phone errors {100 * metrics['per']:.2f} %, {nats}"
    return f"word errors {100 * metrics['wer']:.2f} %, character errors {100 * metrics['cer']:.2f} %, {nats}"


def text_baselines(training: Transcribed, valid: Transcribed, recordings: Transcribed) -> dict[str, dict[str, float]]:
    """Nats a unit of the texts alone, without their sound: of a unigram, and of the best Kneser-Ney.

    Both learn from the texts of `training`; `valid` chooses the order. The end of a text counts among its nats, so that
    these models are comparable with a recogniser, which gives the probability of a whole text.
    """
    size = len(training.spelling.vocabulary) + EOS  # ids of units begin at 1, those of a model's tokens behind EOS
    known = ([ids for ids in part.targets if (ids > 0).all()] for part in (training, valid, recordings))
    train, chosen, split = ([ids + EOS for ids in part] for part in known)
    units = sum(map(len, split))
    unigram, kneser_ney = Unigram().fit(train, size, BOS, EOS), best_kneser_ney(train, chosen, size)
    name = f"nats_per_{training.spelling.noun}"
    return {
        "unigram": {name: float(unigram.event_nats(split).sum()) / units},
        "kneser-ney": {name: float(kneser_ney.event_nats(split).sum()) / units, "order": kneser_ney.order},
    }
