"""dqn_tf.envs.minigrid_cells: numbers of kinds, colours and states as ones and zeros."""

import gymnasium as gym
import numpy as np
import pytest

from dqn_tf.agent.networks import choice
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.minigrid_cells import COUNTS, Cells

WALL, DOOR, KEY, AGENT = 2, 4, 5, 10
YELLOW, GREY = 4, 5
LOCKED = 2


class OneCorridor(gym.Env):
    """One row of three cells: a wall, a locked yellow door, a yellow key."""

    action_space = gym.spaces.Discrete(7)
    observation_space = gym.spaces.Dict(
        image=gym.spaces.Box(0, 255, (1, 3, 3), np.uint8), direction=gym.spaces.Discrete(4)
    )

    def reset(self, *, seed=None, options=None):
        cells = [(WALL, GREY, 0), (DOOR, YELLOW, LOCKED), (KEY, YELLOW, 0)]
        return {"image": np.array([cells], np.uint8), "direction": 0}, {}


def test_each_number_is_a_one_at_its_place():
    env = Cells(OneCorridor())
    cells, _ = env.reset()
    assert env.observation_space.contains(cells) and cells.shape == (1, 3, 21)
    door = cells[0, 1]
    assert np.flatnonzero(door).tolist() == [DOOR, 11 + YELLOW, 17 + LOCKED]
    assert (cells.sum(-1) == 3).all()


def test_an_agent_in_the_picture_looks_in_one_of_four_directions():
    wrappers = pytest.importorskip("minigrid.wrappers")
    env = Cells(wrappers.FullyObsWrapper(gym.make("MiniGrid-Empty-Random-6x6-v0")))
    seen = set()
    for seed in range(20):
        cells, _ = env.reset(seed=seed)
        (agent,) = cells[cells[..., AGENT]]
        seen |= set(np.flatnonzero(agent[17:]).tolist())
    assert seen == {0, 1, 2, 3}


def test_minigrids_own_numbers_and_pictures():
    constants = pytest.importorskip("minigrid.core.constants")
    named = constants.OBJECT_TO_IDX, constants.COLOR_TO_IDX, constants.STATE_TO_IDX
    assert tuple(map(len, named)) == (*COUNTS[:2], 3)
    assert len(constants.DIR_TO_VEC) == COUNTS[2]
    config = DQNConfig(
        env="minigrid:MiniGrid-DoorKey-5x5-v0", env_wrappers=f"{Cells.__module__}:Cells"
    )
    spaces = registry.spaces(config)
    assert spaces.observation_shape == (7, 7, 21)
    assert choice.automatic(spaces) == "minatar_cnn"
