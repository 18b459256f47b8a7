"""Measurements of dqn_tf: scores, speed, serving, and parity with TF-Agents.

Each command records rows in CSV files and writes a page of docs/ from them:
`python -m benchmarks.scores --help`.
"""
