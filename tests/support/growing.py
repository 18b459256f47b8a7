"""Steps whose observations grow: made up, or played in the environments of tokens."""

import dataclasses

import numpy as np

from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.episodes import LoggedEpisodes, content_digest
from dqn_tf.experience.steps import Steps

TEXT = Spaces((7,), "int16", 5, categories=6, category_start=-2, action_start=-2, padding=3)
MASKED = dataclasses.replace(TEXT, masked=True)


def made_up(
    generator: np.random.Generator, length: int, num_envs: int, spaces: Spaces = TEXT
) -> Steps:
    """Texts that grow by one or two tokens a step, ends of all kinds; the padding has the number 3
    and is no word.
    """
    most = spaces.observation_shape[0]
    steps = Steps.empty(length, num_envs, spaces)
    steps.action[:] = generator.integers(spaces.actions, size=(length, num_envs))
    steps.reward[:] = generator.normal(size=(length, num_envs))
    for mask in (steps.action_mask, steps.next_action_mask):
        mask[:] = generator.random(mask.shape) < 0.6
    for env in range(num_envs):
        text = []
        for t in range(length):
            text = text or generator.integers(-2, 3, size=1).tolist()
            steps.observation[t, env] = padded(text, most)
            text = text + generator.integers(-2, 3, size=generator.integers(1, 3)).tolist()
            text = text[:most]
            steps.next_observation[t, env] = padded(text, most)
            is_full = len(text) == most
            steps.terminated[t, env] = generator.random() < 0.2
            steps.truncated[t, env] = is_full or generator.random() < 0.2
            if steps.ended[t, env]:
                text = []
            elif t + 1 < length:
                steps.action_mask[t + 1, env] = steps.next_action_mask[t, env]
    return steps


def padded(text: list[int], length: int) -> np.ndarray:
    return np.array(text + [3] * (length - len(text)))


def played(
    env_id: str, arguments: dict[str, object], length: int, num_envs: int, seed: int
) -> tuple[Steps, Spaces]:
    """Steps of an environment of tokens under its own behaviour, a quarter of them at random."""
    config = presets.configure(env_id, {"env_kwargs": arguments})
    spaces = registry.spaces(config)
    generator = np.random.default_rng(seed)
    steps = Steps.empty(length, num_envs, spaces)
    for index in range(num_envs):
        with registry.make_env(config) as env:
            observation, _ = env.reset(seed=seed + index)
            for t in range(length):
                chances = env.unwrapped.behaviour()
                action = int(generator.choice(len(chances), p=chances))
                if generator.random() < 0.25:
                    action = int(generator.integers(spaces.actions))
                steps.observation[t, index] = observation
                steps.action[t, index] = action
                observation, reward, terminated, truncated, _ = env.step(
                    action + spaces.action_start
                )
                steps.next_observation[t, index] = observation
                steps.reward[t, index] = reward
                steps.terminated[t, index] = terminated
                steps.truncated[t, index] = truncated
                if terminated or truncated:
                    observation, _ = env.reset()
    return steps, spaces


def logged(steps: Steps, spaces: Spaces, source: str = "texts") -> LoggedEpisodes:
    """The whole episodes of one environment's steps as logged data; of every other one the final
    observation is not known.
    """
    ends = np.flatnonzero(steps.ended[:, 0])
    rows = np.arange(ends[-1] + 1)
    has_final = np.arange(len(ends)) % 2 == 0
    final = steps.next_observation[ends, 0] * has_final[:, np.newaxis]
    mask = final_mask = None
    if spaces.masked:
        mask = steps.action_mask[rows, 0]
        final_mask = steps.next_action_mask[ends, 0] | ~has_final[:, np.newaxis]
    columns = {
        "observation": steps.observation[rows, 0],
        "action": steps.action[rows, 0].astype(np.int32),
        "reward": steps.reward[rows, 0],
        "terminated": steps.terminated[rows, 0],
    }
    return LoggedEpisodes(
        **columns,
        starts=np.concatenate([[0], ends + 1]),
        final_observation=final.astype(spaces.observation_dtype),
        has_final=has_final,
        action_mask=mask,
        final_mask=final_mask,
        propensity=None,
        digest=content_digest(*columns.values()),
        source=source,
    )


def transitions_of(rows: dict[str, np.ndarray], spaces: Spaces) -> dict[str, np.ndarray]:
    """The transitions that rows of episodes stand for, cut one by one."""
    names = ["observation", "action", "reward", "discount", "next_observation"]
    names += ["action_mask", "next_action_mask"] if spaces.masked else []
    columns = {name: [] for name in names}
    for row in range(len(rows["sequence"])):
        for t in range(int(rows["is_step"][row].sum())):
            for name in names:
                if name.endswith("observation"):
                    place = rows[name.replace("observation", "position")][row, t]
                    value = np.full(spaces.observation_shape, spaces.padding)
                    value[: place + 1] = rows["sequence"][row, : place + 1]
                else:
                    value = rows[name][row, t]
                columns[name].append(value)
    return {name: np.array(values) for name, values in columns.items()}
