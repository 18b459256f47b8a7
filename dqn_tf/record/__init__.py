"""Writes logged data of an agent, of a mixture with random play, or of random play alone."""
