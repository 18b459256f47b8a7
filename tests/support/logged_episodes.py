"""Logged episodes for tests: every kind of end, and the same steps as the engine's `Steps`."""

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.episodes import LoggedEpisodes, content_digest
from dqn_tf.experience.logged.shares import SharedEpisodes
from dqn_tf.experience.steps import Steps

TERMINATED, TRUNCATED, UNKNOWN = range(3)


def random_episodes(
    spaces: Spaces, count: int, seed: int, source: str = "random", ends: tuple[int, ...] = ()
) -> LoggedEpisodes:
    """Episodes of 2 to 9 steps with the given ends in turn, all three kinds if there are none."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 10, count)
    starts = np.concatenate([[0], lengths.cumsum()])
    steps = int(starts[-1])
    kinds = np.resize(ends or (TERMINATED, TRUNCATED, UNKNOWN), count)
    terminated = np.zeros(steps, bool)
    terminated[starts[1:] - 1] = kinds == TERMINATED
    action = generator.integers(spaces.actions, size=steps).astype(np.int32)
    mask = final_mask = None
    if spaces.masked:
        mask = generator.random((steps, spaces.actions)) < 0.7
        mask[np.arange(steps), action] = True
        final_mask = generator.random((count, spaces.actions)) < 0.7
        final_mask[:, 0] = True
    observation = generator.normal(size=(steps, *spaces.observation_shape)).astype(np.float32)
    reward = generator.normal(size=steps).astype(np.float32)
    return LoggedEpisodes(
        observation=observation,
        action=action,
        reward=reward,
        terminated=terminated,
        starts=starts,
        final_observation=generator.normal(size=(count, *spaces.observation_shape)).astype(
            np.float32
        ),
        has_final=kinds == TRUNCATED,
        action_mask=mask,
        final_mask=final_mask,
        propensity=None,
        digest=content_digest(observation, action, reward),
        source=source,
    )


def shared(*parts: LoggedEpisodes) -> list[SharedEpisodes]:
    """The episodes, with shares by their numbers of steps."""
    return [SharedEpisodes(part, float(len(part))) for part in parts]


def as_steps(episodes: LoggedEpisodes, number: int, spaces: Spaces) -> Steps:
    """One episode as steps of one environment, without the last one if nothing follows it."""
    start, stop = episodes.starts[number : number + 2]
    if not episodes.has_next[number]:
        stop -= 1
    rows = np.arange(start, stop)
    steps = Steps.empty(len(rows), 1, spaces)
    steps.observation[:, 0] = episodes.observation[rows]
    steps.action[:, 0] = episodes.action[rows]
    steps.reward[:, 0] = episodes.reward[rows]
    steps.terminated[:, 0] = episodes.terminated[rows]
    steps.truncated[-1, 0] = not steps.terminated[-1, 0]  # the window ends here
    steps.next_observation[:, 0] = episodes.next_observations(rows)
    if spaces.masked:
        steps.action_mask[:, 0] = episodes.action_mask[rows]
        steps.next_action_mask[:, 0] = episodes.next_masks(rows)
    return steps
