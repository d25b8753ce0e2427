"""Trained models that come with seqaudio: found by name, described by their cards, without importing torch.

models/NAME/    a run folder without its training: config.json, model.safetensors, what decoding needs, and of keyword
                models step.safetensors, which NumPy computes
    card.json   `Card`: data, licence, figures
    README.md   the same as a page, its front matter as model hubs take it
"""

from seqaudio.trained.cards import Card, Figure, Source, card_of
from seqaudio.trained.finding import folder_or_model, found, is_packaged, packaged, recipe_of_run

__all__ = [
    "Card",
    "Figure",
    "Source",
    "card_of",
    "folder_or_model",
    "found",
    "is_packaged",
    "packaged",
    "recipe_of_run",
]
