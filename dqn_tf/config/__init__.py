"""The configuration: every setting's default, unit, range and source, in one place."""

from dqn_tf.config.dqn_config import DQNConfig as DQNConfig
