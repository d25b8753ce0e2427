"""Sizes of the filters in front of a spotter."""

KERNEL = 5  # frames, and features, that a filter of the convolution covers
STRIDE = 2  # features between two positions of a filter
EIGHT = 8  # filters that compiled code computes in parallel
