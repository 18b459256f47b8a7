"""Loads TensorFlow quietly, so that the terminal shows our lines only."""

import contextlib
import gc
import importlib.util
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import IO

from absl import logging

from dqn_tf.support.errors import UserError


def load_tensorflow(verbose: bool = False) -> None:
    """Import TensorFlow; show its native log and library warnings only if `verbose`.

    What keras.json says of types and images is set back to Keras's own defaults: a run is what its
    configuration says, on every machine. Raises UserError if TensorFlow cannot be imported, or if
    TF_USE_LEGACY_KERAS asks for Keras 2 and it is not installed.
    """
    if wants_keras_2() and importlib.util.find_spec("tf_keras") is None:
        raise UserError(
            "TF_USE_LEGACY_KERAS asks for Keras 2, which is not installed. Type: pip install"
            " tf-keras"
        )
    if not verbose:
        logging.set_verbosity(logging.ERROR)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        warnings.filterwarnings("ignore")
    try:
        with (
            uncollected(),
            contextlib.nullcontext() if verbose else hidden_stderr(show_on_failure=True),
        ):
            import tensorflow
    except Exception as error:  # an ImportError, or what keras.json makes Keras raise
        raise UserError(
            f"TensorFlow cannot be imported ({type(error).__name__}: {error}).{_keras_hint()}"
        ) from error
    if not verbose:
        tensorflow.get_logger().setLevel("ERROR")
    keras = tensorflow.keras
    keras.mixed_precision.set_global_policy("float32")
    keras.backend.set_floatx("float32")
    keras.backend.set_image_data_format("channels_last")


@contextlib.contextmanager
def hidden_stderr(show_on_failure: bool) -> Iterator[None]:
    """Redirect file descriptor 2, to which C++ code writes before any log level holds."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with _scratch_file() as hidden:
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


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python from looking for garbage: of what an import makes, a million objects, all stay.

    Looking through them again and again takes a fifth of the time of importing TensorFlow.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _keras_hint() -> str:
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    settings = os.path.join(home, "keras.json")
    if not os.path.exists(settings):
        return ""
    return f" Keras reads {settings} meanwhile: if it holds what is not allowed there, delete it."


def _scratch_file() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError:  # no directory for temporary files, or a full one
        return open(os.devnull, "w+b")


def wants_keras_2() -> bool:
    """Return whether TF_USE_LEGACY_KERAS asks for Keras 2, from the package tf-keras."""
    # the values that TensorFlow takes for yes
    return os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True")
