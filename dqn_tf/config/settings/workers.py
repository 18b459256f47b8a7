"""Collecting while learning, and in other processes."""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses

from dqn_tf.config.conditions import POSITIVE
from dqn_tf.config.ranges import Range
from dqn_tf.config.settings.setting import WORKERS, setting


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """Collecting while learning, and in other processes."""

    lag: int = setting(
        0,
        WORKERS,
        "blocks by which the acting weights are behind: 0 collects a block and then learns from it;"
        " 1 collects each block while the updates of the one before are done. With --workers it is"
        " 1",
        Range(0, 1),
        unit="blocks",
        fixed_on_resume=True,
    )
    shard_envs: int = setting(
        0,
        WORKERS,
        "environments whose actions are computed in one multiplication, which a worker has"
        " together; it must divide --num_envs. 0 is all of them with --lag=0, and with --lag=1 a"
        " size by their number: 8 where 8 divides it and it is at least 64, else 4 where 4 divides"
        " it, else 1",
        Range(low=0),
        fixed_on_resume=True,
    )
    workers: int = setting(
        0,
        WORKERS,
        "processes that take the environment steps, of the extra `distributed`; 0 is this process."
        " The weights that are learned are the same for any number",
        Range(low=0),
    )
    ray_address: str = setting(
        "",
        WORKERS,
        "host:port of a Ray cluster for the workers, or auto for the one of this machine; empty"
        " starts a Ray of its own",
    )
    worker_timeout: float = setting(
        300.0,
        WORKERS,
        "a worker that has not answered for so long is ended, and its block is played again",
        POSITIVE,
        unit="seconds",
        when={"workers": POSITIVE},
    )
    accept_other_workers: bool = setting(
        False,
        WORKERS,
        "let workers take steps that compute other bits or have other versions than this process;"
        " the run cannot be repeated then",
    )
