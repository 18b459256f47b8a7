"""rl-zoo3's own search in the same CPU time: a program for an environment of its own.

    path/to/python benchmarks/search/rl_zoo.py '{"env": "CartPole-v1", ...}'

rl-zoo3 needs Stable-Baselines3, and no dqn_tf. It prints a line of JSON at its end. A search that
was stopped goes on, and so do the runs of its best settings on fresh seeds.
"""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "rl_zoo3.train", "--algo", "dqn", "--num-threads", "1")
SPENT = "spent.json"  # CPU seconds of the search so far


def train(*words: str) -> None:
    """Type a command of rl-zoo3."""
    subprocess.run([*COMMAND, *words], check=True, stdout=sys.stderr)


def search(words: tuple[str, ...], folder: Path, cpu_seconds: float) -> None:
    """Type a command of rl-zoo3 that is ended when so much CPU time is spent in all."""
    file = folder / SPENT
    spent = json.loads(file.read_text(encoding="utf-8")) if file.exists() else 0.0
    left = int(cpu_seconds - spent)
    if left < 1:
        return
    start = _cpu_seconds_of_children()

    def limit() -> None:
        # a harder limit above it: at the first one, the kernel sends SIGXCPU
        resource.setrlimit(resource.RLIMIT_CPU, (left, left + 5))

    try:
        ended = subprocess.run([*COMMAND, *words], stdout=sys.stderr, preexec_fn=limit, check=False)
    finally:
        spent += _cpu_seconds_of_children() - start
        file.write_text(json.dumps(spent), encoding="utf-8")
    if ended.returncode not in (0, -signal.SIGXCPU):
        raise subprocess.CalledProcessError(ended.returncode, ended.args)


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main(order: dict[str, Any]) -> None:
    """Search as rl-zoo3 does by default, then train and test the best trial on each fresh seed.

    It ends after `trials` trials or `cpu_seconds` of CPU time, whichever is first.
    """
    import optuna

    folder, env = Path(order["folder"]), order["env"]
    storage = f"sqlite:///{folder.resolve() / 'rl_zoo.db'}"
    common = ("--env", env, "-n", str(order["steps"]), "--storage", storage, "--study-name", env)
    study = optuna.create_study(
        storage=storage, study_name=env, direction="maximize", load_if_exists=True
    )
    left = order["trials"] - sum(trial.state.is_finished() for trial in study.trials)
    if left > 0:
        searching = ("--optimize", "--n-trials", str(left), "--no-optim-plots", "--verbose", "0")
        words = (*common, *searching, "--seed", "0", "-f", str(folder / "search"))
        search(words, folder, order["cpu_seconds"])
    best = study.best_trial
    # counted from the end: rl-zoo3 takes trial 0 for none
    trial = ("--trial-id", str(best.number - len(study.trials)))
    scores = [score(common, trial, seed, order) for seed in order["seeds"]]
    done = sum(trial.state.is_finished() for trial in study.trials)
    result = {"seen": best.value, "test": scores, "parameters": best.params, "trials": done}
    print(json.dumps(result))


def score(common: tuple[str, ...], trial: tuple[str, ...], seed: int, order: dict) -> float:
    """Return the mean greedy return of a run with this seed, trained if it is not there."""
    import gymnasium as gym
    from stable_baselines3 import DQN
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.monitor import Monitor

    folder = Path(order["folder"]) / f"seed{seed}"
    file = folder / "dqn" / f"{order['env']}_1" / f"{order['env']}.zip"
    if not file.exists():
        train(*common, *trial, "--seed", str(seed), "--eval-freq", "-1", "-f", str(folder))
    env = Monitor(gym.make(order["env"]))
    env.reset(seed=seed + 1)
    mean, _ = evaluate_policy(DQN.load(file, device="cpu"), env, order["episodes"])
    return float(mean)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
