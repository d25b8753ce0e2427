"""Rows of notes: from MIDI files and scores to tokens or rolls; versions of one piece stay in one split."""
