"""Which environments a run's evaluations are played on: their own, or those of training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from dqn_tf.engines.engine import Engine
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.registry import EnvMaker
from dqn_tf.evaluation.kept_envs import KeptEnvs, parallel_of
from dqn_tf.support.errors import UserError


class EvaluationEnvs:
    """Environments kept from one evaluation to the next, beside those of training.

    Of some simulators only one instance can live: a port, a licence. Then evaluations are played on
    the training's own environments, and the episodes that were under way there are played back.
    """

    def __init__(self, engine: Engine, make_env: EnvMaker, say: Callable[[str], None]) -> None:
        self._engine = engine
        self._make_env = make_env
        self._say = say
        self._own: KeptEnvs | None = None
        self._borrows = engine.config.evaluation_envs == 0
        self._has_warned = False

    def reserve(self) -> None:
        """Make the first environment, or find that the training's have to do. Raises UserError."""
        if self._borrows and not self._engine.can_lend:
            self._engine.lend()  # says why it lends none
        if self._borrows or self._own is not None:
            return
        most = parallel_of(self._engine.config, self._make_env)
        own = KeptEnvs(self._make_env, most)
        try:
            own.ready(1)
        except UserError as error:
            if not self._engine.can_lend:
                raise
            self._borrows = True
            self._say(
                f"note: no environment can be made beside the training's ({error}), so evaluations"
                " use the training's and play its episode back afterwards."
            )
            return
        self._own = own

    @contextlib.contextmanager
    def ready(self, count: int) -> Iterator[list[CheckedEnv]]:
        """Give at most `count` environments for the time of one evaluation. Raises UserError."""
        self.reserve()
        if self._own is not None:
            yield self._own.ready(count)
            return
        with self._engine.lend() as loan:
            yield loan.envs
        if loan.differing and not self._has_warned:
            self._has_warned = True
            self._say(
                f"warning: environment {loan.differing[0]}, which the evaluation was played on, did"
                " not repeat its running episode from its seed and actions: learning goes on from"
                " where it is now."
            )

    def close(self) -> None:
        """Close the environments made here."""
        if self._own is not None:
            self._own.close()
