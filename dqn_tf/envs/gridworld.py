"""The 3×3 grid of the article "DQN training" (docs/gridworld.md): small enough that every Q-value
can be checked by hand.

       column 0  1  2
    row 0     .  .  .         states are row · 3 + column, 0 to 8
    row 1     .  S  .         S the start (1, 1), G the goal (2, 2)
    row 2     .  .  G         -1 a step, 0 for the step that reaches the goal, which ends the episode
"""

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.support.errors import UserError

ENV_ID = "dqn_tf/GridWorld-v0"
SIZE = 3
STATES = SIZE * SIZE
START, GOAL = (1, 1), (2, 2)
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))  # row and column of actions 0 to 3
MOVE_NAMES, ARROWS = ("up", "down", "left", "right"), "↑↓←→"
MAX_EPISODE_STEPS = 100

CELL = 48  # pixels
PAPER, LINE, GOAL_GREEN, START_GREY, AGENT_BLUE = (
    (250, 250, 247),
    (196, 196, 190),
    (63, 150, 98),
    (225, 225, 219),
    (31, 78, 140),
)


def state_of(row: int, column: int) -> int:
    """The number that stands for a cell."""
    return row * SIZE + column


def cell_of(state: int) -> tuple[int, int]:
    """Row and column of a state."""
    return divmod(state, SIZE)


def transition(state: int, action: int) -> tuple[int, float, bool]:
    """Next state, reward and termination of a move; one against the wall leads nowhere and costs a
    step like any other.
    """
    row, column = (
        min(SIZE - 1, max(0, place + change))
        for place, change in zip(cell_of(state), MOVES[action], strict=True)
    )
    reached = (row, column) == GOAL
    return state_of(row, column), 0.0 if reached else -1.0, reached


class GridWorld(gym.Env):
    """Observes the cell, Discrete(9); moves up, down, left or right, Discrete(4).

    `render` gives the grid as text ("ansi") or as an image [144, 144, 3] uint8 ("rgb_array").
    """

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}
    observation_space, action_space = gym.spaces.Discrete(STATES), gym.spaces.Discrete(len(MOVES))

    def __init__(self, render_mode: str | None = None) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UserError(f"{ENV_ID} renders as ansi or rgb_array, not as {render_mode}.")
        self.render_mode = render_mode
        self.state = state_of(*START)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict]:
        """The start; nothing is drawn."""
        super().reset(seed=seed)
        self.state = state_of(*START)
        return self.state, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        """Observation, reward, terminated, truncated (never: the time limit is a wrapper's), info."""
        self.state, reward, terminated = transition(self.state, int(action))
        return self.state, reward, terminated, False, {}

    def get_action_meanings(self) -> list[str]:
        """The moves by name."""
        return list(MOVE_NAMES)

    def render(self) -> str | np.ndarray | None:
        """The grid with the agent in it."""
        if self.render_mode == "ansi":
            return _text(self.state)
        return _image(self.state) if self.render_mode == "rgb_array" else None


def _text(state: int) -> str:
    letters = np.full((SIZE, SIZE), ".")
    letters[START], letters[GOAL] = "S", "G"
    letters[cell_of(state)] = "A"
    return "\n".join(" ".join(row) for row in letters) + "\n"


def _image(state: int) -> np.ndarray:
    image = np.full((SIZE * CELL, SIZE * CELL, 3), PAPER, np.uint8)
    for (row, column), colour in ((START, START_GREY), (GOAL, GOAL_GREEN)):
        image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = colour
    for edge in range(0, SIZE * CELL, CELL):
        image[edge : edge + 1] = image[:, edge : edge + 1] = LINE
    image[-1] = image[:, -1] = LINE
    centre = (np.array(cell_of(state)) + 0.5) * CELL - 0.5
    distance = np.hypot(*(np.indices(image.shape[:2]) - centre[:, np.newaxis, np.newaxis]))
    # a disc with a soft edge
    cover = np.clip(CELL * 0.3 + 0.5 - distance, 0.0, 1.0)[..., np.newaxis]
    return (image * (1 - cover) + np.array(AGENT_BLUE) * cover).round().astype(np.uint8)


def register() -> None:
    """Makes `gymnasium.make("dqn_tf/GridWorld-v0")` work."""
    gym.register(ENV_ID, f"{__name__}:GridWorld", max_episode_steps=MAX_EPISODE_STEPS)
