"""Forecasts of a split beside their baselines: errors, prediction intervals, figures."""
