"""Rows of recordings: from a file to frames or samples, with the options that all corpora of speech share."""
