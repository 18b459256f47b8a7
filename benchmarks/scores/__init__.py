"""Scores of variants of DQN over seeds."""
