"""The one place where defaults live: a frozen dataclass from which the command line is generated.

Each field states its default, unit, source and valid range. `presets.py` holds other values for
named environments; nothing else in the project has a default for any of these.
"""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

from dqn_tf.support.errors import UserError

NATURE = "Mnih et al. 2015"
Check = tuple[Callable[[Any], bool], str]


def _at_least(bound: float) -> Check:
    return (lambda value: math.isfinite(value) and value >= bound), f"at least {bound}"


def _above(bound: float) -> Check:
    return (lambda value: math.isfinite(value) and value > bound), f"a finite number above {bound}"


def _within(low: float, high: float) -> Check:
    return (lambda value: low <= value <= high), f"from {low} to {high}"


def _finite() -> Check:
    return math.isfinite, "a finite number"


def _one_of(*choices: str) -> Check:
    return (lambda value: value in choices), "one of " + ", ".join(choices)


def _one_of_or_named(example: str, *choices: str) -> Check:
    sentence = f"{', '.join(choices)} or my_module:{example}"
    return (lambda value: value in choices or is_import_name(value)), sentence


def _setting(
    default: Any,
    group: str,
    text: str,
    check: Check | None = None,
    unit: str = "",
    source: str = "",
) -> Any:
    metadata = {"group": group, "help": text, "check": check, "unit": unit, "source": source}
    return dataclasses.field(default=default, metadata=metadata)


# What a checkpoint's networks, optimizer and running episodes depend on: a resumed run cannot
# change these.
FIXED_ON_RESUME = (
    "env",
    "seed",
    "engine",
    "collector",
    "num_envs",
    "network",
    "hidden_units",
    "optimizer",
    "dueling",
    "noisy",
    "distribution",
    "atoms",
    "v_min",
    "v_max",
    "n_step",
    "prioritized",
    "frame_skip",
    "noop_max",
    "sticky_actions",
    "full_action_space",
    "max_frames",
)

# settings that earlier versions had, with the value that means what is done now
FORMER_SETTINGS = {"precision": "float32"}

RUN, NETWORK, LEARNING, IMPROVEMENTS = (
    "Run",
    "Network",
    "Learning",
    "Improvements of DQN, each alone or together",
)
DATA, EXPLORATION, RECORDS = "Experience", "Exploration", "Evaluation and records"
ATARI = "Atari games (ALE/...): the protocol, which is part of what a score means"
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclasses.dataclass(frozen=True)
class DQNConfig:
    """All that decides how a run learns and what it records.

    Raises UserError on a value out of range.
    """

    env: str = _setting(
        "CartPole-v1",
        RUN,
        "Gymnasium id of the environment; my_module:MyEnv-v0 imports my_module first",
        (lambda value: bool(value.strip()), "a Gymnasium id such as CartPole-v1"),
    )
    seed: int | None = _setting(
        None,
        RUN,
        "seed of every random number of the run; drawn and logged if not given",
        _within(0, 2**32 - 1),
    )
    total_steps: int = _setting(
        100_000, RUN, "length of the run", _at_least(1), "environment steps"
    )
    num_envs: int = _setting(1, RUN, "environments stepped together", _at_least(1))
    engine: str = _setting(
        "host",
        RUN,
        "host steps Gymnasium's environments; graph is one compiled program with environments of"
        " its own, for CartPole-v1, Acrobot-v1, MountainCar-v0 and dqn_tf/GridWorld-v0",
        _one_of("host", "graph"),
    )

    network: str = _setting(
        "auto",
        NETWORK,
        "torso of the Q-network; auto is nature_cnn for images from 36x36, minatar_cnn for smaller "
        "ones of bool, else mlp; nips_cnn is for images too, smaller and faster;"
        " my_module:MyTorso is a dqn_tf.agent.Torso of your own",
        _one_of_or_named("MyTorso", "auto", "mlp", "nature_cnn", "nips_cnn", "minatar_cnn"),
        source="Mnih et al. 2015, 2013; Young and Tian 2019",
    )
    hidden_units: tuple[int, ...] = _setting(
        (256, 256),
        NETWORK,
        "widths of the mlp's hidden layers",
        (lambda value: all(width >= 1 for width in value), "positive widths such as 256,256"),
    )

    gamma: float = _setting(0.99, LEARNING, "discount factor", _within(0.0, 1.0), source=NATURE)
    optimizer: str = _setting(
        "adam", LEARNING, "optimizer of the online network", _one_of("adam", "rmsprop")
    )
    learning_rate: float = _setting(
        5e-4, LEARNING, "step size of the optimizer at the first update", _above(0)
    )
    learning_rate_end: float | None = _setting(
        None,
        LEARNING,
        "step size at the last update, reached linearly; constant if not given",
        _at_least(0),
    )
    optimizer_epsilon: float = _setting(
        1e-7, LEARNING, "the optimizer's epsilon", _above(0), source="Keras"
    )
    max_gradient_norm: float = _setting(
        10.0,
        LEARNING,
        "gradients are scaled down to this global norm; 0 leaves them as they are",
        _at_least(0),
        source="Wang et al. 2016",
    )
    loss: str = _setting(
        "huber", LEARNING, "loss on the TD error", _one_of("huber", "mse"), source=NATURE
    )
    huber_delta: float = _setting(
        1.0, LEARNING, "TD error at which the Huber loss turns linear", _above(0), "return"
    )
    batch_size: int = _setting(128, LEARNING, "transitions per update", _at_least(1), "transitions")
    target_update_period_env_steps: int = _setting(
        500, LEARNING, "target network updated this often", _at_least(1), "environment steps"
    )
    tau: float = _setting(
        1.0,
        LEARNING,
        "share of the online network in each target update; 1 is a hard copy",
        _within(0.0, 1.0),
        source="Lillicrap et al. 2016",
    )

    double: bool = _setting(
        False,
        IMPROVEMENTS,
        "the online network chooses the next action, the target network values it",
        source="van Hasselt et al. 2016",
    )
    dueling: bool = _setting(
        False,
        IMPROVEMENTS,
        "separate streams for the state's value and the actions' advantages",
        source="Wang et al. 2016",
    )
    n_step: int = _setting(
        1,
        IMPROVEMENTS,
        "rewards summed before the bootstrap",
        _at_least(1),
        "environment steps",
        "Sutton 1988",
    )
    prioritized: bool = _setting(
        False,
        IMPROVEMENTS,
        "replay in proportion to the TD error, with importance weights under every loss",
        source="Schaul et al. 2016",
    )
    priority_alpha: float = _setting(
        0.6, IMPROVEMENTS, "exponent of the priorities; 0 is uniform", _within(0.0, 1.0)
    )
    priority_beta_start: float = _setting(
        0.4,
        IMPROVEMENTS,
        "exponent of the importance weights at the first step; 1 at the last",
        _within(0.0, 1.0),
    )
    noisy: bool = _setting(
        False,
        IMPROVEMENTS,
        "factorised noise on the dense layers explores instead of epsilon",
        source="Fortunato et al. 2018",
    )
    noisy_sigma: float = _setting(0.5, IMPROVEMENTS, "the noise's size at the start", _above(0))
    distribution: str = _setting(
        "none",
        IMPROVEMENTS,
        "learn the distribution of returns: on fixed atoms (c51) or as quantiles",
        _one_of("none", "c51", "quantile"),
        source="Bellemare et al. 2017; Dabney et al. 2018",
    )
    atoms: int = _setting(51, IMPROVEMENTS, "numbers that describe a distribution", _at_least(2))
    v_min: float = _setting(
        -10.0, IMPROVEMENTS, "smallest return that c51 can tell", _finite(), "return"
    )
    v_max: float = _setting(
        10.0, IMPROVEMENTS, "largest return that c51 can tell", _finite(), "return"
    )
    munchausen: bool = _setting(
        False,
        IMPROVEMENTS,
        "adds the scaled log-policy to the reward; the bootstrap is soft",
        source="Vieillard et al. 2020",
    )
    munchausen_alpha: float = _setting(
        0.9, IMPROVEMENTS, "share of the log-policy that is added", _within(0.0, 1.0)
    )
    munchausen_temperature: float = _setting(
        0.03, IMPROVEMENTS, "temperature of the policy", _above(0), "return"
    )
    munchausen_clip: float = _setting(
        -1.0,
        IMPROVEMENTS,
        "the scaled log-policy is not taken below this",
        ((lambda value: math.isfinite(value) and value <= 0), "a finite number, at most 0"),
        "return",
    )

    replay_capacity: int = _setting(
        100_000, DATA, "newest transitions kept", _at_least(1), "transitions"
    )
    replay_memory: str | None = _setting(
        None,
        DATA,
        "instead of --replay_capacity: as many transitions as fit into so much memory, such as"
        " 2GiB",
        (lambda value: memory_bytes(value) > 0, "a size such as 2GiB, 500MiB or 800KiB"),
    )
    warmup_env_steps: int = _setting(
        1_000, DATA, "steps before the first update", _at_least(0), "environment steps"
    )
    env_steps_per_update: float = _setting(
        2.0, DATA, "environment steps per update", _above(0), "environment steps"
    )
    collector: str = _setting(
        "local",
        DATA,
        "takes the host engine's environment steps: local steps Gymnasium's environments in this"
        " process; my_module:MyCollector is one of your own",
        _one_of_or_named("MyCollector", "local"),
    )
    updates_per_block: int = _setting(
        16,
        DATA,
        "updates of a block. The host engine does them in one compiled call after the block's"
        " steps, and 1 is the textbook loop; the graph engine does each after its own steps",
        _at_least(1),
        "updates",
    )

    epsilon_start: float = _setting(
        1.0,
        EXPLORATION,
        "probability of a random action at the first step",
        _within(0.0, 1.0),
        source=NATURE,
    )
    epsilon_end: float = _setting(
        0.05, EXPLORATION, "probability of a random action once decayed", _within(0.0, 1.0)
    )
    epsilon_decay_env_steps: int = _setting(
        10_000, EXPLORATION, "steps over which epsilon falls", _at_least(0), "environment steps"
    )
    epsilon_schedule: str = _setting(
        "linear",
        EXPLORATION,
        "how epsilon falls: linear, exponential, or points step:epsilon,step:epsilon,... with"
        " straight lines between",
        (
            lambda value: value in ("linear", "exponential") or bool(epsilon_points(value)),
            "linear, exponential, or points with rising steps such as 0:1,10000:0.1,50000:0.01",
        ),
    )

    evaluation_period_env_steps: int = _setting(
        10_000,
        RECORDS,
        "greedy evaluation this often; 0 never during the run",
        _at_least(0),
        "environment steps",
    )
    evaluation_episodes: int = _setting(
        20, RECORDS, "episodes of each evaluation during the run", _at_least(1), "episodes"
    )
    test_episodes: int = _setting(
        100,
        RECORDS,
        "episodes of the test at the end, on seeds used nowhere else",
        _at_least(1),
        "episodes",
    )
    checkpoint_period_env_steps: int = _setting(
        10_000,
        RECORDS,
        "checkpoint this often; 0 only at the end or on a signal",
        _at_least(0),
        "environment steps",
    )
    export_weights: str = _setting(
        "last",
        RECORDS,
        "what the SavedModel holds: the last weights, or the best by evaluation during the run",
        _one_of("last", "best"),
    )
    log_period_env_steps: int = _setting(
        1_000, RECORDS, "loss, Q and speed recorded this often", _at_least(1), "environment steps"
    )

    frame_skip: int = _setting(
        4, ATARI, "frames that each action is held for", _at_least(1), "frames", NATURE
    )
    noop_max: int = _setting(
        30,
        ATARI,
        "an episode begins with up to so many frames without action",
        _at_least(0),
        "frames",
        NATURE,
    )
    sticky_actions: float = _setting(
        0.25,
        ATARI,
        "probability that a frame repeats the action before; 0 is the classic protocol",
        _within(0.0, 1.0),
        source="Machado et al. 2018",
    )
    full_action_space: bool = _setting(
        False, ATARI, "all 18 actions of the console instead of those that the game uses"
    )
    max_frames: int = _setting(
        108_000,
        ATARI,
        "an episode is cut after so many frames, half an hour",
        _at_least(1),
        "frames",
        NATURE,
    )
    clip_rewards: bool = _setting(
        True, ATARI, "learning sees rewards from -1 to 1; scores are the game's own", source=NATURE
    )
    episodic_life: bool = _setting(
        False,
        ATARI,
        "learning sees the loss of a life as a termination, and the game goes on",
        source=NATURE,
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, check = getattr(self, field.name), field.metadata["check"]
            if value is not None and check is not None and not check[0](value):
                raise UserError(f"--{field.name}={show(value)}: must be {check[1]}.")
        for wrong, sentence in (
            (
                self.batch_size > self.replay_capacity,
                (
                    f"--batch_size={self.batch_size} is more than"
                    f" --replay_capacity={self.replay_capacity} can hold."
                ),
            ),
            (
                self.n_step > self.replay_capacity,
                (
                    f"--n_step={self.n_step} is more than --replay_capacity={self.replay_capacity}"
                    " can hold."
                ),
            ),
            (
                self.warmup_env_steps < self.batch_size + (self.n_step - 1) * self.num_envs,
                f"--warmup_env_steps={self.warmup_env_steps} must be at least"
                f" --batch_size={self.batch_size}"
                + (
                    f" and the {self.n_step - 1} steps of each environment that"
                    f" --n_step={self.n_step} waits for"
                    if self.n_step > 1
                    else ""
                )
                + ": the first update needs a full batch.",
            ),
            (
                self.warmup_env_steps >= self.total_steps,
                (
                    f"--warmup_env_steps={self.warmup_env_steps} must be below"
                    f" --total_steps={self.total_steps}, or nothing is learned."
                ),
            ),
            (
                self.distribution == "c51" and self.v_min >= self.v_max,
                (
                    f"--v_min={self.v_min} must be below --v_max={self.v_max}: between them lie the"
                    " atoms of --distribution=c51."
                ),
            ),
            (
                self.munchausen and self.distribution != "none",
                (
                    f"--munchausen and --distribution={self.distribution} cannot be combined: its"
                    " target is a number, not a distribution. Leave one out."
                ),
            ),
            (
                self.munchausen and self.double,
                (
                    "--munchausen and --double cannot be combined: its soft bootstrap has no greedy"
                    " next action to choose. Leave one out (--nodouble, where the preset has it)."
                ),
            ),
            (
                self.epsilon_schedule == "exponential" and not self.epsilon_end > 0,
                (
                    "--epsilon_schedule=exponential never reaches --epsilon_end=0: give an"
                    " --epsilon_end above 0."
                ),
            ),
            (
                self.engine == "graph" and (self.prioritized or self.noisy),
                (
                    f"--engine=graph has no {'--prioritized' if self.prioritized else '--noisy'}:"
                    " use --engine=host."
                ),
            ),
            (
                self.engine == "graph" and self.collector != "local",
                (
                    f"--collector={self.collector} collects for --engine=host: --engine=graph"
                    " steps environments of its own."
                ),
            ),
            (
                self.num_envs > self.replay_capacity,
                (
                    f"--num_envs={self.num_envs} is more than"
                    f" --replay_capacity={self.replay_capacity} can hold."
                ),
            ),
            (
                bool(foreign := [] if is_atari(self.env) else self._changed(ATARI)),
                (
                    f"--{next(iter(foreign), '')} is of the protocol of Atari games (ALE/...), and"
                    f" --env={self.env} is none. Leave it out."
                ),
            ),
            (
                self.export_weights == "best" and not self.evaluation_period_env_steps,
                (
                    "--export_weights=best needs evaluations to choose by: give"
                    " --evaluation_period_env_steps above 0."
                ),
            ),
        ):
            if wrong:
                raise UserError(sentence)

    def _changed(self, group: str) -> list[str]:
        return [
            field.name
            for field in dataclasses.fields(self)
            if field.metadata["group"] == group and getattr(self, field.name) != field.default
        ]

    @property
    def protocol(self) -> str:
        """What a score can only be compared under, in words; empty where the environment's id says
        it all.
        """
        if not is_atari(self.env):
            return ""
        sticky = (
            f"sticky actions {self.sticky_actions:g}"
            if self.sticky_actions
            else "no sticky actions"
        )
        return (
            f"frame skip {self.frame_skip}, up to {self.noop_max} no-ops, {sticky},"
            f" {'all 18' if self.full_action_space else 'minimal'} actions, at most"
            f" {self.max_frames:,} frames"
        )

    @property
    def total_updates(self) -> int:
        """Updates of the whole run."""
        return int((self.total_steps - self.warmup_env_steps) // self.env_steps_per_update)

    @property
    def target_update_period_updates(self) -> int:
        """The target's period on the learner's own clock."""
        return max(1, round(self.target_update_period_env_steps / self.env_steps_per_update))

    @property
    def block_steps(self) -> int:
        """Steps of all environments together that make a block."""
        return max(1, math.ceil(self.updates_per_block * self.env_steps_per_update / self.num_envs))

    @property
    def most_updates(self) -> int:
        """Updates that a block has at most."""
        return math.ceil(self.block_steps * self.num_envs / self.env_steps_per_update)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy; `from_dict` reads it back."""
        return dataclasses.asdict(self) | {"hidden_units": list(self.hidden_units)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DQNConfig:
        """Raises UserError on a name that this version does not know."""
        former = FORMER_SETTINGS.items()
        values = {name: value for name, value in values.items() if (name, value) not in former}
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise UserError(
                f"The configuration names {', '.join(unknown)}, which this version of dqn_tf does"
                " not know."
            )
        return cls(**values | {"hidden_units": tuple(values.get("hidden_units", cls.hidden_units))})


def is_import_name(value: str) -> bool:
    """Whether this is `my_module:Name`."""
    return re.fullmatch(r"[^\W\d][\w.]*:[^\W\d]\w*", value) is not None


def is_atari(env: str) -> bool:
    """Whether this id is one of ale-py's games."""
    return env.startswith("ALE/")


def memory_bytes(size: str) -> int:
    """Bytes of a size such as 2GiB; 0 if it is none."""
    number, unit = size[:-3], size[-3:]
    try:
        return int(float(number) * UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        return 0


def show(value: Any) -> str:
    """A value as it is written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def epsilon_points(schedule: str) -> list[tuple[int, float]]:
    """The points of `step:epsilon,step:epsilon,...`; empty if it is none, if steps do not rise or
    if an epsilon is not in [0, 1].
    """
    try:
        points = [
            (int(step), float(epsilon))
            for step, epsilon in (point.split(":") for point in schedule.split(","))
        ]
    except ValueError:
        return []
    rising = all(
        earlier < later for (earlier, _), (later, _) in zip(points, points[1:], strict=False)
    )
    return points if rising and all(0.0 <= epsilon <= 1.0 for _, epsilon in points) else []
