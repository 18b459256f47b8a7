"""Texts for models whose tokens TensorFlow's operations cannot make: tokens, features, memory."""
