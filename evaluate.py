"""Scores an exported model: `python evaluate.py --model=saved_models/CartPole-v1`.

All flags: `python evaluate.py --help`.
"""

from dqn_tf.evaluation.__main__ import command

if __name__ == "__main__":
    command()
