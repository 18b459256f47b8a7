"""Where dqn_tf meets other libraries: Gymnasium environments and exported models in their words."""

import contextlib
import importlib
import importlib.util
import io

from dqn_tf.support import tensorflow_loading
from dqn_tf.support.errors import UserError


def load_tf_agents() -> None:
    """Imports TF-Agents.

    Raises UserError if it is not installed, or `tf.keras` is not the Keras 2 that it is written
    for.
    """
    missing = [
        package
        for package, name in (("tf-agents", "tf_agents"), ("tf-keras", "tf_keras"))
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} must be installed for this. Type, with Python 3.10 or 3.11:"
            " pip install -e '.[tf-agents]'"
        )
    mend = (
        "TF-Agents needs Keras 2, and this process uses Keras 3. Set the variable before Python"
        " starts: TF_USE_LEGACY_KERAS=1 python ..."
    )
    if not tensorflow_loading.wants_keras_2():
        raise UserError(mend)
    import tensorflow as tf

    if not tf.keras.Model.__module__.startswith("tf_keras"):
        raise UserError(mend)
    # it imports the Gym of old, which advises on each import to leave it
    with contextlib.redirect_stderr(io.StringIO()):
        importlib.import_module("tf_agents.environments")
