"""Train the packaged model `digit_strings`: strings of digits in English, written down while they are spoken.

    recipes/trained_models/digit_strings.py --fsdd FSDD --out runs/digit_strings

A causal net learns by CTC on strings of takes 10 to 49 of all six speakers of the Free Spoken Digit Dataset and of
more than 400 voices of espeak-ng, made up anew in each epoch. Validation and test are strings of the other takes,
so of voices that it knows; how it does on a voice never heard is what recipes/speech_recognition/speakers.py measures.
The same command goes on where an interrupted one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.evaluation.results import read_results

STRINGS = 100  # of each speaker; they say which words there are, and training makes up its own
# those of recipes/speech_recognition/speakers.py, which validation speakers chose
CHANGES = AugmentationOptions(gain=0.0, noise=0.0, tilt=12.0, time_masks=0, lowest_snr=5.0, highest_snr=40.0)
OPTIONS = {
    "units": "words", "bidirectional": False, "cell": "gru", "hidden_size": 144, "layers": 2, "filters": 0,
    "subsampling": 3, "dropout": 0.2, "centring": "loudness", "memory": 3.0, "mean_prior": 10.0, "batch_size": 16,
    "learning_rate": 2e-3, "more_share": 0.35,
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The corpora, and what is made of them."""

    fsdd: Path  # folder of the Free Spoken Digit Dataset
    out: Path  # new run folder; its stores are beside it
    epochs: int = 60
    seed: int = 1
    workers: int = 2  # processes that speak

    def store(self, strings: int) -> Path:
        """The store of strings, or of single digits, made where it is missing."""
        out = self.out.with_name(f"{self.out.name}-{'strings' if strings else 'digits'}-store")
        if not out.is_dir():
            fsdd = load(preparations()["fsdd"])
            fsdd.main(fsdd.Config(source=self.fsdd, out=out, features="spotting", strings=strings))
        return out

    def voices(self) -> Path:
        """The store of single digits by synthetic voices, made where it is missing."""
        out = self.out.with_name(f"{self.out.name}-voices-store")
        if not out.is_dir():
            speak = load(preparations()["synthetic_keywords"])
            options = {"random_voices": 400, "takes": 3, "accents": ("all",), "unknown": 0, "silence": 0}
            options |= {"noisy_training": 0.0, "sample_rate": 8000, "features": "spotting", "workers": self.workers}
            speak.main(speak.Config(words=tuple("0123456789"), out=out, **options))
        return out


def main(config: Config) -> None:
    """Prepare, train, evaluate."""
    config.out.parent.mkdir(parents=True, exist_ok=True)
    train, evaluate = (load(recipes(file)["speech_recognition"]) for file in ("train.py", "evaluate.py"))
    if not (config.out / "results.json").is_file():
        options = OPTIONS | {
            "words": config.store(0), "more_stores": (config.voices(),), "epochs": config.epochs, "seed": config.seed,
            "augmentation": train.SentenceAugmentation(**vars(CHANGES)),
            "resume": (config.out / "config.json").is_file(),
        }  # fmt: skip
        train.main(train.Config(store=config.store(STRINGS), run=config.out, **options))
    if read_results(config.out)["test"] is None:
        evaluate.main(evaluate.Config(run=config.out, split="test", streamed=True))


if __name__ == "__main__":
    run(Config, main)
