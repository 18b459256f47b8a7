"""Collectors of a user's own, for `--collector=own_collector:...`; dqn_tf knows nothing of them."""

import os
from pathlib import Path

import numpy as np

from dqn_tf.experience.collector import LocalCollector
from dqn_tf.experience.steps import Steps


class Recording(LocalCollector):
    """The local collector, with a line for every step in the file that RECORDED_STEPS names.

    How many lines belong to the run is in every checkpoint: a resumed run cuts off the rest.
    """

    def __init__(self, config, make_env, q_function, generator) -> None:
        super().__init__(config, make_env, q_function, generator)
        self.file = Path(os.environ["RECORDED_STEPS"])
        self.lines = 0

    def collect(self, length, epsilon):
        steps = super().collect(length, epsilon)
        with self.file.open("a", encoding="utf-8") as file:
            for t, env in np.ndindex(steps.action.shape):
                file.write(f"{env} {steps.action[t, env]} {steps.env_reward[t, env]:g}\n")
        self.lines += steps.action.size
        return steps

    def state(self):
        values, arrays = super().state()
        return values | {"recorded_lines": self.lines}, arrays

    def restore(self, values, arrays):
        self.lines = values["recorded_lines"]
        lines = self.file.read_text(encoding="utf-8").splitlines(keepends=True)
        self.file.write_text("".join(lines[: self.lines]), encoding="utf-8")
        return super().restore(values, arrays)


class Clashing(LocalCollector):
    """Has a name in its state that is the run's own."""

    def state(self):
        values, arrays = super().state()
        return values | {"updates": 3}, arrays


class LastFirst:
    """Steps its environments from the last to the first, each by itself.

    Nothing of `LocalCollector`: it keeps only what `Collector` asks for. An episode under way is
    not saved, so a resumed run begins new ones.
    """

    def __init__(self, config, make_env, q_function, generator) -> None:
        self.envs = [make_env() for _ in range(config.num_envs)]
        self.seed, self.q_function, self.generator = config.seed, q_function, generator
        self.observations = [self.reset(index) for index in range(config.num_envs)]

    def reset(self, index):
        self.seed += 1
        return self.envs[index].reset(seed=self.seed)[0]

    def collect(self, length, epsilon):
        size = epsilon.shape
        action, reward = np.zeros(size, np.int64), np.zeros(size, np.float32)
        terminated, truncated = np.zeros(size, bool), np.zeros(size, bool)
        observation, after = [], []
        for t in range(length):
            observation.append(list(self.observations))
            after.append([None] * len(self.envs))
            for index in reversed(range(len(self.envs))):
                action[t, index] = self.act(self.observations[index], epsilon[t, index])
                step = self.envs[index].step(int(action[t, index]))
                after[t][index], reward[t, index], *ends, _ = step
                terminated[t, index], truncated[t, index] = ends
                self.observations[index] = after[t][index]
                if any(ends):
                    self.observations[index] = self.reset(index)
        no_masks = np.zeros((*size, 0), bool)
        return Steps(
            observation=np.array(observation),
            action=action,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            next_observation=np.array(after),
            action_mask=no_masks,
            next_action_mask=no_masks,
            env_reward=reward,
            env_ended=terminated | truncated,
        )

    def act(self, observation, epsilon):
        q_values = self.q_function.q_values(np.array([observation]))[0]
        if self.generator.random() < epsilon:
            return self.generator.integers(len(q_values))
        return q_values.argmax()

    def refresh(self, weights=None):
        self.q_function.refresh(weights)

    def state(self):
        return {"own_seed": self.seed}, {}

    def restore(self, values, arrays):
        self.seed = values["own_seed"]
        self.observations = [self.reset(index) for index in range(len(self.envs))]
        return list(range(len(self.envs)))

    def close(self):
        for env in self.envs:
            env.close()


class Lost(LocalCollector):
    """Loses its simulator."""

    def collect(self, length, epsilon):
        raise ConnectionError("no simulator")


class Deep(LocalCollector):
    """Gives each reward as a list of one."""

    def collect(self, length, epsilon):
        steps = super().collect(length, epsilon)
        steps.reward = steps.reward[:, :, None]
        return steps


def broken(config, make_env, q_function, generator):
    raise RuntimeError("no such machine")
