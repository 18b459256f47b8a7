"""Fetching the next batch while an update runs: the same batches, in the order of all at once."""

import dataclasses

import numpy as np
import pytest

import oracles
from dqn_tf.agent.program import Learned
from dqn_tf.agent.update_metrics import UPDATE_METRICS, BlockMetrics
from dqn_tf.engines import prefetch
from dqn_tf.engines.prefetch import PrefetchingLearner
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.replay import PrioritizedReplay, UniformReplay
from logged_episodes import random_episodes, shared
from sliding_square import SPACES, SlidingSquare

COLUMNS = {"number": ((), "int64"), "observation": ((2,), "float32")}


PRETRAINED = {"data": ("FILE",), "pretrain_updates": 10, "imitation": 0.1, "data_share": 0.4}


def played(count: int) -> LoggedEpisodes:
    """Random episodes of the sliding square."""
    episodes = random_episodes(SPACES, count, 0)
    observation = np.random.default_rng(1).integers(0, 255, episodes.observation.shape, np.uint8)
    final = np.zeros(episodes.final_observation.shape, np.uint8)
    return dataclasses.replace(episodes, observation=observation, final_observation=final)


class Recorder:
    """An agent that only remembers what it was given; row i's error is i."""

    block_metrics = BlockMetrics(UPDATE_METRICS, 1)

    def __init__(self) -> None:
        self.batches = []

    def learn(self, batches, updates) -> Learned:
        given = {name: column.numpy()[:updates] for name, column in batches.items()}
        self.batches.append(given)
        metrics = {
            "loss": float(given["number"].mean()),
            "q_selected": -1.0,
            "gradient_norm": float(given["number"].max()),
        }
        return Learned(metrics, np.zeros(0), given["number"].astype(np.float32))


def filled(prioritized: bool) -> UniformReplay:
    generator = np.random.default_rng(3)
    replay = (
        PrioritizedReplay(50, COLUMNS, generator, 0.6)
        if prioritized
        else UniformReplay(50, COLUMNS, generator)
    )
    number = np.arange(50)
    replay.add({"number": number, "observation": np.stack([number, -number], axis=1)})
    return replay


@pytest.mark.parametrize("prioritized", [False, True])
@pytest.mark.parametrize("at_once", [1, 2])
def test_equals_batches_fetched_all_at_once(prioritized, at_once, monkeypatch):
    monkeypatch.setattr(prefetch, "AT_ONCE", at_once)
    replay, other, agent = filled(prioritized), filled(prioritized), Recorder()
    learner = PrefetchingLearner(agent, replay, 6)
    for updates in (5, 1, 4):
        agent.batches.clear()
        learned, expected = learner.learn(5, updates), other.sample(5, 6)
        assert len(agent.batches) == -(-updates // at_once)
        for name, column in expected.items():
            np.testing.assert_array_equal(
                np.concatenate([batch[name] for batch in agent.batches]), column[:updates]
            )
        np.testing.assert_array_equal(learned.error, expected["number"][:updates])
        assert learned.metrics["loss"] == pytest.approx(expected["number"][:updates].mean())
        assert learned.metrics["gradient_norm"] == expected["number"][:updates].max()
        if prioritized:
            for one in (replay, other):
                one.update_priorities(learned.error)
    assert replay.generator.bit_generator.state == other.generator.bit_generator.state
    learner.close()


@pytest.mark.parametrize("logged", [{}, PRETRAINED], ids=["online", "pretrained"])
def test_an_engine_of_images_learns_as_with_all_at_once(logged):
    """The engine with its helper thread, against the same engine without."""
    config = oracles.make_config(
        **logged,
        num_envs=2,
        total_steps=60,
        warmup_env_steps=20,
        replay_capacity=40,
        updates_per_block=4,
        batch_size=3,
        n_step=2,
    )
    engines = [
        oracles.make_engine(
            config,
            SlidingSquare,
            oracles.make_agent(config, SPACES),
            shared(played(40)) if logged else (),
        )
        for _ in range(2)
    ]
    assert engines[0].prefetching is not None
    engines[1].prefetching = None
    for engine in engines:
        oracles.run(engine)
    assert engines[0].updates == 40 + config.logged_updates
    for one, other in zip(*(engine.agent.online.get_weights() for engine in engines), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
