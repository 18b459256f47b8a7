"""The environments of evaluations: kept, few, or the training's own."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

import faulty
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.evaluation import watch
from dqn_tf.evaluation.episodes import Rules, play
from dqn_tf.evaluation.kept_envs import MAX_PARALLEL, KeptEnvs, automatic_parallel
from dqn_tf.support.errors import UserError
from dqn_tf.training import trainer

SMALL = DQNConfig(
    env="faulty:Corridor-v0",
    seed=3,
    total_steps=300,
    warmup_env_steps=64,
    batch_size=16,
    hidden_units=(8,),
    updates_per_block=4,
    replay_capacity=300,
    evaluation_period_env_steps=50,
    evaluation_episodes=2,
    test_episodes=3,
)


def trained(**changes) -> tuple[str, list[str]]:
    """The weights' hash of a small run, and what it said."""
    said: list[str] = []
    config = dataclasses.replace(SMALL, **changes)
    (run,) = trainer.make_runs([config], say=said.append)
    try:
        run.make_evaluation_envs()
        trainer.run_blocks([run])
        run.score_both()
        return weights_sha256(run.agent.online.get_weights()), said
    finally:
        run.close()


@pytest.fixture(scope="module")
def usual() -> str:
    """The weights of a run with environments of their own for evaluations."""
    return trained()[0]


def test_one_living_instance_is_enough_and_nothing_is_learned_otherwise(usual):
    """Six evaluations on the training's environment, whose episodes are played back after each."""
    faulty.OnlyOne.made = 0
    sha256, said = trained(env="faulty:OnlyOne-v0")
    assert sha256 == usual
    assert faulty.OnlyOne.living == 0 and faulty.OnlyOne.made == 1
    (note,) = [sentence for sentence in said if sentence.startswith("note:")]
    assert "Address already in use" in note and "use the training's" in note
    assert not any(sentence.startswith("warning:") for sentence in said)


def test_the_trainings_environments_are_lent_where_the_flag_says_so(usual):
    assert trained(evaluation_envs=0)[0] == usual


def test_an_evaluation_that_is_stopped_leaves_what_a_checkpoint_needs():
    """It is stopped by a signal while it plays on the training's environments."""
    (run,) = trainer.make_runs([dataclasses.replace(SMALL, evaluation_envs=0)])
    try:
        for _ in range(5):
            run.engine.run_block()
        values, arrays = run.engine.collector.state()
        with pytest.raises(KeyboardInterrupt), run.engine.lend() as loan:
            play(lambda observation, mask: np.full(1, 2), loan.envs, [4])
            raise KeyboardInterrupt
        after, arrays_after = run.engine.collector.state()
        assert after == values and arrays_after.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(arrays_after[name], array)
    finally:
        run.close()


def test_an_environment_that_does_not_repeat_itself_is_said_to_go_on_elsewhere(monkeypatch):
    class Forgetful(faulty.Corridor):
        draws = np.random.default_rng(0)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.place = int(self.draws.integers(8))
            return self._seen(), {}

    gym.register("Forgetful-v0", Forgetful, max_episode_steps=20)
    _, said = trained(env="Forgetful-v0", evaluation_envs=0)
    warnings = [sentence for sentence in said if sentence.startswith("warning:")]
    assert len(warnings) == 1 and "did not repeat its running episode" in warnings[0]


def test_environments_are_kept_from_one_evaluation_to_the_next(monkeypatch):
    made = []
    make = faulty.Corridor.__init__
    monkeypatch.setattr(
        faulty.Corridor, "__init__", lambda env: made.append(env) or make(env), raising=False
    )
    trained()
    assert len(made) <= 3
    made.clear()
    trained(evaluation_envs=3)
    assert len(made) <= 5


def test_how_many_are_made_without_a_flag():
    assert automatic_parallel(registry.maker(DQNConfig(env="CartPole-v1"))) == MAX_PARALLEL
    assert automatic_parallel(registry.maker(DQNConfig(env="dqn_tf/GridWorld-v0"))) == MAX_PARALLEL
    assert automatic_parallel(registry.maker(SMALL)) == 1


def test_as_many_are_kept_as_can_be_made():
    living = []

    def make():
        if len(living) == 2:
            raise OSError("no licence")
        living.append(faulty.Corridor())
        return living[-1]

    with KeptEnvs(make, 32) as envs:
        assert len(envs.ready(5)) == 2 and len(envs.ready(5)) == 2
    with pytest.raises(UserError, match="cannot be made: OSError: no licence"):
        KeptEnvs(make, 32).ready(1)


def test_an_evaluation_that_never_ends_is_cut_and_says_how_far_it_is(monkeypatch):
    monkeypatch.setattr(watch, "QUIET_SECONDS", 0.0)
    _, said = trained(env="faulty:Endless-v0", evaluation_episode_steps=30, test_episodes=9)
    assert (
        "note: 3 of 3 episodes did not end within 30 steps and were cut there, so the other 6 were"
        " left out."
    ) in said
    progress = [sentence for sentence in said if sentence.startswith("evaluation: ")]
    assert "of 9 episodes" in progress[-1] and "steps/s" in progress[-1]
    assert any(
        sentence.endswith("--evaluation_episode_steps cuts them earlier") for sentence in said
    )


def test_episodes_are_left_out_only_where_the_first_three_do_not_end():
    def act(observation, mask):
        return np.full(len(observation), 2)

    for most in (1, 4):
        with KeptEnvs(faulty.Corridor, most) as envs:
            evaluation = play(act, envs.ready(8), range(0, 32, 4), Rules(1, gives_up=True))
            # some begin a step before the end
            cut = evaluation.capped
            assert len(evaluation.seeds) in (3, 8) and cut >= min(3, len(evaluation.seeds))
        assert len(evaluation.seeds) == (3 if cut == 3 else 8)


@pytest.mark.parametrize("actions", [[0], [3], [1.0], [[1]], [1, 2], ["1"], [None]])
def test_what_a_policy_may_not_choose(actions):
    with KeptEnvs(faulty.Corridor, 1) as envs, pytest.raises(UserError, match="^The policy "):
        play(lambda observation, mask: np.array(actions), envs.ready(1), [4])


def test_what_lends_no_environments_says_so_at_the_start():
    with pytest.raises(UserError, match="^--evaluation_envs=0 .* --engine=graph lends none"):
        dataclasses.replace(SMALL, env="CartPole-v1", engine="graph", evaluation_envs=0)
