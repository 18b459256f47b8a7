"""Serves any SavedModel over HTTP and gRPC as TensorFlow Serving does: `python -m dqn_tf.serving`.

It knows SavedModels only, and imports nothing else of dqn_tf. What is the same and what differs:
docs/serving.md.
"""
