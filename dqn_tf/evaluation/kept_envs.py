"""The environments of evaluations: made when they are needed, and kept from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import gymnasium as gym

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.checked_env import CheckedEnv, close_all
from dqn_tf.envs.spaces import known_spaces
from dqn_tf.support.errors import UserError, describe_error

# Environments stepped together, so that one call of the policy serves all of them.
MAX_PARALLEL = 32


class KeptEnvs:
    """Up to `most` environments; one that can be made is enough."""

    def __init__(self, make: Callable[..., gym.Env], most: int, **keywords: Any) -> None:
        """Take what makes an environment, with keywords such as render_mode."""
        self._make = make
        self._keywords = keywords
        self._most = most
        self._envs: list[CheckedEnv] = []

    def ready(self, count: int) -> list[CheckedEnv]:
        """Return at most `count` environments, and at least one.

        Where no further one can be made, those that there are do. Raises UserError without any.
        """
        while len(self._envs) < min(count, self._most):
            try:
                self._envs.append(self._made())
            except UserError:
                if not self._envs:
                    raise
                self._most = len(self._envs)
        return self._envs[:count]

    def close(self) -> None:
        """Close the environments."""
        envs, self._envs = self._envs, []
        close_all(envs)

    def __enter__(self) -> KeptEnvs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _made(self) -> CheckedEnv:
        spaces = known_spaces(self._make)
        try:
            env = self._make(**self._keywords)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"The environment cannot be made: {describe_error(error)}") from error
        return CheckedEnv(env, "The environment", spaces)


def parallel_of(config: DQNConfig, make: Callable[[], gym.Env]) -> int:
    """Return how many episodes are played side by side: as configured, or as many as are well."""
    return config.evaluation_envs or automatic_parallel(make)


def automatic_parallel(make: Callable[[], gym.Env]) -> int:
    """Return how many environments an evaluation steps together where no flag says it.

    Of a simulator that nobody knows, every further instance may need a port, a licence or another
    gigabyte.
    """
    return MAX_PARALLEL if getattr(make, "comes_with_package", False) else 1
