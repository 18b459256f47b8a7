"""The work that systems are timed at, and the same work made larger in one way.

Standard library only.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Setting:
    """One piece of work, the same for every system; steps are environment steps.

    After every `collect` steps there are `updates` updates. Timing starts `settle` steps after
    `warmup`, when everything is compiled. With `settle` None it starts before anything is built and
    covers the whole training.
    """

    env: str = "CartPole-v1"
    network: str = "mlp"  # or nature_cnn, for an Atari game under the classic protocol
    hidden_units: tuple[int, ...] = (120, 84)  # of the mlp
    batch_size: int = 128
    collect: int = 10
    updates: int = 1
    learning_rate: float = 2.5e-4
    gamma: float = 0.99
    max_gradient_norm: float = 10.0
    target_period: int = 500
    replay_capacity: int = 10_000
    num_envs: int = 1
    num_seeds: int = 1  # independent agents trained at once; steps are each one's
    epsilon_start: float = 0.05
    epsilon_end: float = 0.05
    epsilon_decay: int = 0
    warmup: int = 1_000
    settle: int | None = 1_000
    steps: int = 20_000  # timed, unless --steps says otherwise
    # the replay is filled to its capacity, with copies of what the warm-up brought, before timing
    # starts
    filled: bool = False

    @property
    def start(self) -> int:
        """The step at which timing starts."""
        return 0 if self.settle is None else self.warmup + self.settle

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.start + self.steps

    def vector_steps(self) -> tuple[int, int]:
        """Return `collect` and `updates` for systems that count a step of all environments as one.

        They have the same ratio in whole numbers.
        """
        calls = self.collect // math.gcd(self.collect, self.num_envs)
        return calls, calls * self.num_envs * self.updates // self.collect

    def work(self) -> str:
        """Describe the work in words."""
        network = "-".join(map(str, self.hidden_units)) if self.network == "mlp" else "Nature CNN"
        together = f", {self.num_envs} environments" if self.num_envs > 1 else ""
        full = " (full)" if self.filled else ""
        epsilon = f"{self.epsilon_end:g}"
        if self.epsilon_start != self.epsilon_end:
            decay = self.epsilon_decay
            epsilon = f"{self.epsilon_start:g} to {self.epsilon_end:g} over {decay:,} steps"
        timed = f"{self.steps:,} steps after {self.start:,}"
        if self.settle is None:
            timed = f"all {self.steps:,} steps from building to the last"
        return (
            f"{self.env}{together}, network {network}, batch {self.batch_size}, after every"
            f" {self.collect} environment steps {self.updates} update{'s' * (self.updates != 1)},"
            f" Adam at {self.learning_rate:g}, replay {self.replay_capacity:,}{full}, target copied"
            f" each {self.target_period} steps, epsilon {epsilon}; timed: {timed}"
        )


ANCHOR = Setting()  # CleanRL's classic-control settings, at the epsilon that they end with
ATARI = Setting(
    env="ALE/Pong-v5",
    network="nature_cnn",
    batch_size=32,
    collect=4,
    updates=1,
    learning_rate=1e-4,
    target_period=8_000,
    replay_capacity=20_000,
    epsilon_start=0.1,
    epsilon_end=0.1,
    steps=8_000,
)
SETTINGS = {
    "anchor": ANCHOR,
    "zoo": Setting(
        hidden_units=(256, 256),
        batch_size=64,
        collect=256,
        updates=128,
        learning_rate=2.3e-3,
        target_period=10,
        replay_capacity=100_000,
        epsilon_start=1.0,
        epsilon_end=0.04,
        epsilon_decay=8_000,
        settle=None,
        steps=50_000,
    ),
    "atari": ATARI,
    "atari8": dataclasses.replace(ATARI, num_envs=8),
}

SWEEPS: dict[str, tuple[int, ...]] = {
    "width": (64, 128, 256, 512, 1024),
    "batch": (32, 64, 128, 256, 512, 1024),
    "envs": (1, 2, 4, 8, 16, 32, 64),
    "seeds": (1, 2, 4, 8, 16),
    "capacity": (10_000, 100_000, 1_000_000),
    "length": (10,),
}
AXES = {
    "width": "units in each of two hidden layers",
    "batch": "transitions per update",
    "envs": "environments stepped together",
    "seeds": "independent agents trained at once",
    "capacity": "transitions that the replay holds, full",
    "length": "environment steps since timing started",
}
# replay capacities, full: what lies between is what the transitions take
MEMORY = (10_000, 1_000_000)


def swept(sweep: str, value: int, steps: int | None) -> Setting:
    """Return the anchor with one thing larger; for `length`, `value` times as many steps."""
    base = dataclasses.replace(ANCHOR, steps=steps or ANCHOR.steps)
    if sweep == "width":
        return dataclasses.replace(base, hidden_units=(value, value))
    if sweep == "batch":
        return dataclasses.replace(base, batch_size=value, warmup=max(base.warmup, value))
    if sweep == "envs":
        return dataclasses.replace(base, num_envs=value)
    if sweep == "seeds":
        return dataclasses.replace(base, num_seeds=value)
    if sweep == "length":
        return dataclasses.replace(base, steps=value * base.steps)
    return dataclasses.replace(base, replay_capacity=value, filled=True)  # capacity, memory
