"""Dialogues for a language model: `--language_model` makes messages its tokens.

    message 0                       message 1              ...   message M - 1
    who spoke, [L] tokens           who spoke, [L] tokens        padding only, where there are fewer

Who spoke is a number, a place in ROLES. The tokens are the language model's own, and a message of
more than L loses its first ones. Of more than M messages the last are kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import returned
from dqn_tf.envs.spaces import MASK, Spaces, without_mask
from dqn_tf.envs.text.logged_play import PlaysLoggedData
from dqn_tf.envs.tokens import attribute_of
from dqn_tf.language.model_files import open_model
from dqn_tf.support.errors import UserError, describe_value

FLAG = "--language_model"
ROLES = ("", "user", "assistant", "system")  # by the numbers in an observation; any other is system
PADDING = -1
REMEMBERED = 16_384  # texts whose tokens are kept, for all environments of a process

Tokens = Sequence[int] | np.ndarray


@functools.lru_cache(maxsize=4)
def remembering(model: str) -> Callable[[str | bytes], np.ndarray]:
    """Return what makes the tokens [n] int32 of a text, and keeps them. Raises UserError."""
    tokenizer = open_model(model).tokenizer
    return functools.lru_cache(maxsize=REMEMBERED)(
        lambda text: np.array(tokenizer.encode(text), np.int32)
    )


class MessageReader:
    """Makes observations of messages and of choices, as a server logs them in texts.

    Attributes:
      places: M.
      length: L.
      choices: places for choices told as texts behind the messages; 0 where there are none.
      choice_tokens: tokens of each of these.
    """

    def __init__(self, encode: Callable[[Any], Tokens], places: int, length: int) -> None:
        self._encode = encode
        self.places = places
        self.length = length
        self.choices = self.choice_tokens = 0

    def of_spaces(self, spaces: Spaces) -> MessageReader:
        """Return the reader of whole observations, with the choices behind the messages."""
        reader = MessageReader(self._encode, self.places, self.length)
        reader.choices, reader.choice_tokens = spaces.choices, spaces.choice_tokens
        return reader

    def observation(self, text: str | bytes, choices: Sequence[str | bytes] = ()) -> np.ndarray:
        """Return the observation of one message of the user. Raises UserError."""
        return self.of_messages([("user", text)], choices)

    def of_messages(
        self,
        messages: Sequence[tuple[str, str | bytes]],
        choices: Sequence[str | bytes] = (),
    ) -> np.ndarray:
        """Return the observation of the last messages, [M · (1 + L)], and of choices behind them.

        A message is who spoke, and what. Raises UserError for too many choices.
        """
        if len(choices) > self.choices:
            raise UserError(
                f"{len(choices)} choices are more than the {self.choices} that there is room for."
            )
        observed = np.full((self.places, 1 + self.length), PADDING, np.int32)
        for place, (role, content) in enumerate(messages[-self.places :]):
            tokens = self._encode(content)[-self.length :]
            observed[place, 0] = ROLES.index(role) if role in ROLES[1:] else len(ROLES) - 1
            observed[place, 1 : 1 + len(tokens)] = tokens
        beside = np.full((self.choices, self.choice_tokens), PADDING, np.int32)
        for place, text in enumerate(choices):
            tokens = self._encode(text)[: self.choice_tokens]
            beside[place, : len(tokens)] = tokens
        return np.concatenate([observed.reshape(-1), beside.reshape(-1)])


class MessageTokens(PlaysLoggedData):
    """Observes messages in the tokens of a language model, MultiDiscrete [M · (1 + L)] int32.

    They are `info["messages"]`, a list of {"role": ..., "content": ...} as chats are told
    everywhere, or `info["text"]` as one message where there are none, or with `--dialogue=text`. M
    is `--max_messages`, or the environment's attribute `max_messages`, or 1. An `action_mask`
    beside the environment's own observation becomes `info["action_mask"]`.

    Attributes:
      message_places: M.
      padding: the number behind a message's end.
      message_reader: what makes observations of messages.
    """

    flag = FLAG
    tokens = None  # far too many names
    tokenizer = None  # texts become tokens outside of the graph
    padding = PADDING

    def __init__(self, env: gym.Env, config: DQNConfig) -> None:
        super().__init__(env)
        _, self._has_mask_within = without_mask(env.observation_space)
        files = open_model(config.language_model)
        self._tokenizer = files.tokenizer
        self._is_one_text = config.dialogue == "text"
        said = attribute_of(env, "max_messages")
        own = said if type(said) is int and said > 0 and not self._is_one_text else 1
        self.message_places = config.max_messages or own
        self.message_tokens = config.message_tokens
        encode = remembering(config.language_model)
        self.message_reader = MessageReader(encode, self.message_places, self.message_tokens)
        size = self.message_places * (1 + self.message_tokens)
        sizes = np.full(size, files.shape.vocabulary - PADDING)
        starts = np.full(size, PADDING)
        self.observation_space = gym.spaces.MultiDiscrete(sizes, dtype=np.int32, start=starts)

    def reset(self, **arguments: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Reset the environment. Raises UserError if it tells no texts."""
        observation, info = self.env.reset(**arguments)
        return self._observation(info), self._with_mask(observation, info)

    def step(self, action: int) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        """Take a step. Raises UserError if it tells no texts."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info = self._with_mask(observation, info)
        return self._observation(info), reward, terminated, truncated, info

    def encode(self, text: str) -> list[int]:
        """Return the numbers of a text's tokens."""
        return self._tokenizer.encode(text)

    @property
    def choice_tokens(self) -> int:
        """Room for the tokens of a choice: as for those of a message."""
        return self.message_tokens

    def _observation(self, info: Any) -> np.ndarray:
        """Return the last messages of `info`. Raises UserError if there are none to read."""
        return self.message_reader.of_messages(list(self._messages(info)))

    def _with_mask(self, observation: Any, info: Any) -> Any:
        """Return `info` with the mask that lies beside the environment's own observation."""
        if not self._has_mask_within or not isinstance(info, dict):
            return info
        _, mask = returned.parts_of(observation)
        return info | {MASK: mask}

    def _messages(self, info: Any) -> Iterable[tuple[str, str]]:
        """Yield who spoke, and what. Raises UserError."""
        messages = info.get("messages") if isinstance(info, dict) else None
        if messages is None or self._is_one_text:
            text = info.get("text") if isinstance(info, dict) else None
            if not isinstance(text, str):
                raise UserError(
                    f'{FLAG} reads texts: the environment must give info["messages"], a list of'
                    ' {"role": ..., "content": ...}, or info["text"], at each reset and step, and'
                    f' info["text"] is {describe_value(text)}.'
                )
            yield ROLES[1], text
            return
        if not isinstance(messages, (list, tuple)):
            raise UserError(f'{FLAG}: info["messages"] is {describe_value(messages)}, and no list.')
        for message in messages:
            content = message.get("content") if isinstance(message, dict) else None
            if not isinstance(content, str):
                raise UserError(
                    f'{FLAG}: a message must be {{"role": ..., "content": TEXT}}, and one is'
                    f" {describe_value(message)}."
                )
            yield message.get("role", ""), content
