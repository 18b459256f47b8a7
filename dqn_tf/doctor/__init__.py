"""`python -m dqn_tf.doctor`:

does a configuration learn what is right, and is an environment fit to learn from?
"""
