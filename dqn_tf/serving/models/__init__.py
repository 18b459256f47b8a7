"""Versions of models: on the disk, in memory, and running."""
