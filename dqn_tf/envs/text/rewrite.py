"""Copies, reverses or counts on, one token after the other: `dqn_tf/Rewrite-v0`.

    copy 3 1 4 = 3 1 4        reverse 3 1 4 = 4 1 3        count 3 = 4 5 6

The optimum is 1: every token right.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.action_numbers import action_of
from dqn_tf.envs.text import exact, logged_play
from dqn_tf.envs.text.exact import END, Model
from dqn_tf.envs.text.token_env import PADDING_NAME, TokenEnv
from dqn_tf.support.errors import UserError

ENV_ID = "dqn_tf/Rewrite-v0"
TASKS = ("copy", "reverse", "count")
REWARDS = ("token", "end")
SIGN = "="
LENGTH = 8
SYMBOLS = 12
KNOWN = 0.5  # of the answers in logged data
CORPUS_EPISODES = 5_000
MOST = 1_000  # symbols, and tokens to write


class Rewrite(TokenEnv):
    """Observes the task's name, what to rewrite, and the answer so far, Box [T] int32.

    An action is the next token of the answer; after `length` of them the episode ends. `symbols`
    numbers from 0 may occur; counting, 0 follows the largest. With `reward="token"` each right
    token pays 1 / length, with "end" the last one pays 1 if all are right.
    """

    def __init__(
        self,
        task: str = "reverse",
        length: int = LENGTH,
        symbols: int = SYMBOLS,
        reward: str = "token",
        render_mode: str | None = None,
    ) -> None:
        _require_choice("task", task, TASKS)
        _require_choice("reward", reward, REWARDS)
        _require_number("length", length, 1)
        _require_number("symbols", symbols, 2)
        self.task = task
        self.length = length
        self.symbols = symbols
        self.pays_tokens = reward == "token"
        first = 1 + len(TASKS) + 1
        self._prompt_length = 1 if task == "count" else length
        tokens = (PADDING_NAME, *TASKS, SIGN, *map(str, range(symbols)))
        actions: gym.spaces.Discrete = gym.spaces.Discrete(symbols, start=first)
        super().__init__(tokens, 2 + self._prompt_length + length, actions, render_mode)
        self._first = first
        self._answer: list[int] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw what to rewrite, each symbol equally likely; `options["prompt"]` gives it."""
        super().reset(seed=seed)
        prompt = (options or {}).get("prompt")
        if prompt is None:
            prompt = self.np_random.integers(self.symbols, size=self._prompt_length).tolist()
        self._require_prompt(prompt)
        self._answer = right_answer(self.task, prompt, self.length, self.symbols)
        numbers = [self._first + symbol for symbol in prompt]
        self.written = [self.number[self.task], *numbers, self.number[SIGN]]
        self._begin = len(self.written)
        return self.observation(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Append a token to the answer; truncated is always False."""
        self.written.append(action_of(self, action))
        answer = [number - self._first for number in self.written[self._begin :]]
        is_over = len(answer) == self.length
        if self.pays_tokens:
            is_right = answer[-1] == self._answer[len(answer) - 1]
            reward = is_right / self.length
        else:
            reward = float(is_over and answer == self._answer)
        return self.observation(), reward, is_over, False, {}

    def behaviour(self) -> np.ndarray:
        """Return the chances of one who knows half of the tokens, and guesses the others."""
        chances = np.full(self.symbols, (1.0 - KNOWN) / self.symbols)
        chances[self._answer[len(self.written) - self._begin]] += KNOWN
        return chances

    def corpus(self) -> dict[str, np.ndarray]:
        """Return 5,000 episodes of `behaviour` as logged data."""
        return logged_play.corpus(self, CORPUS_EPISODES)

    def model(self) -> Model:
        """Return the task as tables: see `rewrite_model`."""
        return rewrite_model(self.length, self.symbols, self.pays_tokens)

    def optimal_return(self) -> float:
        """Return the best mean return over all prompts."""
        return exact.optimum(self.model())

    def _require_prompt(self, prompt: list[int]) -> None:
        are_symbols = all(0 <= symbol < self.symbols for symbol in prompt)
        if len(prompt) != self._prompt_length or not are_symbols:
            raise UserError(
                f"reset: the prompt {prompt} must be {self._prompt_length} numbers from 0 to"
                f" {self.symbols - 1}."
            )


def right_answer(task: str, prompt: list[int], length: int, symbols: int) -> list[int]:
    """Return the symbols to write."""
    if task == "count":
        return [(prompt[0] + 1 + place) % symbols for place in range(length)]
    return list(prompt) if task == "copy" else prompt[::-1]


def rewrite_model(length: int, symbols: int, pays_tokens: bool) -> Model:
    """Return the task as tables, the same for every prompt if action 0 stands for the right token.

    State 2 t is after t tokens that are all right, state 2 t + 1 after t of which one was wrong.
    """
    written = np.arange(length)[:, np.newaxis, np.newaxis]
    was_wrong = np.array([False, True])[:, np.newaxis]
    is_wrong = was_wrong | (np.arange(symbols) > 0)
    is_last = np.broadcast_to(written + 1 == length, (length, 2, symbols))
    successor = np.where(is_last, END, 2 * (written + 1) + is_wrong)
    succeeds = is_last & ~is_wrong
    reward = succeeds.astype(float)
    if pays_tokens:
        reward = np.broadcast_to((np.arange(symbols) == 0) / length, successor.shape)
    flat = (-1, symbols)
    return Model(
        successor.reshape(flat), reward.reshape(flat), succeeds.reshape(flat), np.array([0])
    )


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{ENV_ID}: {name}={value} is none of {', '.join(choices)}.")


def _require_number(name: str, value: int, least: int) -> None:
    if type(value) is not int or not least <= value <= MOST:
        raise UserError(
            f"{ENV_ID}: {name}={value!r} must be a whole number from {least} to {MOST}."
        )
