"""The only part of dqn_tf that knows Gymnasium."""
