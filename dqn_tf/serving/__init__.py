"""Serves any SavedModel over HTTP and gRPC as TensorFlow Serving does: `python -m dqn_tf.serving`.

It knows SavedModels only, and imports nothing else of dqn_tf. docs/serving.md lists what is the
same as in TensorFlow Serving and what differs.
"""
