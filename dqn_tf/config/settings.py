"""The one place where defaults live: each setting with its default, unit, source and range.

The command line and its help page are made from these fields. `presets.py` holds other values for
named environments; nothing else in the project has a default for any of them.
"""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses
from typing import Any

from dqn_tf.config.notation import (
    epsilon_points,
    import_names,
    is_json_object,
    memory_bytes,
    weighted_names,
)
from dqn_tf.config.ranges import Allowed, Choice, Format, Range

NATURE = "Mnih et al. 2015"

# the groups of the help page
RUN = "Run"
NETWORK = "Network"
LEARNING = "Learning"
IMPROVEMENTS = "Improvements of DQN, each alone or together"
DATA = "Experience"
EXPLORATION = "Exploration"
RECORDS = "Evaluation and records"
ATARI = "Atari games (ALE/...): the protocol, which is part of what a score means"


def setting(
    default: Any,
    group: str,
    text: str,
    allowed: Allowed | None = None,
    *,
    unit: str = "",
    source: str = "",
    fixed_on_resume: bool = False,
) -> Any:
    """Return a dataclass field with all that is told of a setting as its metadata.

    `fixed_on_resume` marks what a checkpoint's networks, optimizer and running episodes depend on.
    A resumed run cannot change it.
    """
    metadata = {
        "group": group,
        "help": text,
        "allowed": allowed,
        "unit": unit,
        "source": source,
        "fixed_on_resume": fixed_on_resume,
    }
    if isinstance(default, dict):
        # no part of the hash: a dict has none
        return dataclasses.field(
            default_factory=lambda: dict(default), hash=False, metadata=metadata
        )
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Every setting, unchecked; `DQNConfig` is the one to use."""

    env: str = setting(
        "CartPole-v1",
        RUN,
        "Gymnasium id of the environment; my_module:MyEnv-v0 imports my_module first",
        Format("a Gymnasium id such as CartPole-v1", lambda value: bool(value.strip())),
        fixed_on_resume=True,
    )
    env_kwargs: dict[str, Any] = setting(  # noqa: RUF009 (each has a dict of its own)
        {},
        RUN,
        "arguments of the environment for gymnasium.make, as a JSON object",
        Format(
            'a JSON object of arguments such as {"continuous": false}',
            is_json_object,
        ),
        fixed_on_resume=True,
    )
    env_wrappers: str = setting(
        "",
        RUN,
        "wrappers put around each environment, the first one innermost, such as"
        " gymnasium.wrappers:FlattenObservation; my_module:my_wrapper is one of your own",
        Format(
            "empty, or names such as gymnasium.wrappers:FlattenObservation,my_module:MyWrapper",
            lambda value: not value or bool(import_names(value)),
        ),
        fixed_on_resume=True,
    )
    seed: int | None = setting(
        None,
        RUN,
        "seed of every random number of the run; drawn and logged if not given",
        Range(0, 2**32 - 1),
        fixed_on_resume=True,
    )
    total_steps: int = setting(
        100_000, RUN, "length of the run", Range(low=1), unit="environment steps"
    )
    num_envs: int = setting(
        1, RUN, "environments stepped together", Range(low=1), fixed_on_resume=True
    )
    engine: str = setting(
        "host",
        RUN,
        "host steps Gymnasium's environments; graph is one compiled program with environments"
        " of its own, for CartPole-v1, Acrobot-v1, MountainCar-v0 and dqn_tf/GridWorld-v0",
        Choice("host", "graph"),
        fixed_on_resume=True,
    )

    network: str = setting(
        "auto",
        NETWORK,
        "torso of the Q-network; auto is nature_cnn for images from 36x36, minatar_cnn for"
        " smaller ones of bool, else mlp; nips_cnn is for images too, smaller and faster;"
        " my_module:MyTorso is a dqn_tf.agent.Torso of your own",
        Choice("auto", "mlp", "nature_cnn", "nips_cnn", "minatar_cnn", own="MyTorso"),
        source="Mnih et al. 2015, 2013; Young and Tian 2019",
        fixed_on_resume=True,
    )
    hidden_units: tuple[int, ...] = setting(
        (256, 256),
        NETWORK,
        "widths of the mlp's hidden layers",
        Format("positive widths such as 256,256", lambda value: all(width >= 1 for width in value)),
        fixed_on_resume=True,
    )

    gamma: float = setting(0.99, LEARNING, "discount factor", Range(0.0, 1.0), source=NATURE)
    optimizer: str = setting(
        "adam",
        LEARNING,
        "optimizer of the online network",
        Choice("adam", "rmsprop"),
        fixed_on_resume=True,
    )
    learning_rate: float = setting(
        5e-4, LEARNING, "step size of the optimizer at the first update", Range(above=0, log=True)
    )
    learning_rate_end: float | None = setting(
        None,
        LEARNING,
        "step size at the last update, reached linearly; constant if not given",
        Range(low=0),
    )
    optimizer_epsilon: float = setting(
        1e-7, LEARNING, "the optimizer's epsilon", Range(above=0, log=True), source="Keras"
    )
    max_gradient_norm: float = setting(
        10.0,
        LEARNING,
        "gradients are scaled down to this global norm; 0 leaves them as they are",
        Range(low=0),
        source="Wang et al. 2016",
    )
    loss: str = setting(
        "huber", LEARNING, "loss on the TD error", Choice("huber", "mse"), source=NATURE
    )
    huber_delta: float = setting(
        1.0,
        LEARNING,
        "TD error at which the Huber loss turns linear",
        Range(above=0),
        unit="return",
    )
    auxiliary_losses: str = setting(
        "",
        LEARNING,
        "further terms of the loss, each a function of your own with its weight:"
        " my_module:my_loss=0.1,my_module:other_loss",
        Format(
            "empty, or names and weights such as my_module:my_loss=0.1",
            lambda value: not value or bool(weighted_names(value)),
        ),
    )
    batch_size: int = setting(
        128, LEARNING, "transitions per update", Range(low=1, log=True), unit="transitions"
    )
    target_update_period_env_steps: int = setting(
        500,
        LEARNING,
        "target network updated this often",
        Range(low=1, log=True),
        unit="environment steps",
    )
    tau: float = setting(
        1.0,
        LEARNING,
        "share of the online network in each target update; 1 is a hard copy",
        Range(0.0, 1.0),
        source="Lillicrap et al. 2016",
    )

    double: bool = setting(
        False,
        IMPROVEMENTS,
        "the online network chooses the next action, the target network values it",
        source="van Hasselt et al. 2016",
    )
    dueling: bool = setting(
        False,
        IMPROVEMENTS,
        "separate streams for the state's value and the actions' advantages",
        source="Wang et al. 2016",
        fixed_on_resume=True,
    )
    n_step: int = setting(
        1,
        IMPROVEMENTS,
        "rewards summed before the bootstrap",
        Range(low=1),
        unit="environment steps",
        source="Sutton 1988",
        fixed_on_resume=True,
    )
    prioritized: bool = setting(
        False,
        IMPROVEMENTS,
        "replay in proportion to the TD error, with importance weights under every loss",
        source="Schaul et al. 2016",
        fixed_on_resume=True,
    )
    priority_alpha: float = setting(
        0.6, IMPROVEMENTS, "exponent of the priorities; 0 is uniform", Range(0.0, 1.0)
    )
    priority_beta_start: float = setting(
        0.4,
        IMPROVEMENTS,
        "exponent of the importance weights at the first step; 1 at the last",
        Range(0.0, 1.0),
    )
    noisy: bool = setting(
        False,
        IMPROVEMENTS,
        "factorised noise on the dense layers explores instead of epsilon",
        source="Fortunato et al. 2018",
        fixed_on_resume=True,
    )
    noisy_sigma: float = setting(0.5, IMPROVEMENTS, "the noise's size at the start", Range(above=0))
    distribution: str = setting(
        "none",
        IMPROVEMENTS,
        "learn the distribution of returns: on fixed atoms (c51) or as quantiles",
        Choice("none", "c51", "quantile"),
        source="Bellemare et al. 2017; Dabney et al. 2018",
        fixed_on_resume=True,
    )
    atoms: int = setting(
        51, IMPROVEMENTS, "numbers that describe a distribution", Range(low=2), fixed_on_resume=True
    )
    v_min: float = setting(
        -10.0,
        IMPROVEMENTS,
        "smallest return that c51 can tell",
        Range(),
        unit="return",
        fixed_on_resume=True,
    )
    v_max: float = setting(
        10.0,
        IMPROVEMENTS,
        "largest return that c51 can tell",
        Range(),
        unit="return",
        fixed_on_resume=True,
    )
    munchausen: bool = setting(
        False,
        IMPROVEMENTS,
        "adds the scaled log-policy to the reward; the bootstrap is soft",
        source="Vieillard et al. 2020",
    )
    munchausen_alpha: float = setting(
        0.9, IMPROVEMENTS, "share of the log-policy that is added", Range(0.0, 1.0)
    )
    munchausen_temperature: float = setting(
        0.03, IMPROVEMENTS, "temperature of the policy", Range(above=0), unit="return"
    )
    munchausen_clip: float = setting(
        -1.0,
        IMPROVEMENTS,
        "the scaled log-policy is not taken below this",
        Range(high=0),
        unit="return",
    )

    replay_capacity: int = setting(
        100_000, DATA, "newest transitions kept", Range(low=1, log=True), unit="transitions"
    )
    replay_memory: str | None = setting(
        None,
        DATA,
        "instead of --replay_capacity: as many transitions as fit into so much memory, such as"
        " 2GiB",
        Format("a size such as 2GiB, 500MiB or 800KiB", lambda value: memory_bytes(value) > 0),
    )
    warmup_env_steps: int = setting(
        1_000, DATA, "steps before the first update", Range(low=0), unit="environment steps"
    )
    env_steps_per_update: float = setting(
        2.0, DATA, "environment steps per update", Range(above=0), unit="environment steps"
    )
    collector: str = setting(
        "local",
        DATA,
        "takes the host engine's environment steps: local steps Gymnasium's environments in"
        " this process; my_module:MyCollector is one of your own",
        Choice("local", own="MyCollector"),
        fixed_on_resume=True,
    )
    updates_per_block: int = setting(
        16,
        DATA,
        "updates of a block. The host engine does them in one compiled call after the block's"
        " steps, and 1 is the textbook loop; the graph engine does each after its own steps",
        Range(low=1),
        unit="updates",
    )

    epsilon_start: float = setting(
        1.0,
        EXPLORATION,
        "probability of a random action at the first step",
        Range(0.0, 1.0),
        source=NATURE,
    )
    epsilon_end: float = setting(
        0.05, EXPLORATION, "probability of a random action once decayed", Range(0.0, 1.0)
    )
    epsilon_decay_env_steps: int = setting(
        10_000,
        EXPLORATION,
        "steps over which epsilon falls",
        Range(low=0),
        unit="environment steps",
    )
    epsilon_schedule: str = setting(
        "linear",
        EXPLORATION,
        "how epsilon falls: linear, exponential, or points step:epsilon,step:epsilon,... with"
        " straight lines between",
        Format(
            "linear, exponential, or points with rising steps such as 0:1,10000:0.1,50000:0.01",
            lambda value: value in ("linear", "exponential") or bool(epsilon_points(value)),
        ),
    )

    evaluation_period_env_steps: int = setting(
        10_000,
        RECORDS,
        "greedy evaluation this often; 0 never during the run",
        Range(low=0),
        unit="environment steps",
    )
    evaluation_episodes: int = setting(
        20, RECORDS, "episodes of each evaluation during the run", Range(low=1), unit="episodes"
    )
    test_episodes: int = setting(
        100,
        RECORDS,
        "episodes of the test at the end, on seeds used nowhere else",
        Range(low=1),
        unit="episodes",
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

    frame_skip: int = setting(
        4,
        ATARI,
        "frames that each action is held for",
        Range(low=1),
        unit="frames",
        source=NATURE,
        fixed_on_resume=True,
    )
    noop_max: int = setting(
        30,
        ATARI,
        "an episode begins with up to so many frames without action",
        Range(low=0),
        unit="frames",
        source=NATURE,
        fixed_on_resume=True,
    )
    sticky_actions: float = setting(
        0.25,
        ATARI,
        "probability that a frame repeats the action before; 0 is the classic protocol",
        Range(0.0, 1.0),
        source="Machado et al. 2018",
        fixed_on_resume=True,
    )
    full_action_space: bool = setting(
        False,
        ATARI,
        "all 18 actions of the console instead of those that the game uses",
        fixed_on_resume=True,
    )
    max_frames: int = setting(
        108_000,
        ATARI,
        "an episode is cut after so many frames, half an hour",
        Range(low=1),
        unit="frames",
        source=NATURE,
        fixed_on_resume=True,
    )
    clip_rewards: bool = setting(
        True, ATARI, "learning sees rewards from -1 to 1; scores are the game's own", source=NATURE
    )
    episodic_life: bool = setting(
        False,
        ATARI,
        "learning sees the loss of a life as a termination, and the game goes on",
        source=NATURE,
    )
