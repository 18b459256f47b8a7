"""dqn_tf: the reference implementation of DQN in TensorFlow/Keras.

Importing the package costs nothing: TensorFlow is loaded by the modules that need it
(`dqn_tf.agent.dqn` and everything above it in docs/design.md).
"""

__version__ = "0.1.0"
