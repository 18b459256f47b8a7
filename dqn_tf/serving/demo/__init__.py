"""The page of `--demo`."""
