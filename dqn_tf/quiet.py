"""Loads TensorFlow without its chatter, so that the terminal shows our lines only."""

import os
import sys
import tempfile
import warnings

from absl import logging


def load_tensorflow(verbose: bool = False) -> None:
    """Imports TensorFlow; its native log and library warnings are shown only if `verbose`.

    TensorFlow's C++ code writes to file descriptor 2 before any log level holds, so the descriptor itself is
    turned away while the library loads. If loading fails, what was written is shown.
    """
    if verbose:
        import tensorflow  # noqa: F401
        return
    logging.set_verbosity(logging.ERROR)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            import tensorflow
        except BaseException:
            aside.seek(0)
            os.write(terminal, aside.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
    tensorflow.get_logger().setLevel("ERROR")
