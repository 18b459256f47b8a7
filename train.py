"""Trains DQN: `python train.py --env=CartPole-v1`. All flags: `python train.py --help`."""

import sys

from dqn_tf.support import tensorflow_loading
from dqn_tf.training import flags as cli
from dqn_tf.training import plan


def main(flags: cli.TrainingFlags) -> None:
    """Plans the run, and only then loads TensorFlow and trains."""
    plans = plan.prepare(flags)
    if not plans:
        return
    tensorflow_loading.load_tensorflow(cli.verbose())
    # imports TensorFlow: not before every flag and file is known to be right
    from dqn_tf.training import trainer

    sys.exit(trainer.train(plans))


if __name__ == "__main__":
    cli.run(main, cli.parse_training_flags)
