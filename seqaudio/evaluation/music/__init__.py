"""Measure music beside other music: statistics of notes, voice leading, copies, and surprise under a model.

`statistics.py` and `voice_leading.py` measure one piece, `measures.py` names what is measured of each piece,
`judgement.py` compares two sets of pieces, `copies.py` says how much of a piece stands in the training split;
`pieces.py` finds the pieces, `report.py` and `drawing.py` show a judgement. `surprise.py` scores a piece event by
event.
"""
