"""Publishes an agent as a SavedModel and, on request, as the same network for TFLite and ONNX."""
