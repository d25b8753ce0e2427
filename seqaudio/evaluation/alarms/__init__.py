"""Scorecard of keyword detectors on a stream: missed words against false alarms an hour.

material.py    words and background from folders and tables, background split by file
track.py       words in background at a signal-to-noise ratio, and background alone, as blocks of samples
detectors.py   what is scored: a stream of samples in, a score after each step out; a spotter run
rivals.py      detectors of other packages
scoring.py     hits, alarms, thresholds, delays, from recorded scores
card.py        all of it for several detectors, as numbers, JSON and tables
drawing.py     the picture
cutting.py     false alarms as recordings
"""
