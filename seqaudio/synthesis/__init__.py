"""Synthesise words without recordings: spoken by espeak-ng in random voices, in rooms and noise, with near misses.

espeak.py          the binding: words and phonemes to samples, voices, languages
random_voices.py   random timbres, beyond espeak-ng's own voices
near_misses.py     words that sound like a keyword but are not one
clips.py           rows of a store: words with voice, room and noise
"""
