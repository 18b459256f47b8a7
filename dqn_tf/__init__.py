"""dqn_tf: the reference implementation of DQN in TensorFlow/Keras.

    from dqn_tf import DQN, DQNConfig, evaluate

    agent = DQN(DQNConfig(env="CartPole-v1", seed=0))

The names in `__all__` are the library. Each is imported when it is first used, so importing dqn_tf
itself loads neither TensorFlow nor Gymnasium.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dqn_tf.agent.dqn import DQN as DQN
    from dqn_tf.agent.networks.pretrained.language_model import LanguageModel as LanguageModel
    from dqn_tf.agent.networks.torsos.base import Torso as Torso
    from dqn_tf.config.dqn_config import DQNConfig as DQNConfig
    from dqn_tf.config.presets import configure as configure
    from dqn_tf.envs.registry import make_env as make_env
    from dqn_tf.evaluation.episodes import Evaluation as Evaluation
    from dqn_tf.evaluation.episodes import compare as compare
    from dqn_tf.evaluation.exported_policy import load_policy as load_policy
    from dqn_tf.evaluation.library import evaluate as evaluate
    from dqn_tf.experience.collector import Collector as Collector
    from dqn_tf.export.library import export_policy as export_policy
    from dqn_tf.support.errors import UserError as UserError

if "keras" not in sys.modules:
    # `import tensorflow` imports Keras, which takes its backend from here or from keras.json.
    os.environ["KERAS_BACKEND"] = "tensorflow"

__version__ = "0.1.0"

MODULES = {
    "Collector": "dqn_tf.experience.collector",
    "DQN": "dqn_tf.agent.dqn",
    "DQNConfig": "dqn_tf.config.dqn_config",
    "Evaluation": "dqn_tf.evaluation.episodes",
    "LanguageModel": "dqn_tf.agent.networks.pretrained.language_model",
    "Torso": "dqn_tf.agent.networks.torsos.base",
    "UserError": "dqn_tf.support.errors",
    "compare": "dqn_tf.evaluation.episodes",
    "configure": "dqn_tf.config.presets",
    "evaluate": "dqn_tf.evaluation.library",
    "export_policy": "dqn_tf.export.library",
    "load_policy": "dqn_tf.evaluation.exported_policy",
    "make_env": "dqn_tf.envs.registry",
}
__all__ = [
    "DQN",
    "Collector",
    "DQNConfig",
    "Evaluation",
    "LanguageModel",
    "Torso",
    "UserError",
    "compare",
    "configure",
    "evaluate",
    "export_policy",
    "load_policy",
    "make_env",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
