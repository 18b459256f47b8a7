"""Probes: tiny environments, each made so that one well-known mistake learns one other Q-value,
known beforehand.

In every state one action is legal, so a Q-value follows by hand, whatever the improvements that are
switched on: there is no maximum to choose, and a log-policy is 0. gamma is 1/2 unless a probe says
otherwise. `learn` of `dqn_tf.doctor` runs them.
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
        self._table, self._starts, self._frames = table, starts, frames
        self._seen, self._actions = (
            max(column) + 1
            for column in zip(*((row.seen, row.legal) for row in table), strict=True)
        )
        self.observation_space = (
            gym.spaces.Box(0.0, 1.0, (self._seen,), np.float32)
            if frames
            else gym.spaces.Discrete(self._seen)
        )
        self.action_space = gym.spaces.Discrete(self._actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict]:
        """A start."""
        super().reset(seed=seed)
        self._state = self._starts[int(self.np_random.integers(len(self._starts)))]
        return self._observation(), self._info()

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict]:
        """As the table says."""
        row = self._table[self._state]
        if action != row.legal:
            raise ValueError(f"action {action} is illegal here, as the mask said")
        self._state = row.after
        return self._observation(), row.reward, row.terminated, False, self._info()

    def _observation(self) -> Any:
        seen = self._table[self._state].seen
        return np.eye(self._seen, dtype=np.float32)[seen] if self._frames else seen

    def _info(self) -> dict:
        return (
            {"action_mask": np.arange(self._actions) == self._table[self._state].legal}
            if self._actions > 1
            else {}
        )


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
    """Blank, left or right, blank, end:

    paid 2 at the end where "right" was shown. Observes the last two frames, Box [2, 3].
    """
    return FrameStackObservation(Script(MEMORY, starts=(0, 3), frames=True), STACK)


ENVIRONMENTS = {  # id: entry point, its arguments, time limit
    "dqn_tf/ProbeLoop-v0": ("Script", {"table": LOOP}, None),
    "dqn_tf/ProbeCut-v0": ("Script", {"table": LOOP}, 1),
    "dqn_tf/ProbeReset-v0": ("Script", {"table": APPROACH}, 2),
    "dqn_tf/ProbeEnd-v0": ("Script", {"table": END}, None),
    "dqn_tf/ProbeMask-v0": ("Script", {"table": MASKS, "starts": (0, 1)}, 4),
    "dqn_tf/ProbeTenth-v0": ("Script", {"table": TENTH}, None),
    "dqn_tf/ProbeFrames-v0": ("memory", {}, None),
}


def register() -> None:
    """Makes `gymnasium.make` know the probes."""
    for env_id, (entry, arguments, limit) in ENVIRONMENTS.items():
        gym.register(env_id, f"{__name__}:{entry}", kwargs=arguments, max_episode_steps=limit)


@dataclasses.dataclass(frozen=True)
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
    overrides: dict[str, Any]
    observation: Any
    action: int
    expected: float
    wrong: float
    tolerance: float = 0.05


def probes(n_step: int) -> tuple[Probe, ...]:
    """All probes, for a learner of `n_step` steps (at least 2 where windows are tested)."""
    window = max(2, n_step)
    return (
        Probe(
            "truncation",
            "dqn_tf/ProbeCut-v0",
            "a time limit is no end: what lies beyond it counts",
            "truncation taken for death",
            "a reward of 1 for ever is 1 / (1 - γ) = 2, though every episode is cut after one step;"
            " as deaths it is 1",
            {},
            0,
            0,
            expected=2.0,
            wrong=1.0,
        ),
        Probe(
            "termination",
            "dqn_tf/ProbeEnd-v0",
            "nothing comes after an end",
            "a terminal state bootstraps",
            "one reward of 1, then the end: Q = 1; with a bootstrap Q = 1 + γ Q = 2",
            {},
            0,
            0,
            expected=1.0,
            wrong=2.0,
        ),
        Probe(
            "reset",
            "dqn_tf/ProbeReset-v0",
            "a cut episode's last observation is its own",
            "the next episode's first observation is stored as the last one",
            "state 1 pays 1 and stays: Q(1) = 2; if its cut leads to the start 0, Q(1) = 1 + γ"
            " Q(0), Q(0) = γ Q(1), so Q(1) = 4/3",
            {},
            1,
            0,
            expected=2.0,
            wrong=4 / 3,
        ),
        Probe(
            "border",
            "dqn_tf/ProbeEnd-v0",
            f"a window of {window} steps ends with its episode",
            "n-step windows run into the next episode",
            f"every episode is one step that pays 1: Q = 1; over the border {window} of them are"
            f" summed, 2 (1 - γ^{window})",
            {"n_step": window},
            0,
            0,
            expected=1.0,
            wrong=2.0 * (1.0 - GAMMA**window),
        ),
        Probe(
            "mask",
            "dqn_tf/ProbeMask-v0",
            "the bootstrap is of a legal action",
            "illegal actions enter the maximum of the target",
            "action 0 pays 1 for ever where it is legal: Q = 2; action 1, legal elsewhere, is worth"
            " 4, and unmasked Q = 1 + γ 4 = 3",
            {"n_step": 1},
            0,
            0,
            expected=2.0,
            wrong=3.0,
        ),
        Probe(
            "priorities",
            "dqn_tf/ProbeTenth-v0",
            "importance weights undo what prioritised sampling prefers",
            "importance weights are lost",
            "with γ = 0, one reward in ten is 4, the others 0: the mean is 0.4; drawn in proportion"
            " to the error it is 4 / (1 + √9) = 1",
            {
                "prioritized": True,
                "priority_alpha": 1.0,
                "priority_beta_start": 1.0,
                "gamma": 0.0,
                "loss": "mse",
                "distribution": "none",
            },
            0,
            0,
            expected=0.4,
            wrong=1.0,
        ),
        Probe(
            "target",
            "dqn_tf/ProbeLoop-v0",
            "the bootstrap stands still until the target is copied",
            "the online network is its own target",
            "from Q = 0 and with one copy in the run, Q is 1 before it and 1 + γ = 1.5 after it;"
            " its own target goes on to 2",
            {"n_step": 1, "target_update_period_env_steps": 700},
            0,
            0,
            expected=1.5,
            wrong=2.0,
        ),
        Probe(
            "frames",
            "dqn_tf/ProbeFrames-v0",
            "a stack of frames ends with the newest",
            "the stack is one frame late",
            "after blank and right, one step before the 2 is paid, Q = γ 2 = 1; a frame late, that"
            " stack is seen as it is paid: Q = 2",
            {},
            ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
            0,
            expected=1.0,
            wrong=2.0,
        ),
    )
