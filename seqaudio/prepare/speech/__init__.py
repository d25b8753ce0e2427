"""Turn recordings into rows of frames or samples; options that all speech corpora share."""
