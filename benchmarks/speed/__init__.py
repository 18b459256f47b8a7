"""The speed of dqn_tf beside other implementations of DQN."""
