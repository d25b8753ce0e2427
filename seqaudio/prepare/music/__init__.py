"""Turn MIDI files and scores into rows of tokens or rolls; versions of one piece stay in one split."""
