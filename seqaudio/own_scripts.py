"""Find the scripts that come with seqaudio: preparations and recipes.

In a wheel both folders are inside the package, in a clone they are next to it.
"""

from __future__ import annotations

from pathlib import Path

from seqaudio.errors import SeqAudioError

PACKAGE = Path(__file__).parent
ROOTS = (PACKAGE / "scripts", PACKAGE.parent)  # in a wheel, in a clone


def preparations() -> dict[str, Path]:
    """Paths of the scripts of `data_prep/` by name."""
    return {path.stem: path for path in sorted(_folder("data_prep").glob("*.py"))}


def recipes(script: str) -> dict[str, Path]:
    """Paths of the file `script` (train.py, evaluate.py) of each recipe, by the name of the recipe."""
    return {path.parent.name: path for path in sorted(_folder("recipes").glob(f"*/{script}"))}


def _folder(name: str) -> Path:
    for root in ROOTS:
        if (root / name).is_dir():
            return root / name
    raise SeqAudioError(f"this installation lacks {name}/; install seqaudio again, or run it from a clone")
