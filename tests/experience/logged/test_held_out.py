"""Episodes that are held out: whole ones, always the same, and none of them learned from."""

import dataclasses

import numpy as np
import pytest

import logged_data
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.building import from_columns
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.logged.held_out import hold_out, part, require_learnable
from dqn_tf.experience.logged.replay import LoggedReplay
from dqn_tf.support.errors import UserError
from logged_episodes import random_episodes

MASKED = Spaces((3,), "float32", 4, masked=True)
COLUMNS = ("observation", "action", "reward", "terminated", "action_mask", "propensity")


def data(count: int) -> LoggedEpisodes:
    episodes = random_episodes(MASKED, count, seed=1)
    return dataclasses.replace(episodes, propensity=np.linspace(0.1, 1.0, len(episodes)))


def told(episodes: LoggedEpisodes) -> list[tuple]:
    """Each episode with all that is known of it."""
    pieces = []
    for number, (start, stop) in enumerate(zip(episodes.starts, episodes.starts[1:], strict=False)):
        rows = [getattr(episodes, name)[start:stop].tolist() for name in COLUMNS]
        finals = ("final_observation", "has_final", "final_mask")
        rows += [getattr(episodes, name)[number].tolist() for name in finals]
        pieces.append(tuple(map(str, rows)))
    return pieces


@pytest.mark.parametrize(
    ("count", "held"), [(2, 1), (9, 1), (40, 2), (200, 10)], ids=lambda value: str(value)
)
def test_each_episode_is_in_one_part(count, held):
    episodes = data(count)
    rest, held_out = hold_out(episodes)
    assert held_out.count == held and rest.count == count - held
    assert sorted(told(rest) + told(held_out)) == sorted(told(episodes))
    order = {episode: number for number, episode in enumerate(told(episodes))}
    for some in (rest, held_out):
        places = [order[episode] for episode in told(some)]
        assert places == sorted(places)


def test_at_most_so_many():
    rest, held_out = hold_out(data(30), share=0.5, most=4)
    assert (rest.count, held_out.count) == (26, 4)


def test_they_are_always_the_same_and_of_the_same_data():
    """A resumed run knows what it learned from by the digest."""
    episodes = data(40)
    rest, held_out = hold_out(episodes)
    again, _ = hold_out(data(40))
    assert told(again) == told(rest) and again.digest == rest.digest
    assert len({episodes.digest, rest.digest, held_out.digest}) == 3
    other, _ = hold_out(dataclasses.replace(episodes, digest="another"))
    assert other.digest != rest.digest
    replay = LoggedReplay(rest, 1, 0.9, np.random.default_rng(0))
    replay.restore(replay.rows(), LoggedReplay(again, 1, 0.9, np.random.default_rng(0)).state())


def test_any_part_in_order():
    episodes = data(9)
    assert told(part(episodes, np.array([0, 4, 8]))) == [told(episodes)[i] for i in (0, 4, 8)]


CUT = "each episode is one step, which is cut, and the observation after it is not known"
HELD = r"1 of its 3 episodes are held out .--pretrain_updates., and each other one is one step"


def cut(lengths, ends=(), finals=()):
    """Episodes of which only some are terminated, or have a final observation."""
    lengths, numbers = np.array(lengths), np.arange(len(lengths))
    ids = np.repeat(numbers, lengths)
    is_last = np.append(np.diff(ids) > 0, True)
    steps = len(ids)
    return from_columns(
        {
            "observation": np.zeros((steps, 2), np.float32),
            "action": np.ones(steps, int),
            "reward": np.ones(steps),
            "terminated": is_last & np.isin(ids, list(ends)),
            "truncated": np.zeros(steps, bool),
            "episode": ids,
            "final_observation": np.zeros((len(lengths), 2), np.float32),
            "has_final": np.isin(numbers, list(finals)),
        },
        logged_data.VECTORS,
        "a.npz",
    )


HELD_OUT = 2  # of three episodes


@pytest.mark.parametrize(
    ("episodes", "whole", "rest"),
    [
        (cut([1, 1, 1]), CUT, CUT),
        (cut([1]), CUT, CUT),
        (cut([1, 1, 1], ends=[0]), None, None),
        (cut([1, 1, 1], finals=[0]), None, None),
        (cut([2, 1, 1]), None, None),
        (cut([1, 1, 1], ends=[HELD_OUT]), None, HELD),
        (cut([1, 1, 1], finals=[HELD_OUT]), None, HELD),
        (cut([1, 1, 9]), None, HELD),
        (cut([2]), None, "it holds a single episode"),
    ],
    ids=str,
)
def test_there_is_a_step_to_learn_from(episodes, whole, rest):
    for holds_out, sentence in ((False, whole), (True, rest)):
        if sentence:
            with pytest.raises(UserError, match=f"^--data=a.npz: {sentence}"):
                require_learnable(episodes, holds_out)
            continue
        require_learnable(episodes, holds_out)
        learned = hold_out(episodes)[0] if holds_out else episodes
        replay = LoggedReplay(learned, 1, 0.9, np.random.default_rng(0))
        assert replay.take(replay.draw(1, 4))["reward"].shape == (1, 4)


def test_a_single_episode_cannot_be_in_both():
    with pytest.raises(UserError, match="^--data=random: it holds a single episode.*at least two"):
        hold_out(data(1))
