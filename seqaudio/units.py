"""Units of numbers, by name."""

Hertz = float
Seconds = float
Decibels = float
