"""Stable-Baselines3's DQN at the same work, in an environment that has it and highway-env.

The order is that of `run_one.run`.
"""

import time
import warnings
from typing import Any

from benchmarks.common import machine
from benchmarks.common.processes import Orders
from benchmarks.driving.drives import scores


def main() -> None:
    """Carry out the one order."""
    orders = Orders()
    warnings.simplefilter("ignore")
    orders.carry_out(run)


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Train once; return scores and costs by column of the record."""
    import gymnasium
    import torch
    from stable_baselines3 import DQN

    torch.set_num_threads(1)
    work = order["config"]
    module, _, env_id = work["env"].partition(":")
    assert module == "highway_env"
    import highway_env

    gymnasium.register_envs(highway_env)
    env = gymnasium.make(env_id)
    model = DQN(
        "MlpPolicy",
        env,
        policy_kwargs={"net_arch": list(work["hidden_units"])},
        learning_rate=work["learning_rate"],
        buffer_size=work["replay_capacity"],
        learning_starts=work["warmup_env_steps"],
        batch_size=work["batch_size"],
        gamma=work["gamma"],
        train_freq=1,
        gradient_steps=1,
        target_update_interval=work["target_update_period_env_steps"],
        exploration_fraction=work["epsilon_decay_env_steps"] / work["total_steps"],
        exploration_final_eps=work["epsilon_end"],
        max_grad_norm=work["max_gradient_norm"],
        seed=work["seed"],
        device="cpu",
    )
    start, cpu_start = time.monotonic(), time.process_time()
    model.learn(work["total_steps"])
    costs = {
        "seconds": time.monotonic() - start,
        "cpu_seconds": time.process_time() - cpu_start,
        "updates": model._n_updates,
        "env_steps": model.num_timesteps,
    }
    drives = [drive(model, env, seed) for seed in order["episode_seeds"]]
    env.close()
    names = ("stable-baselines3", "torch", "gymnasium", "numpy", "highway-env")
    versions = machine.show_versions(machine.versions(names))
    returns, lengths = zip(*drives, strict=True)
    return scores(returns, lengths) | costs | {"versions": versions}


def drive(model: Any, env: Any, seed: int) -> tuple[float, int]:
    """Play one greedy episode; return its return and length."""
    observation, _ = env.reset(seed=seed)
    total, length, is_over = 0.0, 0, False
    while not is_over:
        action, _ = model.predict(observation, deterministic=True)
        observation, reward, terminated, truncated, _ = env.step(int(action))
        total += float(reward)
        length += 1
        is_over = terminated or truncated
    return total, length


if __name__ == "__main__":
    main()
