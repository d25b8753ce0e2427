"""Words without recordings: spoken by espeak-ng, by random voices, in rooms and noise, with near misses.

espeak.py          the binding: words and phonemes to samples, voices, languages
random_voices.py   timbres drawn at random, beyond espeak-ng's own
near_misses.py     words that sound like a keyword and are none
clips.py           rows of a store: words with voice, room and noise
"""
