"""Recurrent networks for speech and music: data preparation, cells, BPTT trainers, decoding, evaluation.

Importing the package imports nothing heavy; torch is loaded by the rooms that compute.
"""

__version__ = "0.1.0"
