"""Scores of variants over seeds."""
