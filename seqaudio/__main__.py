"""Run the command `seqaudio` as `python -m seqaudio`."""

from seqaudio.cli.main import entry

entry()
