"""Versions on the disk, in memory, and running."""
