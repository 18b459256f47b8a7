"""Loads TensorFlow quietly, so that the terminal shows our lines only."""

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
    """Import TensorFlow; show its native log and library warnings only if `verbose`.

    If loading fails, what was written meanwhile is shown. Raises UserError if TF_USE_LEGACY_KERAS
    asks for Keras 2 and it is not installed.
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
    with hidden_stderr(show_on_failure=True):
        import tensorflow
    tensorflow.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def hidden_stderr(show_on_failure: bool) -> Iterator[None]:
    """Redirect file descriptor 2, to which C++ code writes before any log level holds."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except BaseException:
            if show_on_failure:
                hidden.seek(0)
                os.write(terminal, hidden.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def wants_keras_2() -> bool:
    """Return whether TF_USE_LEGACY_KERAS asks for Keras 2, from the package tf-keras."""
    # the values that TensorFlow takes for yes
    return os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True")
