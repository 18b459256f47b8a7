"""One environment, held to what its own spaces say.

This is the border between dqn_tf and code that somebody else wrote. Everything that `reset`,
`step`, `render` and `close` return passes here and nowhere else. What comes out is right and ours:
arrays are copies, so whatever an environment does to its own arrays later is of no matter. What
goes wrong is a sentence that names the environment, the call, the step and the seed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
from collections.abc import Iterable
from math import isfinite
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np

from dqn_tf.envs import returned
from dqn_tf.envs.choices import ChoiceLayout
from dqn_tf.envs.returned import LARGEST, Refused
from dqn_tf.envs.spaces import Spaces, describe
from dqn_tf.envs.tokenizer import KINDS
from dqn_tf.envs.tokens import (
    Vocabulary,
    attribute_of,
    tokenizer_of,
    tokens_of,
    written_tokens,
)
from dqn_tf.support.errors import UserError, describe_error, describe_value

DEFAULT_FPS = 30.0
SHORT = 16  # numbers that Python adds faster than NumPy


class CheckedEnv:
    """Resets and steps an environment; raises UserError, naming step and seed, for what is wrong.

    Observations are copies in `Spaces.observation_dtype`: new arrays or, where it is set, `into`,
    [*shape], which is written anew at each step. Actions are the environment's own, and reach it as
    what its `action_space.sample()` returns. `mask` is [A] bool, the actions that are legal now,
    where the environment says so: in `info["action_mask"]` or in a Dict observation of
    `observation` and `action_mask`. Otherwise it is None. Whether there are masks is decided by the
    first reset or, where other instances are known, by their `spaces`.
    """

    mask: np.ndarray | None = None
    into: np.ndarray | None = None
    text: Any = None  # of the first observation, where the environment tells it

    def __init__(self, env: gym.Env, name: str, spaces: Spaces | None = None) -> None:
        self.env = env
        self._name = name
        self._seed = 0
        self._steps = 0
        try:
            self.tokens = tokens_of(env)
            layout = attribute_of(env, "choice_layout")
            if not isinstance(layout, ChoiceLayout):
                layout = (0, 0)
            messages = attribute_of(env, "message_places")
            self.spaces = describe(
                env.observation_space,
                env.action_space,
                self.tokens,
                layout,
                messages if type(messages) is int else 0,
            )
            # asked once: wrappers make it a costly question
            self._mask_within = isinstance(env.observation_space, gym.spaces.Dict)
            self._own_action: Any = np.dtype(env.action_space.dtype).type
            self._own_actions: dict[int, Any] = {}  # those that were taken, which are made once
        except UserError:
            raise
        except BaseException as error:
            self._raise("its spaces", error)
        self.is_masked: bool | None = True if self._mask_within else None
        if spaces is not None:
            self._require_same(spaces)
        self._shape = self.spaces.observation_shape
        self._dtype = np.dtype(self.spaces.observation_dtype)
        self._is_float = self._dtype.kind == "f"
        # Of few floats, one sum tells whether one of them is NaN or infinite, in a fifth of the
        # time of `numpy.isfinite`.
        self._is_short = self._is_float and len(self._shape) == 1 and self._shape[0] <= SHORT
        self._begin_step = getattr(env, "begin_step", None)

    def reset(self, seed: int) -> np.ndarray:
        """Return the first observation of the episode with this seed."""
        self._seed = seed
        self._steps = 0
        try:
            answer = self.env.reset(seed=seed)
        except BaseException as error:
            self._raise(f"reset(seed={seed})", error)
        try:
            observation, info = returned.reset_answer(answer)
            info = returned.info_of(info)
            self.text = info.get("text")
            observation = self._without_mask(observation, info, terminated=False)
            return self._observation(observation)
        except Refused as refused:
            self._refuse(refused)
        except Exception as error:
            self._refuse_unreadable("reset", error)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        """Return observation, reward, terminated, truncated."""
        self._steps += 1
        try:
            own = self._own_actions.get(action)
            if own is None:
                own = self._own_actions[action] = self._own_action(action)
            answer: Any = self.env.step(own)
        except BaseException as error:
            self._raise(f"step({action})", error)
        try:
            if type(answer) is tuple and len(answer) == 5:
                observation, reward, terminated, truncated, info = answer
            else:
                observation, reward, terminated, truncated, info = returned.step_answer(answer)
            # Each question of a type is the usual case, which costs little.
            if type(reward) is not float or not -LARGEST <= reward <= LARGEST:
                reward = returned.reward_of(reward)
            if type(terminated) is not bool:
                terminated = returned.truth_of(terminated, "terminated")
            if type(truncated) is not bool:
                truncated = returned.truth_of(truncated, "truncated")
            if type(info) is not dict:
                info = returned.info_of(info)
            if self.is_masked or "action_mask" in info:
                observation = self._without_mask(observation, info, terminated)
            if (
                self._is_short
                and type(observation) is np.ndarray
                and observation.shape == self._shape
                and observation.dtype == self._dtype
                and isfinite(sum(observation.tolist()))
                and self.into is not None
            ):
                self.into[...] = observation
                return self.into, reward, terminated, truncated
            return self._observation(observation), reward, terminated, truncated
        except Refused as refused:
            self._refuse(refused)
        except Exception as error:
            self._refuse_unreadable("step", error)

    def begin_step(self, action: int) -> None:
        """Begin a step in the environment's own thread, if it has one: several then run at once."""
        if self._begin_step is None:
            return
        try:
            self._begin_step(action)
        except BaseException as error:
            self._raise(f"step({action})", error)

    def render(self) -> np.ndarray:
        """Return a picture of what the environment shows now, [H, W, 3] uint8."""
        try:
            frame = self.env.render()
        except BaseException as error:
            self._raise("render()", error)
        try:
            array = np.asarray(frame)
        except Exception:
            self._refuse(Refused(f"drew {describe_value(frame)}, which is no picture"))
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
            self._refuse(
                Refused(
                    f"drew a frame of shape {list(array.shape)} and type {array.dtype}; it must be"
                    " [height, width, 3] uint8"
                )
            )
        return array.copy()

    def close(self) -> str:
        """Close the environment; return what went wrong in a sentence, empty if nothing did.

        Nothing is raised: by now there are results, which a failure must not lose.
        """
        try:
            self.env.close()
        except BaseException as error:
            if is_user_interrupt(error):
                raise
            return f"{self._name} raised {describe_error(error)} in close()."
        return ""

    @property
    def time_limit(self) -> int | None:
        """The time limit of the environment's registration, in steps; None without one."""
        with contextlib.suppress(Exception):
            return int(self.env.spec.max_episode_steps)  # type: ignore[arg-type, union-attr]
        return None

    @property
    def render_modes(self) -> list[str]:
        """The ways in which the environment can be drawn."""
        with contextlib.suppress(Exception):
            return [str(mode) for mode in self.env.metadata["render_modes"]]
        return []

    @property
    def frames_per_second(self) -> float:
        """The speed at which the environment wants to be shown."""
        with contextlib.suppress(Exception):
            fps = float(self.env.metadata["render_fps"])
            if 0 < fps < np.inf:
                return fps
        return DEFAULT_FPS

    @property
    def choice_texts(self) -> list[str]:
        """The texts of the choices now, where they are told as texts; else none."""
        texts = attribute_of(self.env, "choice_texts") if self.spaces.choices else None
        return list(texts or ())

    @property
    def names(self) -> dict[str, Any]:
        """What the environment names: `action_meanings`, `tokens` and its `tokenizer`."""
        names: dict[str, Any] = {}
        if self.action_meanings:
            names["action_meanings"] = self.action_meanings
        if self.spaces.vocabulary and self.tokens and self.tokens.names:
            names["tokens"] = list(self.tokens.names)
            if (kind := tokenizer_of(self.env)) in KINDS:
                names["tokenizer"] = kind
        return names

    @property
    def action_meanings(self) -> list[str] | None:
        """The environment's names of its actions; None if it has none, or another number.

        Actions that write the tokens of an observation, by the same numbers, have their names.
        Where choices are told as texts a number says nothing, and has no name.
        """
        spaces = self.spaces
        if spaces.choices:
            return None
        with contextlib.suppress(Exception):
            meanings = [str(name) for name in self.env.unwrapped.get_action_meanings()]  # type: ignore[attr-defined]
            if len(meanings) == spaces.actions:
                return meanings
        if spaces.vocabulary and self.tokens and self.tokens.names:
            vocabulary = Vocabulary(spaces.vocabulary, spaces.category_start, spaces.padding)
            actions = range(spaces.action_start, spaces.action_start + spaces.actions)
            return written_tokens(self.tokens.names, vocabulary, actions) or None
        return None

    @property
    def running_statistics(self) -> list[str]:
        """The wrappers that keep statistics over episodes, such as NormalizeReward.

        What they return depends on everything that this instance has played.
        """
        names = []
        with contextlib.suppress(Exception):
            layer = self.env
            while isinstance(layer, gym.Wrapper):
                kinds = {type(value).__name__ for value in vars(layer).values()}
                if "RunningMeanStd" in kinds:
                    names.append(type(layer).__name__)
                layer = layer.env
        return names

    def _require_same(self, spaces: Spaces) -> None:
        """Require the spaces of the instances before; take over what only they know."""
        self.spaces = dataclasses.replace(self.spaces, masked=spaces.masked, stack=spaces.stack)
        self.is_masked = spaces.masked
        before, now = spaces.to_dict(), self.spaces.to_dict()
        differences = [
            f"{key} {now[key]} in place of {before[key]}" for key in now if now[key] != before[key]
        ]
        if differences:
            raise UserError(
                f"{self._name} has other spaces than the one before it: {', '.join(differences)}."
                " Every instance must have the same."
            )

    def _without_mask(self, observation: Any, info: Any, terminated: bool) -> Any:
        """Take the mask out of observation or info into `mask`; return the observation proper.

        What follows on a cut still counts, so there too an action must be legal.
        """
        if self._mask_within:
            observation, mask = returned.parts_of(observation)
        else:
            mask = info.get("action_mask")
        if mask is None:
            if self.is_masked:
                raise Refused("gave no action_mask, though it gave one before")
            self.is_masked = False
            return observation
        if self.is_masked is False:
            raise Refused(
                "gave an action_mask, though it gave none before; every reset must give one too"
            )
        self.is_masked = True
        self.mask = returned.mask_of(mask, self.spaces.actions)
        if not terminated and not self.mask.any():
            raise Refused("gave an action_mask that allows no action")
        return observation

    def _observation(self, observation: Any) -> np.ndarray:
        """Return a copy of the observation; refuse another shape, type or category than it has."""
        array = observation
        # the usual case, which costs little
        if (
            type(array) is not np.ndarray
            or array.shape != self._shape
            or array.dtype != self._dtype
        ):
            array = returned.observation_of(observation, self._shape, self._dtype)
        if self._is_float:
            flat = array.reshape(-1)
            if not isfinite(flat.dot(flat)):  # where a square is too large, none need be infinite
                returned.require_finite(array, observation)
        elif self.spaces.categories:
            self._require_category(array)
        if self.into is None:
            return array.copy()
        self.into[...] = array
        return self.into

    def _require_category(self, array: np.ndarray) -> None:
        low = self.spaces.category_start
        high = low + self.spaces.categories - 1
        if low <= array.min() and array.max() <= high:
            return
        if not array.ndim:
            raise Refused(f"returned the observation {array}, but its space says {low} to {high}")
        index = int(((array < low) | (array > high)).argmax())
        raise Refused(
            f"returned the token {array[index]} at index [{index}], but its space says {low} to"
            f" {high}"
        )

    def _raise(self, call: str, error: BaseException) -> NoReturn:
        """Raise the sentence of what the environment raised in a call."""
        if isinstance(error, UserError) or is_user_interrupt(error):
            raise error
        if isinstance(error, Refused):  # of a part of the observation
            self._refuse(error)
        kind, _, message = describe_error(error).partition(": ")
        hint = ""
        if isinstance(error, TypeError) and ("'seed'" in message or "'options'" in message):
            hint = ". Gymnasium's reset takes `*, seed=None, options=None`"
        elif isinstance(error, ValueError) and "to unpack" in message:  # in one of its wrappers
            hint = f". {returned.STEP_ADVICE if self._steps else returned.RESET_ADVICE}"
        text = f"{self._name} raised {kind} in {call}"
        if message:
            text += f": {message}"
        if self._steps:
            text += f" ({self._moment()})"
        raise UserError(text + hint) from error

    def _refuse(self, refused: Refused) -> NoReturn:
        text = str(refused).rstrip(".")
        raise UserError(f"{self._name} {text} ({self._moment()}).") from refused

    def _refuse_unreadable(self, call: str, error: Exception) -> NoReturn:
        """Refuse an answer whose own parts raise when they are looked at."""
        raise UserError(
            f"{self._name} returned from {call} what cannot be read: {describe_error(error)}"
            f" ({self._moment()})."
        ) from error

    def _moment(self) -> str:
        if not self._steps:
            return f"reset with seed {self._seed}"
        return f"step {self._steps} of the episode reset with seed {self._seed}"


def is_user_interrupt(error: BaseException) -> bool:
    """Tell Control-C from an environment that raises KeyboardInterrupt itself."""
    is_interrupt = isinstance(error, KeyboardInterrupt)
    return is_interrupt and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def close_all(envs: Iterable[CheckedEnv]) -> None:
    """Close environments; on stderr, say once what went wrong."""
    sentences = [sentence for sentence in [env.close() for env in envs] if sentence]
    if sentences:
        more = f" (and {len(sentences) - 1} more)" if len(sentences) > 1 else ""
        print(f"warning: {sentences[0]}{more}", file=sys.stderr, flush=True)


def close_quietly(env: gym.Env) -> None:
    """Close an environment that nothing was played on; what it raises is told by the next close."""
    try:
        env.close()
    except BaseException as error:
        if is_user_interrupt(error):
            raise
