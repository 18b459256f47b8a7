"""Where dqn_tf meets TF-Agents: environments and exported models in its terms, under Keras 2."""

import contextlib
import importlib
import importlib.util
import io

from dqn_tf.support import tensorflow_loading
from dqn_tf.support.errors import UserError

MODULES = {"tf-agents": "tf_agents", "tf-keras": "tf_keras"}  # by package


def load_tf_agents() -> None:
    """Import TF-Agents.

    Raises UserError if it is not installed, or if `tf.keras` is not Keras 2, which it needs.
    """
    missing = [
        package for package, module in MODULES.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} must be installed for this. Type, with Python 3.10 or 3.11:"
            " pip install -e '.[tf-agents]'"
        )
    if not _is_keras_2():
        raise UserError(
            "TF-Agents needs Keras 2, and this process uses Keras 3. Set the variable before Python"
            " starts: TF_USE_LEGACY_KERAS=1 python ..."
        )
    # It imports the old Gym, which advises on each import to leave it.
    with contextlib.redirect_stderr(io.StringIO()):
        importlib.import_module("tf_agents.environments")


def _is_keras_2() -> bool:
    if not tensorflow_loading.wants_keras_2():
        return False
    import tensorflow as tf

    return tf.keras.Model.__module__.startswith("tf_keras")
