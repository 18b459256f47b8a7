"""What is measured: experiments by measure, each the settings of one run and its rounds.

A round is a seed. Experiments of one measure take turns, so that whatever else the machine does
falls on all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import Job, RunFlags, RunOfJob
from benchmarks.common.processes import has_interpreter
from benchmarks.distributed import slow_env
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig

MEASURES = ("steps", "overhead", "highway", "rllib", "lag")
RLLIB = "rllib"
RLLIB_PYTHON = "RLLIB_PYTHON"  # the variable that names the interpreter that has RLlib
SLOW_ENV = f"benchmarks.distributed.slow_env:{slow_env.ENV_ID}"
MILLISECONDS = (1, 5, 20)
WORKERS = {slow_env.SLEEP: (0, 1, 2, 4, 8, 16, 32), slow_env.COMPUTE: (0, 1, 2, 4)}
TARGET = 200.0  # mean return of the last 100 episodes, of both systems beside each other
SECONDS = 20  # that are timed at least, if all goes as it should
BLOCKS = 3  # and so many blocks at least


class Experiment(NamedTuple):
    """One point of a measure.

    Attributes:
      settings: of dqn_tf; RLlib is given the same work.
      seeds: one for each round.
      timed_from: the environment step at which timing starts; 0 times nothing.
      target: the mean return whose time is measured; 0 for none.
      tests: whether the last weights are tested.
    """

    name: str
    title: str
    measure: str
    settings: dict[str, Any]
    seeds: range
    timed_from: int = 0
    target: float = 0.0
    tests: bool = False
    system: str = "dqn_tf"


# CleanRL's classic control, at the epsilon that it ends with, in 32 shards of 4 environments
WORK: dict[str, Any] = {
    "hidden_units": (120, 84),
    "batch_size": 128,
    "learning_rate": 2.5e-4,
    "max_gradient_norm": 10.0,
    "replay_capacity": 10_000,
    "env_steps_per_update": 10.0,
    "target_update_period_env_steps": 500,
    "warmup_env_steps": 640,
    "epsilon_start": 0.05,
    "epsilon_decay_env_steps": 0,
    "evaluation_period_env_steps": 0,
}
SLOW: dict[str, Any] = WORK | {
    "env": SLOW_ENV,
    "loss": "huber",
    "learning_rate_end": None,
    "num_envs": 128,
    "shard_envs": 4,
    "lag": 1,
    "updates_per_block": 64,
}
SETTLED = 4 * 640  # after so many steps all is compiled
# With a learning rate of 1e-3 dqn_tf's return fell again before it was at TARGET.
LEARNING: dict[str, Any] = SLOW | {
    "env_kwargs": {"milliseconds": 5, "kind": slow_env.SLEEP},
    "workers": 16,
    "total_steps": 80_000,
    "replay_capacity": 50_000,
    "env_steps_per_update": 4.0,
    "epsilon_start": 1.0,
    "epsilon_decay_env_steps": 16_000,
}
# on top of the preset
HIGHWAY: dict[str, Any] = {
    "env": "highway_env:highway-fast-v0",
    "num_envs": 8,
    "shard_envs": 4,
    "lag": 1,
    "optimizer_epsilon": 1e-7,
    "updates_per_block": 32,
    "epsilon_decay_env_steps": 6_000,
    "evaluation_period_env_steps": 2_000,
    "evaluation_episodes": 10,
}


def _steps() -> Iterator[Experiment]:
    for kind, workers in WORKERS.items():
        for milliseconds in MILLISECONDS:
            rounds = 3 if (kind, milliseconds) == (slow_env.SLEEP, 5) else 1
            for count in workers:
                yield Experiment(
                    f"{kind}_{milliseconds}_{count}",
                    f"{milliseconds} ms a step ({kind}), {_workers(count)}",
                    "steps",
                    SLOW
                    | {
                        "env_kwargs": {"milliseconds": milliseconds, "kind": kind},
                        "workers": count,
                        "total_steps": SETTLED + _timed(kind, milliseconds, count),
                    },
                    range(1, 1 + rounds),
                    SETTLED,
                )


def _timed(kind: str, milliseconds: int, workers: int) -> int:
    """Return how many steps to time: whole blocks, for SECONDS if nothing but the wait costs."""
    at_once = max(1, workers if kind == slow_env.SLEEP else min(workers, 2))
    most = 4_000  # steps/s beyond which something else must be the limit
    steps = SECONDS * min(at_once * 1000 / milliseconds, most)
    return 640 * max(BLOCKS, round(steps / 640))


def _overhead() -> Iterator[Experiment]:
    work = WORK | {"env": "CartPole-v1", "num_envs": 8, "total_steps": 34_000}
    for name, title, changes in (
        ("cartpole_lag_0", "one process, as ever", {}),
        ("cartpole_lag_1", "one process, `--lag=1`", {"lag": 1, "shard_envs": 4}),
        ("cartpole_2", "`--workers=2`", {"lag": 1, "shard_envs": 4, "workers": 2}),
    ):
        yield Experiment(name, title, "overhead", work | changes, range(1, 4), 4_000)


def _others() -> Iterator[Experiment]:
    for workers in (1, 2):
        yield Experiment(
            f"highway_{workers}",
            f"highway-fast-v0, {_workers(workers)}",
            "highway",
            HIGHWAY | {"workers": workers},
            range(1, 2),
            1_000,
        )
    for system in ("dqn_tf", RLLIB):
        title = "RLlib" if system == RLLIB else system
        yield Experiment(
            f"against_{system}",
            title,
            "rllib",
            LEARNING,
            range(1, 4),
            SETTLED,
            TARGET,
            system=system,
        )
    for lag in (0, 1):
        yield Experiment(
            f"lag_{lag}",
            f"`--lag={lag}`",
            "lag",
            {"env": "CartPole-v1", "lag": lag, "evaluation_period_env_steps": 0},
            range(1, 11),
            tests=True,
        )


def _workers(count: int) -> str:
    return f"{count} worker{'s' * (count != 1)}"


EXPERIMENTS = [*_steps(), *_overhead(), *_others()]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build one run's configuration, `overrides` on top. Raises UserError."""
    values = experiment.settings | overrides | {"seed": seed}
    return presets.configure(values["env"], {k: v for k, v in values.items() if k != "env"})


def jobs(options: RunFlags) -> Iterator[Job]:
    """Yield the chosen measures' runs, round by round; RLlib's only where its interpreter is."""
    measures = options.kinds["measures"]
    for measure in measures:
        names = [name for name in options.experiments if _counts(BY_NAME[name], measure)]
        if names:
            chosen = options._replace(experiments=names)
            yield from experiments_command.seed_by_seed(chosen, BY_NAME, _job)


def _counts(experiment: Experiment, measure: str) -> bool:
    has_system = experiment.system != RLLIB or has_interpreter(RLLIB_PYTHON)
    return experiment.measure == measure and has_system


def _job(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> Job:
    config = configure(experiment, seed, overrides)
    order = {
        "config": config.to_dict(),
        "timed_from": experiment.timed_from,
        "target": experiment.target,
        "tests": experiment.tests,
        "system": experiment.system,
    }
    return Job(experiment.title, order, [RunOfJob(experiment.name, config)])
