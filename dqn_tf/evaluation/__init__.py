"""Scores with intervals: any policy, any environment, seeds used nowhere else."""
