"""The 3×3 grid of the article "DQN training" (docs/gridworld.md).

It is small enough that every Q-value can be checked by hand.

       column 0  1  2
    row 0     .  .  .         states are row · 3 + column, 0 to 8
    row 1     .  S  .         S the start (1, 1), G the goal (2, 2)
    row 2     .  .  G         -1 a step, 0 for the step that reaches the goal and ends the episode
"""

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.action_numbers import action_of
from dqn_tf.support.errors import UserError

ENV_ID = "dqn_tf/GridWorld-v0"
SIZE = 3
STATES = SIZE * SIZE
START = (1, 1)
GOAL = (2, 2)
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))  # row and column of actions 0 to 3
MOVE_NAMES = ("up", "down", "left", "right")
ARROWS = "↑↓←→"
MAX_EPISODE_STEPS = 100

CELL = 48  # pixels
PAPER = (250, 250, 247)
LINE = (196, 196, 190)
GOAL_GREEN = (63, 150, 98)
START_GREY = (225, 225, 219)
AGENT_BLUE = (31, 78, 140)


def state_of(row: int, column: int) -> int:
    """Return the number that stands for a cell."""
    return row * SIZE + column


def cell_of(state: int) -> tuple[int, int]:
    """Return row and column of a state."""
    return divmod(state, SIZE)


def transition(state: int, action: int) -> tuple[int, float, bool]:
    """Return next state, reward and termination of a move.

    A move against the wall leads nowhere and costs a step like any other.
    """
    row, column = cell_of(state)
    down, right = MOVES[action]
    row = min(SIZE - 1, max(0, row + down))
    column = min(SIZE - 1, max(0, column + right))
    reached = (row, column) == GOAL
    reward = 0.0 if reached else -1.0
    return state_of(row, column), reward, reached


class GridWorld(gym.Env):
    """Observes the cell, Discrete(9); moves up, down, left or right, Discrete(4).

    `render` gives the grid as text ("ansi") or as an image [144, 144, 3] uint8 ("rgb_array").
    """

    # Gymnasium declares it an attribute of instances, and reads the class's.
    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UserError(f"{ENV_ID} renders as ansi or rgb_array, not as {render_mode}.")
        self.observation_space = gym.spaces.Discrete(STATES)
        self.action_space = gym.spaces.Discrete(len(MOVES))
        self.render_mode = render_mode
        self.state = state_of(*START)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Return to the start; nothing is drawn."""
        super().reset(seed=seed)
        self.state = state_of(*START)
        return self.state, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Move; truncated is always False, as the time limit is a wrapper's."""
        self.state, reward, terminated = transition(self.state, action_of(self, action))
        return self.state, reward, terminated, False, {}

    def get_action_meanings(self) -> list[str]:
        """Return the moves by name."""
        return list(MOVE_NAMES)

    def render(self) -> str | np.ndarray | None:
        """Return the grid with the agent in it."""
        if self.render_mode == "ansi":
            return _text(self.state)
        return _image(self.state) if self.render_mode == "rgb_array" else None


def _text(state: int) -> str:
    letters = np.full((SIZE, SIZE), ".")
    letters[START] = "S"
    letters[GOAL] = "G"
    letters[cell_of(state)] = "A"
    return "\n".join(" ".join(row) for row in letters) + "\n"


def _image(state: int) -> np.ndarray:
    image = np.full((SIZE * CELL, SIZE * CELL, 3), PAPER, np.uint8)
    for (row, column), colour in ((START, START_GREY), (GOAL, GOAL_GREEN)):
        rows = slice(row * CELL, (row + 1) * CELL)
        columns = slice(column * CELL, (column + 1) * CELL)
        image[rows, columns] = colour
    for edge in (*range(0, SIZE * CELL, CELL), -1):
        image[edge] = LINE
        image[:, edge] = LINE
    # the agent, a disc with a soft edge
    centre = (np.array(cell_of(state)) + 0.5) * CELL - 0.5
    down, right = np.indices(image.shape[:2]) - centre[:, np.newaxis, np.newaxis]
    cover = np.clip(CELL * 0.3 + 0.5 - np.hypot(down, right), 0.0, 1.0)[..., np.newaxis]
    blended = image * (1 - cover) + np.array(AGENT_BLUE) * cover
    return blended.round().astype(np.uint8)


def register() -> None:
    """Make `gymnasium.make("dqn_tf/GridWorld-v0")` work."""
    gym.register(ENV_ID, f"{__name__}:GridWorld", max_episode_steps=MAX_EPISODE_STEPS)
