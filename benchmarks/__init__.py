"""Scores and speed, each command printing a table and writing CSV:

python -m benchmarks.scores --help.
"""
