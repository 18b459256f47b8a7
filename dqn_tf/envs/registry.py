"""From a configuration to environments; every failure is a sentence that says what to do."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

import gymnasium as gym

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import import_names, is_atari, namespace_of, show
from dqn_tf.envs import (
    applications,
    atari,
    flattened,
    gridworld,
    packages,
    placement,
    probes,
    similar_ids,
    text,
    tokenizer,
)
from dqn_tf.envs.checked_env import CheckedEnv, close_quietly, is_user_interrupt
from dqn_tf.envs.choices import ChoiceTexts
from dqn_tf.envs.dialogues import MessageReader, MessageTokens
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.tokenizer import Tokenizer
from dqn_tf.envs.tokens import attribute_of
from dqn_tf.envs.vector import SeededVectorEnv
from dqn_tf.support.errors import UserError, describe_error, describe_value
from dqn_tf.support.imports import import_named, see_working_directory

# packages of whose environments any number can live at once
MANY_INSTANCES = ("gymnasium", "minatar", "ale_py", "dqn_tf")

# whose environments have names of their own
KNOWN_NAMESPACES = ("ALE", "MinAtar", "dqn_tf")

# the environments that the graph engine has, known without TensorFlow
NATIVE = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", gridworld.ENV_ID)

for module in (gridworld, probes, text, applications, placement):  # namespace dqn_tf
    module.register()


class EnvMaker:
    """Makes instances of one environment, and passes keywords to `gymnasium.make`.

    The instance that was made to try it is the first one handed out, and what is asked of the
    environment is asked of it. So one living instance is enough. `close` it where it may be left.
    """

    def __init__(self, config: DQNConfig, make: Callable[..., gym.Env]) -> None:
        self._config = config
        self._make = make
        self._spare: gym.Env | None = None
        self._seen: _Seen | None = None

    def __call__(self, **keywords: Any) -> gym.Env:
        """Make an instance, or hand out the one at hand. Raises UserError."""
        spare = self._spare
        if spare is not None and not keywords:
            self._spare = None
            return spare
        self.close()
        return self._made(**keywords)

    @property
    def spaces(self) -> Spaces:
        """The environment's spaces; one reset tells whether it gives action masks.

        Raises UserError if the environment cannot be used.
        """
        return self._look().spaces

    @property
    def names(self) -> dict[str, Any]:
        """The environment's names of its actions and of its tokens, as far as it has any.

        They are `action_meanings`, of `get_action_meanings`, and `tokens`, lists of texts. The text
        `tokenizer` is beside them, one of `tokenizer.KINDS`, and `observation_parts`, what lies
        where in a vector made of several parts.
        """
        return self._look().names

    def tokenizer(self) -> Tokenizer | MessageReader | None:
        """Return what makes observations of texts, where it is known."""
        spaces = self.spaces
        reader = attribute_of(self._spare, "message_reader") if self._spare else None
        return reader.of_spaces(spaces) if reader else tokenizer.of_names(self.names, spaces)

    @property
    def comes_with_package(self) -> bool:
        """Whether it is of a package whose environments are known to live side by side."""
        return self._look().comes_with_package

    @property
    def time_limit(self) -> int | None:
        """The time limit of the environment's registration, in steps; None without one."""
        return self._look().time_limit

    @property
    def reward_threshold(self) -> float | None:
        """The mean return from which the registration calls it solved; None without one.

        With wrappers it is None too: rewards may be others.
        """
        return self._look().reward_threshold

    @property
    def caveats(self) -> list[str]:
        """Sentences on what makes returns here say less than they seem to."""
        wrappers = self._look().running_statistics
        if not wrappers:
            return []
        return [
            f"note: {' and '.join(wrappers)} keeps statistics of what its own instance has played:"
            " evaluations and a served export see other numbers than training does. Scale by"
            " constants instead."
        ]

    def corpus(self) -> Any:
        """Return what `corpus()` of the environment, or of a wrapper, returns: logged data.

        They are the columns of an npz file; nothing of them is checked. Raises UserError where
        there is no such method, or if it fails.
        """
        if self._spare is None:
            self.try_once()
        make = attribute_of(self._spare, "corpus")
        if not callable(make):
            raise UserError(
                f"--data=env: --env={self._config.env} has no data of its own, which a method"
                " `corpus` would return (docs/extending.md). Name a file, such as --data=FILE.npz."
            )
        try:
            return make()
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"--data=env: `corpus` of --env={self._config.env} failed: {describe_error(error)}."
            ) from error
        finally:
            self.close()  # it may have played on this instance

    def texts(self) -> list[str]:
        """Return texts like those that the environment tells; empty where it says none."""
        if self._spare is None:
            self.try_once()
        texts = attribute_of(self._spare, "texts")
        are_texts = isinstance(texts, (list, tuple)) and all(isinstance(t, str) for t in texts)
        return list(texts) if texts is not None and are_texts else []

    def try_once(self) -> None:
        """Make the first instance. Raises UserError."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._spare = self._made()

    def close(self) -> None:
        """Close the instance at hand, if there is one."""
        spare, self._spare = self._spare, None
        if spare is not None:
            close_quietly(spare)

    def _made(self, **keywords: Any) -> gym.Env:
        with _in_one_directory():
            try:
                env = wrapped(self._make(**keywords), self._config)
            except UserError:
                raise
            except BaseException as error:
                if is_user_interrupt(error):
                    raise
                _explain(self._config, error)
        if not isinstance(env, gym.Env):
            raise UserError(
                f"--env={self._config.env}: what was made is no gymnasium.Env, but"
                f" {describe_value(env)}."
            )
        return env

    def _look(self) -> _Seen:
        if self._seen is not None:
            return self._seen
        if self._spare is None:
            self.try_once()
        env = self._spare
        assert env is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                checked = CheckedEnv(env, "The environment")
                observation = checked.reset(seed=0)
            except UserError as error:
                self.close()
                raise UserError(f"--env={self._config.env}: {error}") from error
        stack = env.stack if isinstance(env, atari.AtariGame) else 0
        spaces = dataclasses.replace(checked.spaces, masked=bool(checked.is_masked), stack=stack)
        names = checked.names
        if isinstance(env, flattened.Flattened):
            names["observation_parts"] = env.observation_parts
        reader = tokenizer.of_names(names, spaces)
        if reader and not reader.reads(checked.text, observation, checked.choice_texts):
            del names["tokenizer"]
        threshold = None
        # it is that of the environment as it was registered
        if env.spec is not None and not (self._config.env_wrappers or self._config.env_kwargs):
            threshold = env.spec.reward_threshold
        package = _comes_with_package(env)
        statistics = checked.running_statistics
        self._seen = _Seen(spaces, names, package, checked.time_limit, threshold, statistics)
        return self._seen


@contextlib.contextmanager
def _in_one_directory() -> Iterator[None]:
    """Change back into the working directory: paths that were typed are relative to it."""
    before = os.getcwd()
    try:
        yield
    finally:
        os.chdir(before)


class _Seen(NamedTuple):
    """What one look at an instance tells of all."""

    spaces: Spaces
    names: dict[str, Any]
    comes_with_package: bool
    time_limit: int | None
    reward_threshold: float | None
    running_statistics: list[str]


def make_env(config: DQNConfig | str, **keywords: Any) -> gym.Env:
    """Make one environment as dqn_tf plays it; `keywords` go to `gymnasium.make`.

    `config` is a configuration or an environment's id. An id gets the settings of its preset, which
    for an Atari game are its protocol. Raises UserError.
    """
    if isinstance(config, str):
        config = presets.configure(config, {})
    return maker(config)(**keywords)


def maker(config: DQNConfig) -> EnvMaker:
    """Return what makes instances of the configured environment.

    It is tried once here. `my_module:MyEnv-v0` imports `my_module` first, from the current
    directory too. Atari games are played under the configuration's protocol. Raises UserError.
    """
    if is_atari(config.env):
        make_game = atari.maker(config)
        return EnvMaker(config, make_game)
    similar_ids.require_protocol(config.env)
    see_working_directory()
    packages.register(config.env)

    def make(**keywords: Any) -> gym.Env:
        # Gymnasium's checker costs a third of a CartPole step; `CheckedEnv` checks the same.
        arguments = {"disable_env_checker": True} | config.env_kwargs | keywords
        return gym.make(config.env, **arguments)

    env_maker = EnvMaker(config, make)
    env_maker.try_once()
    return env_maker


def wrapped(env: gym.Env, config: DQNConfig) -> gym.Env:
    """Put the configured wrappers around an environment, the outermost last. Raises UserError.

    What it observes as several parts then becomes one vector: see `flattened`.
    """
    for name in import_names(config.env_wrappers):
        wrapper = import_named("env_wrappers", name)
        try:
            env = wrapper(env)
        except BaseException as error:
            if isinstance(error, UserError) or is_user_interrupt(error):
                raise
            raise UserError(
                f"--env_wrappers={config.env_wrappers}: {name} raised {describe_error(error)}"
            ) from error
    env = flattened.as_vector(env)
    if config.language_model:
        env = MessageTokens(env, config)
    if config.choices == "texts":
        return ChoiceTexts(env, config.max_choices, config.choice_tokens)
    return env


def vector_env(config: DQNConfig, make_env: Callable[[], gym.Env], envs: range) -> SeededVectorEnv:
    """Make those of a run's environments, by their numbers, that are stepped together."""
    if is_atari(config.env):
        return atari.AtariVector(make_env, config, envs)
    return SeededVectorEnv(make_env, len(envs), config.seed or 0, envs.start)


def spaces(config: DQNConfig) -> Spaces:
    """Return the environment's spaces; one reset tells whether it gives action masks.

    Raises UserError if the environment cannot be used.
    """
    with contextlib.closing(maker(config)) as env_maker:
        return env_maker.spaces


def corpus(config: DQNConfig) -> Any:
    """Return the columns of the environment's own logged data: see `EnvMaker.corpus`."""
    with contextlib.closing(maker(config)) as env_maker:
        return env_maker.corpus()


def texts(config: DQNConfig) -> list[str]:
    """Return texts like those that the environment tells: see `EnvMaker.texts`."""
    with contextlib.closing(maker(config)) as env_maker:
        return env_maker.texts()


def names(config: DQNConfig) -> dict[str, Any]:
    """Return the environment's names of its actions and tokens: see `EnvMaker.names`."""
    with contextlib.closing(maker(config)) as env_maker:
        return env_maker.names


def find_tokenizer(config: DQNConfig) -> Tokenizer | MessageReader | None:
    """Return what makes observations of texts: see `EnvMaker.tokenizer`."""
    with contextlib.closing(maker(config)) as env_maker:
        return env_maker.tokenizer()


def require_native(env: str) -> None:
    """Raise UserError for environments that the graph engine does not have."""
    if env not in NATIVE:
        raise UserError(
            f"--engine=graph runs what is written in TensorFlow, which is {', '.join(NATIVE)}: for"
            f" --env={env} use --engine=host."
        )


def directory_name(env: str) -> str:
    """Return the id as the name of one directory.

    `my_module:MyEnv-v0` and `ALE/Pong-v5` lie under `MyEnv-v0` and `Pong-v5`, `my_pkg/Grid-v0`
    under `my_pkg-Grid-v0`: two packages may have a Grid-v0.
    """
    namespace = namespace_of(env)
    name = env.rpartition(":")[2].rpartition("/")[2]
    return name if not namespace or namespace in KNOWN_NAMESPACES else f"{namespace}-{name}"


def _comes_with_package(env: gym.Env) -> bool:
    """Tell whether the environment is one of a package that is known to make many instances."""
    with contextlib.suppress(Exception):
        return type(env.unwrapped).__module__.partition(".")[0] in MANY_INSTANCES
    return False


def _explain(config: DQNConfig, error: BaseException) -> NoReturn:
    """Raise the UserError that says what to do about an `error` of `gymnasium.make`."""
    env = config.env
    package = packages.package_of(env)
    is_missing = isinstance(error, (*similar_ids.UNREGISTERED, ModuleNotFoundError))
    if is_missing and package is not None and not packages.is_installed(package):
        sentence = f"--env={env} needs a package that is not installed. {package.advice}"
    elif isinstance(error, gym.error.DependencyNotInstalled):
        extra = re.search(r"gymnasium\[[\w-]+\]", str(error))
        mend = f'Type: pip install "{extra[0]}"' if extra else str(error)
        sentence = f"--env={env} needs a package that is not installed. {mend}"
    elif isinstance(error, ModuleNotFoundError):
        cause = getattr(error.__cause__, "name", None)
        module_name = error.name or cause or env.partition(":")[0]
        sentence = (
            f"--env={env}: no module named '{module_name}' can be imported from {os.getcwd()} or"
            " the installed packages."
        )
    elif isinstance(error, gym.error.Error):
        sentence = similar_ids.explain(env, error)
    else:
        sentence = f"--env={env}: making the environment failed: {describe_error(error)}"
        if config.env_kwargs:
            sentence += f" (with --env_kwargs='{show(config.env_kwargs)}')"
        elif isinstance(error, TypeError) and "argument" in sentence:
            sentence += ". Its arguments are given by --env_kwargs, as a JSON object."
    raise UserError(sentence) from error
