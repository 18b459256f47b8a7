"""A process that does one run after another: a configuration as a line of JSON comes in, its result
as a line goes out.

TensorFlow is loaded once and kept to one thread. The process ends when its input does, so it never
outlives who started it for long.
"""

import json
import os
import sys
import warnings

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import tensorflow_loading
from dqn_tf.support.errors import UserError


def main() -> None:
    """Serves until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints stays out of the replies
    tensorflow_loading.load_tensorflow()
    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from benchmarks.scores.run_one import run

    for line in sys.stdin:
        try:
            answer = run(DQNConfig.from_dict(json.loads(line)))
        except UserError as error:
            answer = {"error": str(error)}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()
        tf.keras.backend.clear_session()


if __name__ == "__main__":
    main()
