"""Exports of small agents, an environment of every kind for them, and evaluate.py run inside the
test's process.
"""

import json
import os
import signal
from importlib import util
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from absl import flags

from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.evaluation import flags as evaluate_flags
from dqn_tf.evaluation.__main__ import main as evaluate_main
from dqn_tf.export.publish import export

ROOT = Path(__file__).parents[2]
needs_pygame = pytest.mark.skipif(
    not util.find_spec("pygame"), reason="CartPole is drawn by pygame"
)


class Stage(gym.Env):
    """Three steps of noise of any kind, drawn from the reset's seed; pays 1 for the highest action."""

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 10}

    def __init__(self, space=None, actions=2, start=0, fault="", render_mode=None):
        self.observation_space = space or gym.spaces.Box(-1, 1, (3,), np.float64)
        self.action_space = gym.spaces.Discrete(actions, start=start)
        self.fault, self.render_mode = fault, render_mode

    def reset(self, *, seed=None, options=None):
        self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.steps += 1
        if self.fault == "raise":
            raise RuntimeError("the stage is on fire")
        if self.fault == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        highest = action == self.action_space.start + self.action_space.n - 1
        return self.observation_space.sample(), float(highest), self.steps == 3, False, {}

    def render(self):
        if self.fault == "grey":
            return np.zeros((7, 9), np.uint8)
        return np.full((7, 9, 3), 80 * self.steps, np.uint8)  # odd sizes: mp4 has none


STAGES = {
    "Stage-v0": {},
    "Stage-shape-v0": {"space": gym.spaces.Box(-1, 1, (5,), np.float32)},
    "Stage-image-v0": {"space": gym.spaces.Box(0, 255, (4, 4, 1), np.uint8)},
    "Stage-discrete-v0": {"space": gym.spaces.Discrete(6, start=2), "start": 4},
    "Stage-actions-v0": {"actions": 3},
    "Stage-start-v0": {"start": 1},
    "Stage-raise-v0": {"fault": "raise"},
    "Stage-interrupt-v0": {"fault": "interrupt"},
    "Stage-grey-v0": {"fault": "grey"},
}
for name, keywords in STAGES.items():
    gym.register(name, entry_point=Stage, kwargs=keywords)


def publish(env, directory, seed=0):
    """Exports an untrained agent for `env` as the next version in `directory`."""
    config = DQNConfig(env=env, hidden_units=(8,), seed=seed)
    spaces = registry.spaces(config)
    agent = DQN(config, spaces)
    observations = np.full(
        (4, *spaces.observation_shape), spaces.category_start, spaces.observation_dtype
    )
    return (
        export(agent, directory, observations, {"env": env, "weights": "last", "env_steps": 1234}),
        agent,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Exports by environment; CartPole has two versions, and `run` is a run directory that names
    the first.
    """
    base = tmp_path_factory.mktemp("saved_models")
    for env in ("Stage-v0", "Stage-image-v0"):
        publish(env, base / env)
    first, _ = publish("CartPole-v1", base / "CartPole-v1")
    publish("CartPole-v1", base / "CartPole-v1", seed=3)
    (base / "run").mkdir()
    (base / "run" / "evaluation.json").write_text(json.dumps({"export": str(first)}))
    return base


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs evaluate.py in this process with the given words; returns what it printed.

    Exit status: see `status`.
    """
    def run(*words, status=0):
        monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
        with pytest.raises(SystemExit) as exit_:
            evaluate_main(evaluate_flags.parse(["evaluate.py", *map(str, words)]))
        assert exit_.value.code == status
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run
