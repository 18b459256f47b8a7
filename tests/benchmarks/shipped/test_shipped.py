"""The agents in saved_models: their page says what is there, and they play as well as it says."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.shipped import __main__ as shipped
from benchmarks.shipped.__main__ import SAVED_MODELS
from command_server import run
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.evaluation.episodes import evaluate
from dqn_tf.evaluation.exported_policy import ExportedPolicy
from dqn_tf.support.errors import UserError
from small_runs import report, small_run

AGENTS = shipped.shipped(SAVED_MODELS)
# Atari's are long; a lander fails in one of fifty or a hundred, as ten do not show
EPISODES = {"ALE/Pong-v5": 1, "ALE/Breakout-v5": 5, "LunarLander-v3": 30}
every_agent = pytest.mark.parametrize(
    "agent", AGENTS, ids=[f"{agent.version.parent.name}/{agent.version.name}" for agent in AGENTS]
)


def test_the_page_is_what_would_be_written():
    assert (SAVED_MODELS / "README.md").read_text(encoding="utf-8") == shipped.render(SAVED_MODELS)


def test_a_page_is_written_of_a_run(tmp_path):
    models = tmp_path / "saved_models"
    status, text = run(small_run(tmp_path, seed=3, export_dir=models / "CartPole-v1"), tmp_path)
    assert status == 0, text
    assert shipped.keep(tmp_path / "run", models) == models / "CartPole-v1" / "training" / "1"
    (agent,) = shipped.shipped(models)
    assert "--seed=3" in agent.command and "--env=faulty:Corridor-v0" in agent.command
    assert str(tmp_path) not in (agent.records / "evaluation.json").read_text()
    page = shipped.render(models)
    score = report(tmp_path)["score"]
    assert (
        f"{score['mean']:.1f} [" in page
        and agent.manifest["weights_sha256"][:12] in page
        and "CartPole-v1/1" in page
    )
    with pytest.raises(UserError, match="what is shipped lies in"):
        shipped.keep(tmp_path / "run", tmp_path / "other")
    shutil.rmtree(models / "CartPole-v1" / "1")
    with pytest.raises(UserError, match="not there"):
        shipped.shipped(models)


@every_agent
def test_a_shipped_agent_is_whole(agent):
    """Its weights are those of the manifest and of the report, it is small, and it was made by the
    command that the page gives.
    """
    loaded = tf.saved_model.load(str(agent.version))
    weights = [variable.numpy() for variable in loaded.network_variables]
    assert weights_sha256(weights) == agent.manifest["weights_sha256"]
    assert (
        agent.manifest["score"].items() >= agent.report["score"].items() and agent.megabytes <= 15
    )
    assert (
        agent.report["export"] == f"saved_models/{agent.version.parent.name}/{agent.version.name}"
    )
    assert not json.dumps(agent.report).count("/tmp/")


@every_agent
def test_a_shipped_agent_plays_as_its_page_says(agent):
    pytest.importorskip(
        {"ALE": "ale_py", "MinAtar": "minatar", "LunarLander-v3": "Box2D"}.get(
            agent.manifest["env"].partition("/")[0], "numpy"
        )
    )
    env = agent.manifest["env"]
    config = DQNConfig.from_dict(agent.manifest["config"])
    policy = ExportedPolicy(agent.version, registry.spaces(config))
    seeds = range(7_000_000, 7_000_000 + EPISODES.get(env, 10))
    played = evaluate(policy, registry.maker(config), seeds, config.evaluation_episode_steps)
    score = agent.manifest["score"]
    spread = score["std"]
    assert played.returns.mean() >= score["mean"] - 4 * max(spread, 1.0) / np.sqrt(
        len(played.returns)
    )
