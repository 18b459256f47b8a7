"""From an environment's id to environments, with every failure as a sentence that says what to do."""

import dataclasses
import importlib
import os
import re
import sys
import warnings
from collections.abc import Callable

import gymnasium as gym

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig, is_atari
from dqn_tf.envs import atari, gridworld, probes
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

EXTRA_PACKAGES = {  # namespace: the package to install, and its module that registers the namespace
    "MinAtar": ("minatar", "minatar.gym"),
}

# what envs.native holds, known without TensorFlow
NATIVE = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", gridworld.ENV_ID)

for own in (gridworld, probes):  # namespace dqn_tf
    own.register()


def maker(env: str, settings: DQNConfig | None = None) -> Callable[..., gym.Env]:
    """A function that makes one environment, passing keywords to `gymnasium.make`; proved by making
    one now.

    `my_module:MyEnv-v0` imports `my_module` first, from the current directory too. Atari games are
    played under the protocol of the settings, or of their preset. Raises UserError.
    """
    if is_atari(env):
        return atari.maker(env, settings or presets.configure(env, {}))
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    namespace = env.rpartition(":")[2].rpartition("/")[0]
    _register(namespace)

    def make(**keywords) -> gym.Env:
        # Gymnasium's checker costs a third of a CartPole step; what it would find is checked by
        # envs.vector.
        return gym.make(env, disable_env_checker=True, **keywords)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            make().close()
        except gym.error.NamespaceNotFound as error:
            if namespace in EXTRA_PACKAGES:
                raise UserError(
                    f"--env={env} needs a package that is not installed. Type: pip install"
                    f" {EXTRA_PACKAGES[namespace][0]}"
                ) from error
            raise UserError(
                f"--env={env}: nothing has registered the namespace {namespace}. Install the"
                f" package that does, and write --env=its_module:{env}"
            ) from error
        except gym.error.DependencyNotInstalled as error:
            extra = re.search(r"gymnasium\[[\w-]+\]", str(error))
            mend = f'Type: pip install "{extra[0]}"' if extra else str(error)
            raise UserError(f"--env={env} needs a package that is not installed. {mend}") from error
        except ModuleNotFoundError as error:
            missing = error.name or getattr(error.__cause__, "name", None) or env.partition(":")[0]
            raise UserError(
                f"--env={env}: no module named '{missing}' can be imported from {os.getcwd()} or"
                " the installed packages."
            ) from error
        except gym.error.Error as error:
            raise UserError(f"--env={env}: {' '.join(str(error).split())}") from error
        except Exception as error:
            raise UserError(
                f"--env={env}: making the environment failed: {type(error).__name__}: {error}"
            ) from error
    return make


def _register(namespace: str) -> None:
    """Gymnasium learns of another package's environments only once that package's module is asked
    to register them.
    """
    if namespace not in EXTRA_PACKAGES:
        return
    try:
        module = importlib.import_module(EXTRA_PACKAGES[namespace][1])
    except ImportError:
        return  # gymnasium.make then finds no such namespace
    module.register_envs()


def spaces(env: str, settings: DQNConfig | None = None) -> Spaces:
    """Spaces of the environment with this id; one reset tells whether it gives action masks.

    Raises UserError if it cannot be used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sample = maker(env, settings)()
    try:
        checked = CheckedEnv(sample, "The environment")
        checked.reset(seed=0)
        return dataclasses.replace(
            checked.spaces, masked=checked.mask is not None, stack=getattr(sample, "stack", 0)
        )
    except UserError as error:
        raise UserError(f"--env={env}: {error}") from error
    finally:
        sample.close()


def action_meanings(make: Callable[..., gym.Env]) -> list[str] | None:
    """What the environment calls its actions, if it says so (`get_action_meanings`, as Atari's
    does).
    """
    env = make()
    try:
        ask = getattr(env.unwrapped, "get_action_meanings", None)
        return [str(meaning) for meaning in ask()] if ask else None
    finally:
        env.close()


def require_native(env: str) -> None:
    """Raises UserError for environments that the graph engine does not have."""
    if env not in NATIVE:
        raise UserError(
            f"--engine=graph runs what is written in TensorFlow, which is {', '.join(NATIVE)}: for"
            f" --env={env} use --engine=host."
        )


def directory_name(env: str) -> str:
    """The id as one directory:

    `my_module:MyEnv-v0` and `ALE/Pong-v5` lie under `MyEnv-v0` and `Pong-v5`.
    """
    return env.replace(":", "/").rsplit("/", 1)[-1]
