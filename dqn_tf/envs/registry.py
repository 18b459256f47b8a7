"""From a configuration to environments; every failure is a sentence that says what to do."""

import dataclasses
import importlib
import os
import re
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import gymnasium as gym

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import is_atari
from dqn_tf.envs import atari, gridworld, probes
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.vector import SeededVectorEnv
from dqn_tf.support.errors import UserError
from dqn_tf.support.imports import see_working_directory

EXTRA_PACKAGES = {  # namespace: the package to install, and its module that registers the namespace
    "MinAtar": ("minatar", "minatar.gym"),
}

# whose environments have names of their own
KNOWN_NAMESPACES = ("ALE", "MinAtar", "dqn_tf")

# the environments that the graph engine has, known without TensorFlow
NATIVE = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", gridworld.ENV_ID)

for module in (gridworld, probes):  # namespace dqn_tf
    module.register()


def make_env(config: DQNConfig | str, **keywords: Any) -> gym.Env:
    """Make one environment as dqn_tf plays it; `keywords` go to `gymnasium.make`.

    `config` is a configuration or an environment's id. An id gets the settings of its preset, which
    for an Atari game are its protocol. Raises UserError.
    """
    if isinstance(config, str):
        config = presets.configure(config, {})
    return maker(config)(**keywords)


def maker(config: DQNConfig) -> Callable[..., gym.Env]:
    """Return a function that makes one environment and passes keywords to `gymnasium.make`.

    It is tried once here. `my_module:MyEnv-v0` imports `my_module` first, from the current
    directory too. Atari games are played under the configuration's protocol. Raises UserError.
    """
    if is_atari(config.env):
        return atari.maker(config)
    see_working_directory()
    _register(_namespace(config.env))

    def make(**keywords: Any) -> gym.Env:
        # Gymnasium's checker costs a third of a CartPole step; envs.vector checks the same.
        return gym.make(config.env, disable_env_checker=True, **keywords)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            make().close()
        except Exception as error:
            _explain(config.env, error)
    return make


def vector_env(config: DQNConfig, make_env: Callable[[], gym.Env]) -> SeededVectorEnv:
    """Make `num_envs` environments that are stepped together, on the configuration's seed."""
    if is_atari(config.env):
        return atari.AtariVector(make_env, config)
    return SeededVectorEnv(make_env, config.num_envs, config.seed or 0)


def spaces(config: DQNConfig) -> Spaces:
    """Return the environment's spaces; one reset tells whether it gives action masks.

    Raises UserError if the environment cannot be used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = maker(config)()
    try:
        checked = CheckedEnv(env, "The environment")
        checked.reset(seed=0)
        return dataclasses.replace(
            checked.spaces, masked=checked.mask is not None, stack=getattr(env, "stack", 0)
        )
    except UserError as error:
        raise UserError(f"--env={config.env}: {error}") from error
    finally:
        env.close()


def action_meanings(make: Callable[..., gym.Env]) -> list[str] | None:
    """Return the environment's names of its actions (`get_action_meanings`), None without them."""
    env = make()
    try:
        get_meanings = getattr(env.unwrapped, "get_action_meanings", None)
        return [str(meaning) for meaning in get_meanings()] if get_meanings else None
    finally:
        env.close()


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
    namespace = _namespace(env)
    name = env.rpartition(":")[2].rpartition("/")[2]
    return name if not namespace or namespace in KNOWN_NAMESPACES else f"{namespace}-{name}"


def _namespace(env: str) -> str:
    """`my_module:MinAtar/Breakout-v1` → `MinAtar`; "" without one."""
    return env.rpartition(":")[2].rpartition("/")[0]


def _register(namespace: str) -> None:
    """Ask another package to register its environments, where Gymnasium does not do it."""
    if namespace not in EXTRA_PACKAGES:
        return
    _, module_name = EXTRA_PACKAGES[namespace]
    try:
        package = importlib.import_module(module_name)
    except ImportError:
        return  # gymnasium.make then finds no such namespace
    package.register_envs()


def _explain(env: str, error: Exception) -> NoReturn:
    """Raise the UserError that says what to do about an `error` of `gymnasium.make`."""
    if isinstance(error, gym.error.NamespaceNotFound):
        sentence = _explain_namespace(env)
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
        sentence = f"--env={env}: {' '.join(str(error).split())}"
    else:
        sentence = f"--env={env}: making the environment failed: {type(error).__name__}: {error}"
    raise UserError(sentence) from error


def _explain_namespace(env: str) -> str:
    namespace = _namespace(env)
    if namespace in EXTRA_PACKAGES:
        package, _ = EXTRA_PACKAGES[namespace]
        return f"--env={env} needs a package that is not installed. Type: pip install {package}"
    return (
        f"--env={env}: nothing has registered the namespace {namespace}. Install the"
        f" package that does, and write --env=its_module:{env}"
    )
