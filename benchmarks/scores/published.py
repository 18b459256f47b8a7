"""Published scores of DQN, each with its source, and the aims that dqn_tf is held to."""

from typing import Any, NamedTuple


class Published(NamedTuple):
    """A score of another project, as its authors print it."""

    system: str
    score: str
    measured_on: str
    source: str


class Aim(NamedTuple):
    """An interquartile mean to reach after so many environment steps."""

    total_steps: int
    iqm: float


ZOO = "rl-baselines3-zoo, benchmark.md"
CLEANRL = "CleanRL's documentation"
MINATAR = "Daley et al. 2025, brett-daley/reg-duel-q"
MINATAR_MEASURED = "1,000,000 steps, mean of 30 seeds, 1,000 episodes each at epsilon 0.01"
MINATAR_SCORES = {
    "MinAtar/Asterix-v1": 24.7,
    "MinAtar/Breakout-v1": 16.4,
    "MinAtar/Freeway-v1": 55.6,
    "MinAtar/Seaquest-v1": 18.0,
    "MinAtar/SpaceInvaders-v1": 79.6,
}

PUBLISHED = {
    "CartPole-v1": [
        Published("Stable-Baselines3", "500.0 ± 0.0", "one run of 50,000 steps", ZOO),
        Published("CleanRL", "488.7 ± 16.1", "500,000 steps, 3 seeds, training returns", CLEANRL),
    ],
    "Acrobot-v1": [
        Published("Stable-Baselines3", "-76.6 ± 11.8", "one run of 100,000 steps", ZOO),
    ],
    "MountainCar-v0": [
        Published("Stable-Baselines3", "-100.8 ± 9.9", "one run of 120,000 steps", ZOO),
        Published("CleanRL", "-195", "its classic-control settings", CLEANRL),
    ],
    "LunarLander-v3": [
        Published(
            "Stable-Baselines3", "154.4 ± 79.2", "one run of 100,000 steps on LunarLander-v2", ZOO
        ),
        Published(
            "SLM-Lab, double and prioritised",
            "265.9",
            "300,000 steps, 4 runs, the last 100 checkpoints of training",
            "SLM-Lab's benchmark page, 2026",
        ),
    ],
    **{
        env: [Published("DQN in PFRL", f"{score}", MINATAR_MEASURED, MINATAR)]
        for env, score in MINATAR_SCORES.items()
    },
}

# Of each environment the first is for as many steps as its preset takes.
AIMS = {
    "CartPole-v1": [Aim(50_000, 490.0)],
    "Acrobot-v1": [Aim(100_000, -85.0)],
    "MountainCar-v0": [Aim(120_000, -110.0)],
    "LunarLander-v3": [Aim(100_000, 200.0), Aim(300_000, 270.0)],
    **{env: [Aim(1_000_000, score)] for env, score in MINATAR_SCORES.items()},
}

# How the final test is done where published scores are not of greedy episodes, by family. The
# finalists of a run would play as many episodes once more.
PROTOCOLS: dict[str, dict[str, Any]] = {
    "MinAtar": {"test_episodes": 1_000, "test_epsilon": 0.01, "finalists": 1},
}


def protocol(env: str) -> dict[str, Any]:
    """Return the settings of the final test by which an environment's score is published."""
    return PROTOCOLS.get(env.rpartition("/")[0], {})
