"""Evaluate a trained speech recogniser on a split: word and character errors, a table of them, an alignment.

    recipes/speech_recognition/evaluate.py --run runs/an4 --split test
    recipes/speech_recognition/evaluate.py --run runs/an4 --beam 50 --lm words.arpa --tune
    recipes/speech_recognition/evaluate.py --run runs/an4 --beam 50 --lm words.arpa --split test

With --beam the errors of a beam search stand beside those of greedy decoding. --tune chooses the weights of language
model and words on validation and keeps them in the run, for this language model and lexicon; the test only uses them.
The store may be a test set of its own, without training rows. Each use of the test split adds a line to the run's
`test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seqaudio.batching.transcribed import transcribed
from seqaudio.cli.as_json import print_evaluation
from seqaudio.cli.options import run
from seqaudio.cli.outputs import check_output
from seqaudio.decoding.beam_options import BeamOptions
from seqaudio.decoding.ctc_decoder import Beam, keep_tuned
from seqaudio.decoding.transcription import recogniser_of, spelling_of
from seqaudio.errors import OptionError
from seqaudio.evaluation.beam import beam_texts, tune, tuned_as, with_beam
from seqaudio.evaluation.error_report import ErrorReport
from seqaudio.evaluation.finishing import describe_baselines, figure_of, lost_to, open_run, store_of_baselines
from seqaudio.evaluation.recognition import hear, hear_in_blocks, metrics_of, reached, text_baselines
from seqaudio.evaluation.recognition_figure import alignment_figure
from seqaudio.evaluation.results import record_test
from seqaudio.features.settings import FeatureSettings
from seqaudio.pictures import save_figure


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # run folder of a training
    store: Path | None = None  # store to evaluate on, with the same features; by default that of the training
    split: Literal["valid", "test"] = "valid"  # to evaluate on
    texts: Path | None = None  # also write a table (.tsv) of every recording: its id, its text, what was recognised
    force: bool = False  # replace the file of --texts
    json: bool = False  # print one JSON object instead of text
    streamed: bool = False  # also block by block, as in a stream: how many texts differ; needs a model of one direction
    tune: bool = False  # choose --alpha and --beta on validation, and keep them in the run; needs --beam
    search: BeamOptions = field(default_factory=BeamOptions)  # beside greedy decoding


def main(config: Config) -> None:
    """Print the metrics; on the test split, record them in results.json."""
    config.search.check()
    if config.tune and (not config.search.beam or config.split != "valid"):
        raise OptionError("--tune needs --beam, such as --beam 50, and --split valid; the test uses what it chose")
    if config.texts is not None:
        check_output("--texts", config.texts, ".tsv", config.force)
    folder, store = open_run(config.run, "speech_recognition", ("features", "audio"), config.store)
    spelling, model = spelling_of(folder, with_lexicon=True), recogniser_of(folder)
    if config.streamed and not model.causal:
        raise OptionError(f"{config.run}: its model needs whole recordings; leave out --streamed")
    recordings = transcribed(store, store[config.split], spelling)

    beam = Beam.opened(spelling, config.search) if config.search.beam else None
    heard = hear(model, recordings)
    texts, metrics = heard.texts, metrics_of(recordings, heard, heard.texts)
    searched: dict[str, Any] = {}
    if beam is not None:
        if config.tune:
            keep_tuned(folder, tuned_as(tune(recordings, heard, beam), beam, len(texts)))
        weights = beam.weights(folder, config.search)
        texts = beam_texts(heard, spelling, beam, weights)
        rates = metrics_of(recordings, heard, texts)
        metrics |= {f"beam_{name}": rates[name] for name in ("wer", "cer", "per") if name in rates}
        searched = {"beam": beam.about() | weights._asdict()}
    if config.streamed:
        pairs = zip(hear_in_blocks(model, recordings), heard.texts, strict=True)
        searched |= {"streamed_otherwise": sum(streamed != whole for streamed, whole in pairs)}
    report = ErrorReport.of(recordings, texts)
    details = report.as_json() | searched

    baselines = {}
    known = store_of_baselines(folder, store)
    if known is not None and "valid" in known.counts:  # which chooses the order of the n-grams
        training, valid = (transcribed(known, known[split], spelling) for split in ("train", "valid"))
        baselines = text_baselines(training, valid, recordings)
    settings = FeatureSettings.from_dict(store.setting("features", dict))
    picture = figure_of(folder, store, config.split, "alignment")
    save_figure(alignment_figure(recordings, heard, settings, model.subsampling), picture)
    if config.texts is not None:
        report.write_texts(config.texts)
    if config.split == "test":
        record_test(config.run, metrics, baselines, store, details)
    if config.json:
        print_evaluation(config.run, config.split, metrics, baselines, details)
        return
    metric = f"nats_per_{spelling.noun}"
    print(
        f"{config.split} {reached(metrics, spelling)}; "
        f"{describe_baselines(baselines, metric) or 'no baselines'}{lost_to(metrics, baselines, metric)}"
    )
    if beam is not None:
        print(f"beam of {beam.width}, alpha {weights.alpha:g}, beta {weights.beta:g}: {with_beam(metrics)}")
    if config.streamed:
        print(f"streamed: another text of {searched['streamed_otherwise']} of {len(texts):,} recordings")
    print("\n".join(report.lines()))
    print(f"alignment: {picture}")


if __name__ == "__main__":
    run(Config, main)
