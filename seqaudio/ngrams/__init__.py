"""N-gram models of tokens: Kneser-Ney smoothing, back-off, ARPA files."""

from seqaudio.ngrams.arpa import read_arpa, write_arpa
from seqaudio.ngrams.back_off import BackOff
from seqaudio.ngrams.kneser_ney import KneserNey, Unigram, best_kneser_ney

__all__ = ["BackOff", "KneserNey", "Unigram", "best_kneser_ney", "read_arpa", "write_arpa"]
