"""RLlib's DQN at a measure's work, in an environment that has RLlib, and PyTorch on the CPU.

The order is that of `run_one.run`. Only Ray, RLlib, PyTorch and Gymnasium are needed.
"""

import logging
import os
import time
import warnings
from typing import Any

from benchmarks.common import machine
from benchmarks.common.processes import Orders
from benchmarks.distributed import process_tree, slow_env
from benchmarks.distributed.returns import TargetClock
from benchmarks.speed.stopwatch import Stopwatch

ENVS_AT_ONCE = 128  # as many as dqn_tf's, divided among the runners


def main() -> None:
    """Carry out the one order."""
    orders = Orders()
    warnings.simplefilter("ignore")
    orders.carry_out(run)


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Train RLlib's DQN; return what was measured by column of the record."""
    import ray
    import torch

    torch.set_num_threads(1)
    work = order["config"]
    watch = Stopwatch(order["timed_from"], work["total_steps"] - order["timed_from"])
    target = TargetClock(order["target"])
    before = time.perf_counter()
    ray.init(
        address="local",
        num_cpus=work["workers"] + 2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    algorithm = configure(work).build_algo()
    start_seconds = time.perf_counter() - before
    target.begin()
    env_steps = updates = 0
    try:
        while env_steps < work["total_steps"]:
            results = algorithm.train()
            env_steps, updates = counts(results, work["batch_size"])
            watch.at(env_steps)
            target.add(returns(results), env_steps)
        measured = _measured(os.getpid())
    finally:
        algorithm.stop()
        ray.shutdown()
    return measured | {
        "score": None,
        "timed_steps": watch.steps,
        "timed_seconds": watch.seconds,
        "start_seconds": start_seconds,
        "target_seconds": target.seconds,
        "target_steps": target.env_step,
        "curve": "",
        "seconds": time.perf_counter() - before - start_seconds,
        "updates": updates,
        "env_steps": env_steps,
        "versions": machine.show_versions(machine.versions(("ray", "torch", "gymnasium", "numpy"))),
    }


def configure(work: dict[str, Any]) -> Any:
    """Express the work in RLlib's words: a plain DQN with a uniform replay."""
    from gymnasium.envs.registration import registry
    from ray.rllib.algorithms.dqn import DQNConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
    from ray.tune.registry import register_env

    assert slow_env.ENV_ID in registry
    register_env("slow", make_env)
    fragment = max(1, int(work["env_steps_per_update"]))
    # RLlib counts one runner more than there are when it works out updates per step, and a runner
    # takes half a step of its environments more than it is asked for, on the average.
    counted = work["workers"] / (work["workers"] + 1) * (1 + 0.5 / fragment)
    return (
        DQNConfig()
        .environment("slow", env_config=work["env_kwargs"])
        .env_runners(
            num_env_runners=work["workers"],
            num_envs_per_env_runner=ENVS_AT_ONCE // work["workers"],
            num_cpus_per_env_runner=1,
            rollout_fragment_length=fragment,
        )
        .learners(num_learners=0)
        .training(
            lr=work["learning_rate"],
            gamma=work["gamma"],
            train_batch_size=work["batch_size"],
            training_intensity=counted * work["batch_size"] / work["env_steps_per_update"],
            grad_clip=work["max_gradient_norm"],
            target_network_update_freq=work["target_update_period_env_steps"],
            num_steps_sampled_before_learning_starts=work["warmup_env_steps"],
            replay_buffer_config={
                "type": "EpisodeReplayBuffer",
                "capacity": work["replay_capacity"],
            },
            epsilon=[
                (0, work["epsilon_start"]),
                (work["epsilon_decay_env_steps"], work["epsilon_end"]),
            ],
            double_q=False,
            dueling=False,
            n_step=1,
        )
        .rl_module(
            model_config=DefaultModelConfig(
                fcnet_hiddens=list(work["hidden_units"]), fcnet_activation="relu"
            )
        )
        .reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=640)
        .debugging(seed=work["seed"], log_level="ERROR")
    )


def make_env(settings: dict[str, Any]) -> Any:
    """Make the slow environment, in a runner."""
    import gymnasium as gym

    from benchmarks.distributed import slow_env

    return gym.make(slow_env.ENV_ID, disable_env_checker=True, **settings)


def counts(results: dict[str, Any], batch_size: int) -> tuple[int, int]:
    """Return environment steps and updates so far."""
    learner = results.get("learners", {}).get("default_policy", {})
    trained = int(learner.get("num_module_steps_trained_lifetime", 0))
    return int(results["num_env_steps_sampled_lifetime"]), trained // batch_size


def returns(results: dict[str, Any]) -> list[float]:
    """Return what stands for the newest episodes: their mean, as often as the clock counts."""
    from benchmarks.distributed.returns import EPISODES

    mean = results["env_runners"].get("episode_return_mean")
    return [] if mean is None else [float(mean)] * EPISODES


def _measured(pid: int) -> dict[str, Any]:
    own = process_tree.memory(pid)
    workers = [process_tree.memory(each) for each in process_tree.actors(pid)]
    found = [each for each in workers if each is not None]
    return {
        "learner_rss_mib": own.rss if own else None,
        "worker_rss_mib": sum(each.rss for each in found) / len(found) if found else None,
        "worker_pss_mib": sum(each.pss for each in found) / len(found) if found else None,
        "cpu_seconds": process_tree.cpu_seconds(pid),
    }


if __name__ == "__main__":
    main()
