"""Loads TensorFlow without its chatter, so that the terminal shows our lines only."""

import contextlib
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from absl import logging

from dqn_tf.support.errors import UserError


def load_tensorflow(verbose: bool = False) -> None:
    """Imports TensorFlow; its native log and library warnings are shown only if `verbose`.

    TensorFlow's C++ code writes to file descriptor 2 before any log level holds, so the descriptor
    itself is turned away while the library loads. If loading fails, what was written is shown.
    Raises UserError if Keras 2 is wanted and not there.
    """
    if wants_keras_2() and importlib.util.find_spec("tf_keras") is None:
        raise UserError(
            "TF_USE_LEGACY_KERAS asks for Keras 2, which is not installed. Type: pip install"
            " tf-keras"
        )
    if verbose:
        import tensorflow

        return
    logging.set_verbosity(logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore")
    with stderr_aside(shown_on_failure=True):
        import tensorflow
    tensorflow.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def stderr_aside(shown_on_failure: bool) -> Iterator[None]:
    """Turns file descriptor 2 away, to which C++ code writes whatever any log level says."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            if shown_on_failure:
                aside.seek(0)
                os.write(terminal, aside.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def wants_keras_2() -> bool:
    """Whether the variable is set by which TensorFlow makes `tf.keras` the Keras 2 of the package
    tf-keras.
    """
    # what TensorFlow takes for yes
    return os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True")
