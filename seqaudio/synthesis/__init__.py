"""Synthesise words without recordings: spoken by espeak-ng in random voices, in rooms and noise, with near misses.

espeak.py          the binding: words and phonemes to samples, voices, languages
random_voices.py   random timbres, beyond espeak-ng's own voices
speakers.py        who speaks: a voice of espeak-ng, a command, a recording
spoken.py          folders of spoken clips
near_misses.py     words that sound like a keyword but are not one
random_speech.py   speech that is no keyword, in phonemes or in letters
negatives.py       both of these, for voices of several accents
clips.py           rows of a store: words with voice, room and noise
"""
