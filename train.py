"""Trains DQN: `python train.py --env=CartPole-v1`. All flags: `python train.py --help`."""

import sys

from dqn_tf.support import command_line, tensorflow_loading
from dqn_tf.training import flags as training_flags
from dqn_tf.training import plan


def main(flags: training_flags.TrainingFlags) -> None:
    """Plans the run, and only then loads TensorFlow and trains."""
    plans = plan.prepare(flags)
    if not plans:
        return
    tensorflow_loading.load_tensorflow(command_line.verbose())
    # imports TensorFlow: not before every flag and file is known to be right
    from dqn_tf.training import trainer

    sys.exit(trainer.train(plans))


if __name__ == "__main__":
    command_line.run(main, training_flags.parse_training_flags)
