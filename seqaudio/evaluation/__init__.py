"""Measure how good a model is, beside baselines that any model must beat."""
