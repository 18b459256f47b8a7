"""Sends runs to the trackers that people use: `dqn-track --run=RUN_DIR --to=mlflow`.

A follower is a process of its own. It reads what the run writes for itself (config.json,
metrics.csv, evaluation.json, the export) and never TensorFlow, so that nothing it does or fails to
do reaches the training. What a tracker already has is asked of the tracker.
"""
