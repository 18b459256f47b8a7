"""Published scores of DQN, each with its source, and the aims that dqn_tf is held to."""

from typing import NamedTuple


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
    ],
    "MinAtar/Breakout-v1": [Published("DQN in PFRL", "16.4", MINATAR_MEASURED, MINATAR)],
    "MinAtar/SpaceInvaders-v1": [Published("DQN in PFRL", "79.6", MINATAR_MEASURED, MINATAR)],
}

AIMS = {
    "CartPole-v1": Aim(50_000, 490.0),
    "Acrobot-v1": Aim(100_000, -85.0),
    "MountainCar-v0": Aim(120_000, -110.0),
    "LunarLander-v3": Aim(100_000, 200.0),
    "MinAtar/Breakout-v1": Aim(1_000_000, 16.4),
    "MinAtar/SpaceInvaders-v1": Aim(1_000_000, 79.6),
}
