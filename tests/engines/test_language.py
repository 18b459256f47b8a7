"""A language model that is pretrained, learns offline, then online, on whole episodes or steps."""

import json

import numpy as np
import pytest

import oracles
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.factory import make_host_engine
from dqn_tf.envs import registry
from dqn_tf.experience.logged.shares import load_all
from dqn_tf.run_files import checkpoint
from dqn_tf.training import trainer

SETTINGS = {
    "env": "dqn_tf/Rewrite-v0",
    "env_kwargs": {"length": 3, "symbols": 4},
    "network": "gru",
    "layers": 1,
    "width": 8,
    "seed": 3,
    "data": ("env",),
    "pretrain_updates": 100,
    "offline_updates": 70,
    "explore_with": "behaviour",
    "imitation": 0.1,
    "q_weight": 3.0,
    "learning_rate": 1e-2,
    "batch_size": 8,
    "num_envs": 3,
    "env_steps_per_update": 3.0,
    "updates_per_block": 5,
    "total_steps": 90,
    "warmup_env_steps": 24,
    "replay_capacity": 40,
    "target_update_period_env_steps": 30,
    "epsilon_start": 0.5,
    "evaluation_period_env_steps": 0,
}
SWITCHES = {
    "steps": {},
    "prioritized episodes": {"replay_unit": "episode", "prioritized": True, "n_step": 2},
}


def make_run(**overrides):
    (run,) = trainer.make_runs([DQNConfig(**SETTINGS | overrides)])
    return run


def everything(engine) -> dict:
    values, arrays = engine.state()
    held = arrays | engine.replay.rows()
    return json.loads(json.dumps(values)) | {
        name: weights_sha256([array]) for name, array in held.items()
    }


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_stopped_in_any_part_or_between_two_it_goes_on_to_the_bit(switches, tmp_path):
    config = DQNConfig(**SETTINGS | switches)
    make_env = registry.maker(config)
    logged = load_all(config.data, make_env.spaces, make_env.corpus)
    agent = oracles.make_agent(config, make_env.spaces)
    birth = agent.arrays()
    engine = make_host_engine(config, agent, make_env, logged)
    moments, parts = {}, []
    while not engine.finished:
        values, arrays = engine.state()
        files = {"state.npz": arrays, "replay.npz": engine.replay.rows()}
        saved = checkpoint.save(tmp_path, engine.progress, values, files)
        moments[engine.progress] = checkpoint.load(saved)
        parts.append((engine.progress, engine.is_pretraining, engine.is_offline))
        engine.run_block()
    assert parts[:5] == [
        (0, True, True),
        (64, True, True),
        (100, False, True),
        (164, False, True),
        (170, False, False),
    ]
    assert engine.updates == 170 + (90 - 24) // 3
    expected = everything(engine)
    assert "held_out/pretrained" in expected
    metrics = engine.behaviour_metrics()
    engine.close()
    for progress in (64, 100, 164, 170, max(moments)):
        moment = moments[progress]
        agent.load_arrays(birth)
        other = make_host_engine(config, agent, make_env, logged)
        assert other.restore(moment.state, moment.files["state.npz"], moment.replay) == []
        oracles.run(other)
        differing = {key for key, value in everything(other).items() if value != expected[key]}
        assert not differing, f"stopped at {progress}"
        assert other.behaviour_metrics() == metrics
        other.close()


def test_pretraining_lowers_the_held_out_cross_entropy_and_nothing_else_moves():
    run = make_run(pretrain_updates=300, offline_updates=0, total_steps=0)
    engine = run.engine
    before = engine.behaviour_metrics()
    assert set(before) == {"held_out_cross_entropy"}
    assert before["held_out_cross_entropy"] == pytest.approx(np.log(4), abs=0.4)
    head = [variable.numpy() for variable in run.agent.online.head.variables]
    trainer.run_blocks([run])
    after = engine.behaviour_metrics()
    # half of the tokens are right, the others are drawn from all four
    bound = -(0.625 * np.log(0.625) + 0.375 * np.log(0.125))
    assert bound - 0.1 < after["held_out_cross_entropy"] < before["held_out_cross_entropy"] - 0.1
    assert after["kl_to_pretrained"] == pytest.approx(0.0, abs=1e-9)
    for old, variable in zip(head, run.agent.online.head.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    for online, target in zip(run.agent.online.weights, run.agent.target.weights, strict=True):
        np.testing.assert_array_equal(online.numpy(), target.numpy())
    run.close()


def test_what_is_held_out_is_never_drawn():
    run = make_run()
    everything_drawn = np.concatenate(
        [part.episodes.observation for part in run.engine.replay.logged]
    )
    whole = make_run(pretrain_updates=0, imitation=0.1).engine.replay.logged[0].episodes
    held = run.engine.held_out
    assert len(everything_drawn) + held.steps == len(whole)
    run.close()


def test_exploring_by_the_behaviour_writes_what_the_corpus_would():
    task = {"task": "count", "length": 3, "symbols": 4}
    config = {
        "env_kwargs": task,
        "pretrain_updates": 400,
        "offline_updates": 0,
        "total_steps": 600,
        "q_weight": 0.0,
    }
    run = make_run(**config, epsilon_start=1.0, epsilon_end=1.0, warmup_env_steps=599)
    trainer.run_blocks([run])
    rewards = run.engine.replay.online.columns["reward"][: len(run.engine.replay)]
    # the corpus is right in half of the tokens and by chance in an eighth more; random play in 0.25
    assert np.mean(rewards > 0) > 0.4
    run.close()


@pytest.mark.parametrize("share", ["support", "explore_support"])
def test_exploring_within_the_support_writes_any_supported_token_equally_often(share):
    task = {"task": "count", "length": 1, "symbols": 4}
    config = {"env_kwargs": task, "pretrain_updates": 400, "offline_updates": 0, "q_weight": 0.0}
    run = make_run(
        **config,
        total_steps=1200,
        explore_with="support",
        **{share: 0.5},
        epsilon_start=1.0,
        epsilon_end=1.0,
        warmup_env_steps=1199,
        replay_capacity=1200,
    )
    trainer.run_blocks([run])
    rewards = run.engine.replay.online.columns["reward"][:1199]
    # the right token has 5/8, each other 1/8: less than half of it
    assert np.mean(rewards > 0) > 0.95
    run.close()
