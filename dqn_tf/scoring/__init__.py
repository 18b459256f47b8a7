"""What `evaluate.py` does:

finds an exported model, plays it as plain TensorFlow serves it, reports. Knows nothing of training.
"""
