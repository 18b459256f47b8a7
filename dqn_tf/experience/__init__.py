"""From environment steps to batches, in NumPy."""
