"""Steps whose observations grow: made up, or played in the environments of tokens."""

import dataclasses

import numpy as np

from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.episode_replay import LoggedEpisodeReplay
from dqn_tf.experience.logged.episodes import LoggedEpisodes, content_digest
from dqn_tf.experience.steps import Steps
from dqn_tf.experience.transitions import NStep
from dqn_tf.experience.whole_episodes import WholeEpisodes, episode_columns
from logged_episodes import as_steps

GAMMA = 0.9
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


def check_rows(steps: Steps, spaces: Spaces, n_step: int) -> int:
    """The transitions of each environment are the first that `NStep` gives, bit by bit; the others
    are those of its unfinished episode.
    """
    told = 0
    for env in range(steps.action.shape[1]):
        own = Steps(**{name: column[:, env : env + 1] for name, column in vars(steps).items()})
        rows = WholeEpisodes(n_step, GAMMA, 1, spaces).add(own)
        ends = np.flatnonzero(own.ended[:, 0])
        assert len(rows["sequence"]) == len(ends)
        expected = NStep(n_step, GAMMA, 1, spaces).add(own)
        count = int(ends[-1]) + 1
        for name, values in transitions_of(rows, spaces).items():
            np.testing.assert_array_equal(values, expected[name][:count], name)
        for name, (shape, dtype) in episode_columns(spaces).items():
            assert rows[name].shape == (len(ends), *shape) and rows[name].dtype == dtype, name
            behind = rows["is_step"] == 0.0
            assert name == "sequence" or not rows[name][behind].any(), name
        told += count
    return told


def check_made_up_rows(n_step: int = 3, spaces: Spaces = MASKED) -> None:
    """`check_rows` of made-up texts with ends of all kinds."""
    steps = made_up(np.random.default_rng(n_step), 60, 3, spaces)
    assert steps.terminated.any() and (steps.truncated & ~steps.terminated).any()
    assert check_rows(steps, spaces, n_step) > 150


def check_blocks(spaces: Spaces = MASKED) -> None:
    """Blocks of any length, and a state on the way, give the rows of all steps at once."""
    generator = np.random.default_rng(0)
    steps = made_up(generator, 90, 4, spaces)
    whole = WholeEpisodes(3, GAMMA, 4, spaces).add(steps)
    maker = WholeEpisodes(3, GAMMA, 4, spaces)
    parts, cut = [], 0
    while cut < 90:
        before, cut = cut, min(90, cut + int(generator.integers(1, 9)))
        block = steps.part(slice(before, cut))
        views = Steps(**{name: column.copy() for name, column in vars(block).items()})
        parts.append(maker.add(views))
        for column in vars(views).values():  # a collector may use its arrays again
            column[:] = 1
        if generator.random() < 0.3:
            state = {name: array.copy() for name, array in maker.state().items()}
            maker = WholeEpisodes(3, GAMMA, 4, spaces)
            maker.restore(state)
        assert len(maker.state()["action"]) <= 7
    for name, values in whole.items():
        told = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(told, values, name)


def episodes(spaces: Spaces = TEXT, seed: int = 0, length: int = 120) -> LoggedEpisodes:
    """Made-up texts as logged data, with ends of all kinds."""
    return logged(made_up(np.random.default_rng(seed), length, 1, spaces), spaces)


def check_logged_rows(n_step: int = 3, spaces: Spaces = MASKED) -> None:
    """The rows of logged episodes are the transitions of `NStep`, bit by bit.

    After a terminated step whose next observation is not known, whatever it is is multiplied by a
    discount of 0.
    """
    data = episodes(spaces, n_step)
    assert not data.has_next.all() and (data.terminated[data.last_rows] & ~data.has_final).any()
    assert (data.lengths - ~data.has_next == 0).any(), "an episode without a row"
    held = LoggedEpisodeReplay(data, n_step, GAMMA, np.random.default_rng(0), None, 3)
    parts = [
        NStep(n_step, GAMMA, 1, spaces).add(as_steps(data, number, spaces))
        for number in range(data.count)
        if data.lengths[number] > 1 or data.has_next[number]
    ]
    assert len(held) == len(parts)
    told = transitions_of(held.take({"place": np.arange(len(held))}), spaces)
    bootstraps = told["discount"] > 0
    for name, values in told.items():
        expected = np.concatenate([part[name] for part in parts])
        matters = bootstraps if name.startswith("next_") else slice(None)
        np.testing.assert_array_equal(values[matters], expected[matters], name)
