"""Places of tokens within a bar, for models that look back by bars."""

OFFSETS = 16  # tokens behind a step that have places of their own; later ones share the last
