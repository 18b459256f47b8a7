"""What a run measures and keeps."""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses

from dqn_tf.config.conditions import POSITIVE
from dqn_tf.config.ranges import Choice, Range
from dqn_tf.config.settings.setting import RECORDS, setting


@dataclasses.dataclass(frozen=True)
class RecordSettings:
    """What a run measures and keeps."""

    evaluation_period_env_steps: int = setting(
        10_000,
        RECORDS,
        "greedy evaluation this often; 0 never during the run",
        Range(low=0),
        unit="environment steps",
    )
    evaluation_episodes: int = setting(
        20,
        RECORDS,
        "episodes of each evaluation during the run",
        Range(low=1),
        unit="episodes",
        when={"evaluation_period_env_steps": POSITIVE},
    )
    test_episodes: int = setting(
        100,
        RECORDS,
        "episodes of the test at the end, on seeds used nowhere else",
        Range(low=1),
        unit="episodes",
    )
    test_epsilon: float = setting(
        0.0,
        RECORDS,
        "probability of a random action at each step of that test",
        Range(low=0.0, high=1.0),
    )
    finalists: int = setting(
        4,
        RECORDS,
        "at the end, the weights of so many highest evaluations and the last ones are compared on"
        " --test_episodes further episodes: that decides which are the best; 1 takes the highest"
        " evaluation for it",
        Range(low=1),
        when={"evaluation_period_env_steps": POSITIVE},
    )
    evaluation_episode_steps: int = setting(
        27_000,
        RECORDS,
        "an episode of an evaluation or of the test that is still running after so many steps is"
        " cut there and counted; if the first three are, the others are left out",
        Range(low=1),
        unit="environment steps",
    )
    evaluation_envs: int | None = setting(
        None,
        RECORDS,
        "environments made for evaluations beside those of training, and stepped together; 0 makes"
        " none: evaluations then use the training's, whose episodes under way are played back"
        " afterwards. If not given: 32 of those that come with Gymnasium, MinAtar, ale-py and"
        " dqn_tf, else one, or none where a second one cannot be made",
        Range(low=0),
        unit="environments",
    )
    checkpoint_period_env_steps: int = setting(
        10_000,
        RECORDS,
        "checkpoint this often; 0 only at the end or on a signal",
        Range(low=0),
        unit="environment steps",
    )
    export_weights: str = setting(
        "last",
        RECORDS,
        "what the SavedModel holds: the last weights, or the best by evaluation during the run",
        Choice("last", "best"),
    )
    log_period_env_steps: int = setting(
        1_000,
        RECORDS,
        "loss, Q and speed recorded this often",
        Range(low=1),
        unit="environment steps",
    )
