"""The methods that are compared: flags of train.py, the data set, and numbers for each environment.

The numbers were chosen by a small search on the seeds 100 and 101, which are not reported.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.offline import data_sets
from benchmarks.offline.data_sets import NONE
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support.errors import UserError

ENVS = ("CartPole-v1", "LunarLander-v3")
TEST_EPISODES = 30


class Method(NamedTuple):
    """One line of the table.

    `flags` stand on top of the environment's own. With `is_scored` the run is tested after its last
    update; otherwise it is stopped by the first evaluation at or above the threshold.
    """

    title: str
    flags: dict[str, Any]
    of_best: bool = False  # learns from the best tenth of the episodes alone
    uses_data: bool = True
    is_scored: bool = True


METHODS = {
    "cloning": Method("behaviour cloning", {"support": 1.0}),
    "cloning_best": Method("cloning of the best 10 % of episodes", {"support": 1.0}, of_best=True),
    "monte_carlo": Method("Monte-Carlo Q", {}),
    "naive": Method("DQN, nothing added", {}),
    "cql": Method("DQN with `--cql_alpha`", {}),
    "support": Method("DQN with `--support`", {}),
    "imitation": Method("DQN with `--imitation`, margin", {"imitation_loss": "margin"}),
    "imitation_long": Method("the same, four times the updates", {"imitation_loss": "margin"}),
    "online": Method("online DQN, as many updates", {}, uses_data=False),
    "online_alone": Method("online alone", {}, uses_data=False, is_scored=False),
    "offline_first": Method("offline first, then online", {}, is_scored=False),
}


class Numbers(NamedTuple):
    """What is chosen for one environment: offline updates, and flags by method.

    `flags` hold for all methods that learn from data.
    """

    updates: int
    threshold: float  # Gymnasium's own
    evaluation_period: int  # environment steps; of the runs to the threshold
    limit: int  # environment steps after which such a run is given up
    alone_in_scores: bool  # `online_alone` is `recommended` of benchmarks.scores, with this period
    starts: tuple[str, ...]  # the data sets of `offline_first`
    flags: dict[str, Any]
    of_method: dict[str, dict[str, Any]]


NUMBERS = {
    "CartPole-v1": Numbers(
        3_000,
        475.0,
        500,
        50_000,
        False,
        ("medium", "replay"),
        {},
        {
            "monte_carlo": {"n_step": 500},
            "cql": {"cql_alpha": 1.0},
            "support": {"support": 0.3},
            "imitation": {"imitation": 1.0},
            "imitation_long": {"imitation": 1.0, "offline_updates": 12_000},
        },
    ),
    "LunarLander-v3": Numbers(
        5_000,
        200.0,
        5_000,
        50_000,
        True,
        ("replay",),
        {},
        {
            "monte_carlo": {"n_step": 1_000},
            "cql": {"cql_alpha": 0.5},
            "support": {"support": 0.3},
            "imitation": {"imitation": 0.2},
            "imitation_long": {"imitation": 0.2, "offline_updates": 20_000},
        },
    ),
}


class Job(NamedTuple):
    """One run: what is learned from which data set, with which seed."""

    env: str
    data_set: str  # NONE where there is none
    method: str
    seed: int


def jobs(env: str, chosen: list[str], sets: list[str], seeds: range) -> list[Job]:
    """List the runs, seed by seed: a sweep that is stopped can be compared."""
    starts = NUMBERS[env].starts
    found = []
    for seed in seeds:
        for name in chosen:
            method = METHODS[name]
            if name == "online_alone" and NUMBERS[env].alone_in_scores:
                continue
            learned = sets if method.is_scored else [each for each in sets if each in starts]
            for data_set in learned if method.uses_data else [NONE]:
                found.append(Job(env, data_set, name, seed))
    return found


def configure(job: Job, directory: Path, overrides: dict[str, Any]) -> DQNConfig:
    """Build one run's configuration; `overrides` come last. Raises UserError."""
    if job.env not in NUMBERS:
        raise UserError(f"--envs: '{job.env}' is none of {', '.join(NUMBERS)}.")
    numbers = NUMBERS[job.env]
    method = METHODS[job.method]
    values: dict[str, Any] = data_sets.PRESET_THEN.get(job.env, {}) | {
        "seed": job.seed,
        "test_episodes": TEST_EPISODES,
        "evaluation_period_env_steps": 0,
    }
    if method.uses_data:
        file = data_file(job, directory)
        values |= {"data": (str(file),), "offline_updates": numbers.updates} | numbers.flags
    values |= method.flags | numbers.of_method.get(job.method, {}) | overrides
    if method.uses_data and method.is_scored:
        values["total_steps"] = 0
    if job.method == "online":
        updates = values.pop("offline_updates", numbers.updates)
        values["total_steps"] = _steps_for(job.env, updates, values)
    if job.method == "online_alone":
        values.pop("offline_updates", None)
    return presets.configure(job.env, values)


def data_file(job: Job, directory: Path) -> Path:
    """Return the file that a run learns from."""
    ending = data_sets.BEST if METHODS[job.method].of_best else ""
    return data_sets.path(directory, job.env, job.data_set + ending)


def _steps_for(env: str, updates: int, values: dict[str, Any]) -> int:
    """Return the environment steps for which so many updates are due."""
    values = {name: value for name, value in values.items() if name != "total_steps"}
    config = presets.configure(env, values)
    return config.warmup_env_steps + round(updates * config.env_steps_per_update)


def nameless(config: DQNConfig) -> DQNConfig:
    """Return the configuration with the names of its data files alone, wherever they lie."""
    names = tuple(Path(name).name for name in config.data)
    return dataclasses.replace(config, data=names)
