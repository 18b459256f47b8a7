"""Probes: tiny environments, each made so that one well-known mistake learns one other Q-value.

In every state one action is legal, so a Q-value follows by hand, whatever the improvements that are
switched on: there is no maximum to choose, and a log-policy is 0. gamma is 1/2 unless a probe says
otherwise. `dqn_tf.doctor` runs them.
"""

import dataclasses
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import FrameStackObservation

GAMMA = 0.5
STACK = 2  # frames


class Row(NamedTuple):
    """What the one legal action of a state does, and what is seen of the state."""

    after: int
    reward: float
    terminated: bool = False
    seen: int = 0
    legal: int = 0


class Script(gym.Env):
    """A few states by a table; episodes begin in one of `starts`, drawn.

    Observes `seen`, as Discrete(n) or, with `frames`, as a one-hot Box [n] float32. Where there is
    more than one action, `info` has the mask of the legal one; ValueError on any other.
    """

    def __init__(
        self, table: tuple[Row, ...], starts: tuple[int, ...] = (0,), frames: bool = False
    ) -> None:
        self._table = table
        self._starts = starts
        self._frames = frames
        self._state = starts[0]
        self._seen_count = max(row.seen for row in table) + 1
        self._actions = max(row.legal for row in table) + 1
        self.observation_space: gym.Space[Any] = gym.spaces.Discrete(self._seen_count)
        if frames:
            self.observation_space = gym.spaces.Box(0.0, 1.0, (self._seen_count,), np.float32)
        self.action_space = gym.spaces.Discrete(self._actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw a start."""
        super().reset(seed=seed)
        self._state = self._starts[int(self.np_random.integers(len(self._starts)))]
        return self._observation(), self._info()

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Do what the table says."""
        row = self._table[self._state]
        if action != row.legal:
            raise ValueError(f"action {action} is illegal here, as the mask said")
        self._state = row.after
        return self._observation(), row.reward, row.terminated, False, self._info()

    def _observation(self) -> Any:
        seen = self._table[self._state].seen
        if not self._frames:
            return seen
        return np.eye(self._seen_count, dtype=np.float32)[seen]

    def _info(self) -> dict[str, Any]:
        if self._actions == 1:
            return {}
        return {"action_mask": np.arange(self._actions) == self._table[self._state].legal}


LOOP = (Row(0, 1.0),)
END = (Row(0, 1.0, terminated=True),)
APPROACH = (Row(1, 0.0), Row(1, 1.0, seen=1))
TENTH = (*(Row(number + 1, 0.0) for number in range(9)), Row(0, 4.0, terminated=True))
MASKS = (Row(0, 1.0), Row(1, 4.0, terminated=True, legal=1))
MEMORY = (
    Row(1, 0.0),
    Row(2, 0.0, seen=1),
    Row(0, 0.0, terminated=True),
    Row(4, 0.0),
    Row(5, 0.0, seen=2),
    Row(3, 2.0, terminated=True),
)


def memory() -> gym.Env:
    """Make an environment that shows blank, then left or right, then blank, and ends.

    The end pays 2 where "right" was shown. Observes the last two frames, Box [2, 3].
    """
    return FrameStackObservation(Script(MEMORY, starts=(0, 3), frames=True), STACK)


class Registration(NamedTuple):
    """How an environment is registered: its entry point here, arguments and time limit."""

    entry: str
    arguments: dict[str, Any]
    max_episode_steps: int | None = None


ENVIRONMENTS = {
    "dqn_tf/ProbeLoop-v0": Registration("Script", {"table": LOOP}),
    "dqn_tf/ProbeCut-v0": Registration("Script", {"table": LOOP}, 1),
    "dqn_tf/ProbeReset-v0": Registration("Script", {"table": APPROACH}, 2),
    "dqn_tf/ProbeEnd-v0": Registration("Script", {"table": END}),
    "dqn_tf/ProbeMask-v0": Registration("Script", {"table": MASKS, "starts": (0, 1)}, 4),
    "dqn_tf/ProbeTenth-v0": Registration("Script", {"table": TENTH}),
    "dqn_tf/ProbeFrames-v0": Registration("memory", {}),
}


def register() -> None:
    """Make the probes known to `gymnasium.make`."""
    for env_id, registration in ENVIRONMENTS.items():
        gym.register(
            env_id,
            f"{__name__}:{registration.entry}",
            kwargs=registration.arguments,
            max_episode_steps=registration.max_episode_steps,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probe:
    """One mistake, and the two Q-values that tell whether it was made.

    Attributes:
      name: one or two words.
      env: id of the environment.
      tests: the right treatment.
      mistake: the wrong one.
      why: how both Q-values follow.
      overrides: DQNConfig values that the probe needs.
      observation, action: where the Q-value is read.
      expected: Q of the right treatment.
      wrong: Q of the mistake.
      tolerance: how far from `expected` is right; `wrong` is at least three times as far.
    """

    name: str
    env: str
    tests: str
    mistake: str
    why: str
    expected: float
    wrong: float
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict)
    observation: Any = 0
    action: int = 0
    tolerance: float = 0.05


TRUNCATION = Probe(
    name="truncation",
    env="dqn_tf/ProbeCut-v0",
    tests="a time limit is no end: what lies beyond it counts",
    mistake="truncation taken for death",
    why="a reward of 1 for ever is 1 / (1 - γ) = 2, though every episode is cut after one step; as"
    " deaths it is 1",
    expected=2.0,
    wrong=1.0,
)
TERMINATION = Probe(
    name="termination",
    env="dqn_tf/ProbeEnd-v0",
    tests="nothing comes after an end",
    mistake="a terminal state bootstraps",
    why="one reward of 1, then the end: Q = 1; with a bootstrap Q = 1 + γ Q = 2",
    expected=1.0,
    wrong=2.0,
)
RESET = Probe(
    name="reset",
    env="dqn_tf/ProbeReset-v0",
    tests="a cut episode's last observation is its own",
    mistake="the next episode's first observation is stored as the last one",
    why="state 1 pays 1 and stays: Q(1) = 2; if its cut leads to the start 0, Q(1) = 1 + γ Q(0),"
    " Q(0) = γ Q(1), so Q(1) = 4/3",
    observation=1,
    expected=2.0,
    wrong=4 / 3,
)
MASK = Probe(
    name="mask",
    env="dqn_tf/ProbeMask-v0",
    tests="the bootstrap is of a legal action",
    mistake="illegal actions enter the maximum of the target",
    why="action 0 pays 1 for ever where it is legal: Q = 2; action 1, legal elsewhere, is worth 4,"
    " and unmasked Q = 1 + γ 4 = 3",
    overrides={"n_step": 1},
    expected=2.0,
    wrong=3.0,
)
PRIORITIES = Probe(
    name="priorities",
    env="dqn_tf/ProbeTenth-v0",
    tests="importance weights undo what prioritised sampling prefers",
    mistake="importance weights are lost",
    why="with γ = 0, one reward in ten is 4, the others 0: the mean is 0.4; drawn in proportion to"
    " the error it is 4 / (1 + √9) = 1",
    overrides={
        "prioritized": True,
        "priority_alpha": 1.0,
        "priority_beta_start": 1.0,
        "gamma": 0.0,
        "loss": "mse",
        "distribution": "none",
    },
    expected=0.4,
    wrong=1.0,
)
TARGET = Probe(
    name="target",
    env="dqn_tf/ProbeLoop-v0",
    tests="the bootstrap stands still until the target is copied",
    mistake="the online network is its own target",
    why="from Q = 0 and with one copy in the run, Q is 1 before it and 1 + γ = 1.5 after it; its"
    " own target goes on to 2",
    overrides={"n_step": 1, "target_update_period_env_steps": 700},
    expected=1.5,
    wrong=2.0,
)
FRAMES = Probe(
    name="frames",
    env="dqn_tf/ProbeFrames-v0",
    tests="a stack of frames ends with the newest",
    mistake="the stack is one frame late",
    why="after blank and right, one step before the 2 is paid, Q = γ 2 = 1; a frame late, that"
    " stack is seen as it is paid: Q = 2",
    observation=((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    expected=1.0,
    wrong=2.0,
)


def border(window: int) -> Probe:
    """Return the probe of the border between two episodes, for windows of so many steps."""
    return Probe(
        name="border",
        env="dqn_tf/ProbeEnd-v0",
        tests=f"a window of {window} steps ends with its episode",
        mistake="n-step windows run into the next episode",
        why=f"every episode is one step that pays 1: Q = 1; over the border {window} of them are"
        f" summed, 2 (1 - γ^{window})",
        overrides={"n_step": window},
        expected=1.0,
        wrong=2.0 * (1.0 - GAMMA**window),
    )


def probes(n_step: int) -> tuple[Probe, ...]:
    """Return all probes, for a learner of `n_step` steps (at least 2 where windows are tested)."""
    return (
        TRUNCATION,
        TERMINATION,
        RESET,
        border(max(2, n_step)),
        MASK,
        PRIORITIES,
        TARGET,
        FRAMES,
    )
