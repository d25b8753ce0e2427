"""Engrave MusicXML as a picture of a score: the only module that calls verovio."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from seqaudio.errors import OptionError, how_to_install
from seqaudio.files import write_bytes

# of verovio: one page as high as the music, 210 mm wide
LAYOUT = {
    "adjustPageHeight": True,
    "breaks": "auto",
    "footer": "none",
    "header": "auto",
    "pageHeight": 60_000,
    "pageWidth": 2100,
    "pageMarginLeft": 120,
    "scale": 40,
    "smuflTextFont": "none",
    "svgHtml5": False,
    "svgViewBox": True,
    "xmlIdSeed": 1,
}
PNG_WIDTH = 1600  # pixels


def require_engraver(kind: str) -> None:
    """Raise OptionError where verovio, or for PNG cairosvg, is missing."""
    if find_spec("verovio") is None:
        raise OptionError(f"--engraved {kind} needs verovio; run {how_to_install('scores')}")
    if kind == "png":
        _cairosvg()


def engrave(score: bytes, path: Path) -> None:
    """Write a score in MusicXML as `.svg` or `.png`, all systems on one page. Equal scores give equal SVG.

    Raises OptionError where a package is missing, or for a score that verovio cannot read.
    """
    require_engraver(path.suffix[1:])
    verovio = import_module("verovio")
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(LAYOUT)
    if not toolkit.loadData(score.decode()):
        raise OptionError(f"{path}: verovio cannot read the score; leave out --engraved")
    # the sign of a tempo as a character that text fonts have, too
    picture = toolkit.renderToSVG(1).replace("\ueca5", "\N{QUARTER NOTE}").encode()
    if path.suffix == ".png":
        picture = _cairosvg().svg2png(bytestring=picture, output_width=PNG_WIDTH, background_color="white")
    write_bytes(path, picture)


def _cairosvg() -> ModuleType:
    try:
        return import_module("cairosvg")
    except (ImportError, OSError):  # OSError: the library cairo is missing
        raise OptionError(
            "--engraved png needs cairosvg and the library cairo; run pip install cairosvg (on Debian also apt-get "
            "install libcairo2), or give --engraved svg"
        ) from None
