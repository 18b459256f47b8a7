"""Learning from logged data: methods and baselines, side by side."""
