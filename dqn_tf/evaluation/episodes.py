"""Episodes of any policy, each with its own seed."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.evaluation import statistics
from dqn_tf.evaluation.actions import explored, require_actions
from dqn_tf.evaluation.kept_envs import MAX_PARALLEL, KeptEnvs
from dqn_tf.evaluation.watch import Watch
from dqn_tf.support.digits import return_texts
from dqn_tf.support.errors import UserError

# 30 minutes of an Atari game; an episode that is still running then is cut and counted.
MAX_EPISODE_STEPS = DQNConfig.evaluation_episode_steps
# Where the first ones are all cut, the others would be too.
GIVES_UP_AFTER = 3

# what evaluate.py plays if it is not told otherwise
DEFAULT_EPISODES = 100
DEFAULT_SEED = 0

# Maps observations [N, *shape] and masks of legal actions [N, A] bool, or None, to actions [N].
ActFunction = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


class Rules(NamedTuple):
    """How episodes are played.

    Attributes:
      max_episode_steps: an episode that is still running after so many is cut there and counted.
      epsilon: probability of a random legal action in place of the policy's, at every step.
      gives_up: whether the other episodes are left out where the first three do not end.
    """

    max_episode_steps: int = MAX_EPISODE_STEPS
    epsilon: float = 0.0
    gives_up: bool = False


GREEDY = Rules()


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Returns and lengths of episodes, in the order of their seeds.

    `capped` counts the episodes that were cut at the step limit. `epsilon` is the probability of a
    random action that they were played with.
    """

    seeds: list[int]
    returns: np.ndarray
    lengths: np.ndarray
    capped: int
    epsilon: float = 0.0

    @property
    def mean(self) -> float:
        """The mean return."""
        return float(self.returns.mean())

    @property
    def mean_ci95(self) -> list[float]:
        """The 95 % bootstrap interval of the mean return."""
        return statistics.bootstrap(self.returns, np.mean)

    @property
    def iqm(self) -> float:
        """The interquartile mean of the returns."""
        return float(statistics.iqm(self.returns))

    @property
    def iqm_ci95(self) -> list[float]:
        """The 95 % bootstrap interval of the interquartile mean."""
        return statistics.bootstrap(self.returns, statistics.iqm)

    def __str__(self) -> str:
        mean, low, high = return_texts(self.mean, *self.mean_ci95)
        return f"mean {mean} [{low}, {high}] of {len(self.seeds)} episodes"

    def summary(self) -> dict[str, Any]:
        """Return mean, standard deviation, IQM, both 95 % intervals and extremes, JSON-ready.

        `longest_episodes` are as long as the longest, `longest_mean` is their mean return: where
        that is the environment's time limit, what became of those that it ended.
        """
        is_longest = self.lengths == self.lengths.max()
        return {
            "episodes": len(self.seeds),
            "epsilon": self.epsilon,
            "mean": self.mean,
            "mean_ci95": self.mean_ci95,
            "std": float(self.returns.std(ddof=1)) if len(self.returns) > 1 else 0.0,
            "iqm": self.iqm,
            "iqm_ci95": self.iqm_ci95,
            "min": float(self.returns.min()),
            "max": float(self.returns.max()),
            "mean_length": float(self.lengths.mean()),
            "min_length": int(self.lengths.min()),
            "max_length": int(self.lengths.max()),
            "longest_episodes": int(is_longest.sum()),
            "longest_mean": float(self.returns[is_longest].mean()),
            "capped_episodes": self.capped,
        }


def evaluate(
    policy: ActFunction,
    make: Callable[[], gym.Env],
    seeds: Sequence[int],
    max_episode_steps: int = MAX_EPISODE_STEPS,
    check: Callable[[], None] = lambda: None,
    parallel: int = MAX_PARALLEL,
) -> Evaluation:
    """Make environments, play one episode per seed on them, and close them: see `play`.

    At most `parallel` are made, and no more than can be made.
    """
    require_episodes(seeds)
    with KeptEnvs(make, min(parallel, len(seeds))) as envs:
        return play(policy, envs.ready(len(seeds)), seeds, Rules(max_episode_steps), check)


def play(
    policy: ActFunction,
    envs: Sequence[CheckedEnv],
    seeds: Sequence[int],
    rules: Rules = GREEDY,
    check: Callable[[], None] = lambda: None,
    watch: Watch | None = None,
) -> Evaluation:
    """Play one episode per seed and return their scores.

    `policy` maps observations [N, *shape], in `Spaces.observation_dtype`, and the masks of legal
    actions [N, A] bool (None where the environment gives none) to the environment's own actions
    [N]. It sees only running episodes, so a result does not depend on how many are played together.
    Nor do the random actions: each episode draws its own. `check` is called before each step and
    may raise; `watch` is told of what happens. Raises UserError when an environment raises, or
    returns another shape, type or category than its spaces have, and for actions that are not its.
    """
    require_episodes(seeds)
    players = [_Player(env, rules.max_episode_steps) for env in envs[: len(seeds)]]
    episodes = _play_all(policy, players, seeds, rules, check, watch or Watch())
    return Evaluation(
        [episode.seed for episode in episodes],
        np.array([episode.total for episode in episodes]),
        np.array([episode.length for episode in episodes]),
        sum(episode.capped for episode in episodes),
        rules.epsilon,
    )


def require_episodes(seeds: Sequence[int]) -> None:
    """Raise UserError without seeds."""
    if len(seeds) == 0:
        raise UserError("An evaluation needs at least one episode.")


def join_evaluations(parts: Sequence[Evaluation]) -> Evaluation:
    """Join evaluations that were played one after the other into one."""
    return Evaluation(
        [seed for part in parts for seed in part.seeds],
        np.concatenate([part.returns for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        sum(part.capped for part in parts),
        parts[0].epsilon,
    )


def compare(first: Evaluation, second: Evaluation) -> dict[str, Any]:
    """Compare two evaluations, A and B, episode by episode: see `statistics.paired_comparison`.

    Raises UserError if they did not play the same seeds.
    """
    if first.seeds != second.seeds:
        raise UserError("A paired comparison needs both models to have played the same seeds.")
    return statistics.paired_comparison(first.returns, second.returns)


@dataclasses.dataclass
class _Episode:
    """The score of one episode so far."""

    seed: int
    total: float = 0.0
    length: int = 0
    capped: bool = False
    is_done: bool = False

    @functools.cached_property
    def generator(self) -> np.random.Generator:
        """What the random actions are drawn from."""
        return seeding.action_generator(self.seed)


def _play_all(
    policy: ActFunction,
    players: list["_Player"],
    seeds: Sequence[int],
    rules: Rules,
    check: Callable[[], None],
    watch: Watch,
) -> list[_Episode]:
    """Play one episode per seed; a player that has finished one starts the next."""
    episodes = [_Episode(seed) for seed in seeds]
    waiting = iter(episodes)
    for player in players:
        player.start(next(waiting))
        watch.after_step(player.env, player.observation)
    running = players
    while running:
        check()
        observation = np.stack([player.observation for player in running])  # [N, *shape]
        masks = _masks(running)
        spaces = running[0].env.spaces
        chosen = require_actions(policy(observation, masks), len(running), spaces, "The policy")
        if rules.epsilon:
            uniform = np.array([player.episode.generator.random(2) for player in running])
            chosen = explored(chosen, uniform, rules.epsilon, spaces, masks)
        actions = chosen.tolist()
        for player, action in zip(running, actions, strict=True):
            player.env.begin_step(action)
        still_running = []
        for player, action in zip(running, actions, strict=True):
            player.step(action)
            watch.after_step(player.env, player.observation, action)
            if player.episode.is_done:
                watch.after_episode()
                episode = next(waiting, None)
                if episode is None:
                    continue
                player.start(episode)
                watch.after_step(player.env, player.observation)
            still_running.append(player)
        running = still_running
        first = episodes[:GIVES_UP_AFTER]
        if rules.gives_up and first[0].capped and all(episode.capped for episode in first):
            return first
    return episodes


def _masks(players: list["_Player"]) -> np.ndarray | None:
    """Return the masks of legal actions [N, A], or None where the environment gives none."""
    if players[0].env.mask is None:
        return None
    return np.array([player.env.mask for player in players])


class _Player:
    """An environment and the episode that it is playing."""

    def __init__(self, env: CheckedEnv, max_episode_steps: int) -> None:
        self.env = env
        self._max_episode_steps = max_episode_steps

    def start(self, episode: _Episode) -> None:
        """Reset the environment with the episode's seed."""
        self.episode = episode
        self.observation = self.env.reset(episode.seed)

    def step(self, action: int) -> None:
        """Take one step; `episode.is_done` then says whether the episode is over."""
        episode = self.episode
        episode.length += 1
        self.observation, reward, terminated, truncated = self.env.step(action)
        episode.total += reward
        has_ended = terminated or truncated
        episode.capped = not has_ended and episode.length >= self._max_episode_steps
        episode.is_done = has_ended or episode.capped
