"""Trains DQN: `python train.py --env=CartPole-v1`. All flags: `python train.py --help`."""

from dqn_tf.training.__main__ import command

if __name__ == "__main__":
    command()
