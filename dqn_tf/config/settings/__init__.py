"""The one place where defaults live: each setting with its default, unit, source and range.

The command line and its help page are made from these fields. `presets.py` holds other values for
named environments; nothing else in the project has a default for any of them.
"""

import dataclasses

from dqn_tf.config.settings.atari import AtariSettings
from dqn_tf.config.settings.experience import ExperienceSettings
from dqn_tf.config.settings.language import LanguageSettings
from dqn_tf.config.settings.learning import LearningSettings
from dqn_tf.config.settings.logged import LoggedDataSettings
from dqn_tf.config.settings.records import RecordSettings
from dqn_tf.config.settings.run import RunSettings
from dqn_tf.config.settings.workers import WorkerSettings


# a dataclass has its last base's fields first
@dataclasses.dataclass(frozen=True)
class Settings(
    AtariSettings,
    RecordSettings,
    LoggedDataSettings,
    WorkerSettings,
    ExperienceSettings,
    LanguageSettings,
    LearningSettings,
    RunSettings,
):
    """Every setting, unchecked; `DQNConfig` is the one to use."""
