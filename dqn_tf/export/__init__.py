"""An agent as a product:

a SavedModel that loads wherever TensorFlow does, and on request the same network for TFLite and
ONNX.
"""
