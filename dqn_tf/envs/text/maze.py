"""Finds the way through a maze that is told in words: `dqn_tf/TextMaze-v0`.

Layout, rewards and limit are those of the fully observed maze of LMRL-Gym (Abdulhai et al. 2023);
the words are others. Every command costs 1, and 0 if it reaches the goal, which ends the episode;
what is no command costs 4 and moves nothing. The 101st command is the last.

    goal 8 6 here 5 4 wall up down > move right .
    (the prompt, and the three tokens of a command)
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.action_numbers import action_of
from dqn_tf.envs.text import exact, logged_play
from dqn_tf.envs.text.exact import END, Model
from dqn_tf.envs.text.token_env import PADDING_NAME, TokenEnv, chosen_start
from dqn_tf.support.errors import UserError

ENV_ID = "dqn_tf/TextMaze-v0"
LAYOUT = (
    "#############",
    "#.....#.....#",
    "###.#####.###",
    "###.#####.###",
    "###.#####.###",
    "###.......###",
    "######.######",
    "######.######",
    "######.######",
    "#############",
)
CELLS = [
    (row, column)
    for row, line in enumerate(LAYOUT)
    for column, letter in enumerate(line)
    if letter == "."
]
GOAL = (8, 6)
STARTS = [cell for cell in CELLS if cell != GOAL]
MOVES = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
COMMANDS = 101  # LMRL-Gym's lowest return, of a walker that never arrives
MISTAKE = -4.0  # for what is no command
CORPUS_EPISODES = 200  # some 50,000 tokens

VERB, STOP = "move", "."
NUMBERS = [str(number) for number in range(max(len(LAYOUT), len(LAYOUT[0])))]
# What may be written comes first, so that its numbers follow each other.
WRITABLE = (VERB, *MOVES, STOP)
TOKENS = (PADDING_NAME, *WRITABLE, "goal", "here", "wall", ">", *NUMBERS)
COMMAND_LENGTH = 3
PROMPT_LENGTH = 3 + 3 + 1 + 3 + 1  # goal, here, wall with at most three sides, and the sign
LEVELS = ("token", "choice")

# What has been written of a command: nothing, the verb, the verb and a move, or what can become no
# command, of one token or of two.
NOTHING, VERB_ONLY, READY, LOST_1, LOST_2 = 0, 1, range(2, 6), 6, 7
PREFIXES = 8


class TextMaze(TokenEnv):
    """Observes where it is, in words, and what is written of the next command, Box [14] int32.

    With `level="token"` an action is a token; a command is read at its full stop, or after three
    tokens. With `level="choice"` an action is one of the four whole commands, Discrete(4).
    `reset(options={"start": (row, column)})` begins at that cell.
    """

    def __init__(self, level: str = "token", render_mode: str | None = None) -> None:
        if level not in LEVELS:
            raise UserError(f"{ENV_ID}: level={level} is none of {', '.join(LEVELS)}.")
        self.level = level
        if level == "token":
            actions: gym.spaces.Discrete = gym.spaces.Discrete(len(WRITABLE), start=1)
            length = PROMPT_LENGTH + COMMAND_LENGTH
        else:
            actions = gym.spaces.Discrete(len(MOVES))
            length = PROMPT_LENGTH
        super().__init__(TOKENS, length, actions, render_mode)
        self.cell = GOAL
        self._commands = 0
        self._prompt = 0  # its length

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw a start, each free cell but the goal equally likely."""
        super().reset(seed=seed)
        place = chosen_start(options, STARTS)
        if place is None:
            place = int(self.np_random.integers(len(STARTS)))
        self.cell = STARTS[place]
        self._commands = 0
        self._tell()
        return self.observation(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Write a token, or with `level="choice"` give a command."""
        action = action_of(self, action)
        if self.level == "choice":
            reward, terminated, truncated = self._command(list(MOVES)[action])
            return self.observation(), reward, terminated, truncated, {}
        self.written.append(action)
        command = [self.tokens[number] for number in self.written[self._prompt :]]
        if command[-1] != STOP and len(command) < COMMAND_LENGTH:
            return self.observation(), 0.0, False, False, {}
        reward, terminated, truncated = self._command(meant(command))
        return self.observation(), reward, terminated, truncated, {}

    def get_action_meanings(self) -> list[str]:
        """Return the tokens that may be written, or the four commands."""
        if self.level == "choice":
            return [f"{VERB} {direction}" for direction in MOVES]
        return super().get_action_meanings()

    def behaviour(self) -> np.ndarray:
        """Return the chances of one who gives the four commands equally often, and no others."""
        if self.level == "choice":
            return np.full(len(MOVES), 1.0 / len(MOVES))
        place = len(self.written) - self._prompt
        words = ((VERB,), tuple(MOVES), (STOP,))[place]
        return np.array([(word in words) / len(words) for word in WRITABLE])

    def corpus(self) -> dict[str, np.ndarray]:
        """Return 200 episodes of `behaviour` as logged data."""
        return logged_play.corpus(self, CORPUS_EPISODES)

    def model(self) -> Model:
        """Return the task as tables: see `choice_model` and `token_model`."""
        return choice_model() if self.level == "choice" else token_model()

    def optimal_return(self) -> float:
        """Return the best mean return over the starts."""
        return exact.optimum(self.model())

    def _command(self, direction: str | None) -> tuple[float, bool, bool]:
        """Do what is commanded, None for a mistake; return reward, terminated, truncated."""
        self._commands += 1
        self.cell, reward, terminated = do(self.cell, direction)
        self._tell()
        return reward, terminated, not terminated and self._commands == COMMANDS

    def _tell(self) -> None:
        """Begin the observation anew, with where it is."""
        self.written = [self.number[word] for word in prompt(self.cell)]
        self._prompt = len(self.written)


def prompt(cell: tuple[int, int]) -> list[str]:
    """Return what is said in a cell."""
    walls = [direction for direction in MOVES if not _is_free(_beside(cell, direction))]
    place = ["goal", *map(str, GOAL), "here", *map(str, cell)]
    return [*place, *(["wall", *walls] if walls else []), ">"]


def meant(command: list[str]) -> str | None:
    """Return the direction of a command, None if the words are none."""
    verb, *rest = command
    if verb == VERB and len(rest) == 2 and rest[0] in MOVES and rest[1] == STOP:
        return rest[0]
    return None


def do(cell: tuple[int, int], direction: str | None) -> tuple[tuple[int, int], float, bool]:
    """Return the cell after a command, its reward, and whether the goal is reached."""
    if direction is None:
        return cell, MISTAKE, False
    beside = _beside(cell, direction)
    cell = beside if _is_free(beside) else cell
    return cell, 0.0 if cell == GOAL else -1.0, cell == GOAL


def choice_model() -> Model:
    """Return the maze with four commands as tables; state t · 26 + c is cell c after t of them."""
    following, reward, is_goal = _moves()
    done = np.arange(COMMANDS)[:, np.newaxis, np.newaxis]
    shape = (COMMANDS, *following.shape)
    has_ended = is_goal | (done + 1 == COMMANDS)
    successor = np.where(has_ended, END, (done + 1) * len(CELLS) + following)
    starts = [CELLS.index(cell) for cell in STARTS]
    return Model(
        successor.reshape(-1, len(MOVES)),
        np.broadcast_to(reward, shape).reshape(-1, len(MOVES)),
        np.broadcast_to(is_goal, shape).reshape(-1, len(MOVES)),
        np.array(starts),
    )


def token_model() -> Model:
    """Return the maze with tokens as tables.

    State (t · 8 + p) · 26 + c is cell c after t commands, with the prefix p of the next one.
    """
    cells, actions = len(CELLS), len(WRITABLE)
    following, cost, is_goal = _moves()
    shape = (COMMANDS, PREFIXES, cells, actions)
    done = np.arange(COMMANDS)[:, np.newaxis]
    cell = np.arange(cells)
    reward, succeeds = np.zeros(shape), np.zeros(shape, bool)
    successor = np.full(shape, END)
    for prefix in range(PREFIXES):
        for action, word in enumerate(WRITABLE):
            now = (slice(None), prefix, slice(None), action)
            after = _after(prefix, word)
            if after != NOTHING:
                successor[now] = (done * PREFIXES + after) * cells + cell
                continue
            after_command = cell
            if prefix in READY and word == STOP:
                direction = READY.index(prefix)
                after_command = following[:, direction]
                reward[now] = cost[:, direction]
                succeeds[now] = is_goal[:, direction]
            else:
                reward[now] = MISTAKE
            is_over = succeeds[now] | (done + 1 == COMMANDS)
            successor[now] = np.where(is_over, END, (done + 1) * PREFIXES * cells + after_command)
    starts = np.array([CELLS.index(start) for start in STARTS])
    flat = (-1, actions)
    return Model(successor.reshape(flat), reward.reshape(flat), succeeds.reshape(flat), starts)


def _after(prefix: int, word: str) -> int:
    """Return the prefix after a word; NOTHING if a command is read at that word."""
    if word == STOP or prefix in READY or prefix == LOST_2:
        return NOTHING
    if prefix == NOTHING:
        return VERB_ONLY if word == VERB else LOST_1
    if prefix == VERB_ONLY and word in MOVES:
        return READY[list(MOVES).index(word)]
    return LOST_2


def _moves() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where each move leads [C, 4], its reward, and whether it reaches the goal."""
    done = [[do(cell, direction) for direction in MOVES] for cell in CELLS]
    following = [[CELLS.index(after) for after, _, _ in row] for row in done]
    reward = [[cost for _, cost, _ in row] for row in done]
    is_goal = [[reached for _, _, reached in row] for row in done]
    return np.array(following), np.array(reward), np.array(is_goal)


def _beside(cell: tuple[int, int], direction: str) -> tuple[int, int]:
    down, right = MOVES[direction]
    return cell[0] + down, cell[1] + right


def _is_free(cell: tuple[int, int]) -> bool:
    return LAYOUT[cell[0]][cell[1]] == "."
