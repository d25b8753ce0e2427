"""Names for units, to annotate plain floats with."""

Hertz = float
Seconds = float
Decibels = float
