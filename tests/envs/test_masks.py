"""Action masks from the environment to the loaded export: no illegal action is ever taken, and none
is counted on.

The environments raise when an illegal action is taken, so a run that ends without an error took
none.
"""

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import oracles
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.episodes import evaluate
from dqn_tf.evaluation.exported_policy import ExportedPolicy
from dqn_tf.experience import exploration
from dqn_tf.export.publish import export
from dqn_tf.support.errors import UserError
from dqn_tf.training import plan, trainer
from dqn_tf.training.flags import TrainingFlags
from environments import MAZE_ACTIONS, MAZE_STATES, Maze, maze_legal, maze_q_star

MASKED = Spaces((3,), "float32", 4, masked=True)
KINDS = ("info", "dict")
for kind in KINDS:
    gym.register(f"Maze-{kind}-v0", entry_point=Maze, kwargs={"kind": kind}, max_episode_steps=5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_environment_raises_on_an_illegal_action(kind):
    """Else nothing below would show anything."""
    env, legal = Maze(kind), maze_legal()
    for seed in range(20):
        env.reset(seed=seed)
        with pytest.raises(ValueError, match="illegal"):
            env.step(env.action_space.start + np.flatnonzero(~legal[env.state])[0])
    assert (
        0.25 <= 1 - legal.mean() <= 0.35 and legal.any(axis=1).all() and not legal.all(axis=1).any()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_spaces_say_whether_there_are_masks(kind):
    spaces = registry.spaces(DQNConfig(env=f"Maze-{kind}-v0"))
    assert spaces.masked and spaces.actions == MAZE_ACTIONS
    assert not registry.spaces(DQNConfig(env="CartPole-v1")).masked


# --- training, evaluation, export -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "overrides"),
    [
        ("info", {"num_envs": 3}),
        ("dict", {"noisy": True, "hidden_units": (24,), "noisy_sigma": 1.0, "double": True}),
    ],
    ids=str,
)
def test_q_star_is_learned_and_no_illegal_action_is_taken(kind, overrides, tmp_path):
    """All rewards are negative, so an illegal action's value, never learned, is the largest of all:

    Q* shows whether it was counted on.
    """
    spaces = registry.spaces(DQNConfig(env=f"Maze-{kind}-v0"))
    config = oracles.make_config(
        **{
            "gamma": 0.9,
            "hidden_units": (),
            "batch_size": 32,
            "total_steps": 4_000,
            "warmup_env_steps": 400,
            "replay_capacity": 5_000,
            "epsilon_end": 1.0,
            "updates_per_block": 50,
            "learning_rate": 1e-2,
            "learning_rate_end": 1e-4,
            "target_update_period_env_steps": 40,
        }
        | overrides
    )
    make = registry.maker(DQNConfig(env=f"Maze-{kind}-v0"))
    engine = oracles.run(oracles.make_engine(config, make, oracles.make_agent(config, spaces)))
    legal, q_star = maze_legal(), maze_q_star(0.9)
    states = np.array([Maze(kind).see(state) for state in range(MAZE_STATES)])
    learned = engine.agent(tf.constant(states)).numpy()
    best = np.where(legal, q_star, -np.inf).max(axis=1)
    chosen = exploration.greedy_action(engine.q_function.q_values(states), legal)
    oracles.close(q_star[np.arange(MAZE_STATES), chosen], best)
    if not config.noisy:  # under noise the weights never quite come to rest
        oracles.close(learned[legal], q_star[legal], 1e-2)
    oracles.close(learned[np.arange(MAZE_STATES), chosen], best, 0.1 if config.noisy else 1e-2)
    assert (learned[~legal] > best[:, None].repeat(MAZE_ACTIONS, axis=1)[~legal]).any(), (
        "without masks, the greedy action would be illegal"
    )

    seeds = seeding.episode_seeds(config.seed, seeding.TEST, 8)
    version = export(engine.agent, tmp_path, states, {})
    scores = [
        evaluate(policy, make, seeds).returns.tolist()
        for policy in (
            lambda observation, mask: (
                exploration.greedy_action(engine.q_function.q_values(observation), mask)
                + spaces.action_start
            ),
            ExportedPolicy(version, spaces),
        )
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_run_and_evaluate_py(kind, evaluate_py, tmp_path, monkeypatch):
    """Trainer, periodic evaluation, checkpoint, test, export; then evaluate.py with the exported
    model. Untrained, it would be illegal at once.
    """
    monkeypatch.chdir(tmp_path)
    overrides = {
        "env": f"Maze-{kind}-v0",
        "seed": 1,
        "total_steps": 300,
        "warmup_env_steps": 100,
        "batch_size": 8,
        "hidden_units": (8,),
        "n_step": 3,
        "num_envs": 2,
        "evaluation_period_env_steps": 100,
        "evaluation_episodes": 3,
        "test_episodes": 5,
        "checkpoint_period_env_steps": 100,
    }
    plans = plan.prepare(
        TrainingFlags(
            overrides, 1, str(tmp_path / "run"), str(tmp_path / "export"), None, False, "stop"
        )
    )
    assert trainer.train(plans) == 0
    printed = evaluate_py(f"--model={tmp_path / 'export'}", "--episodes=7", f"--env=Maze-{kind}-v0")
    assert "7 episodes" in printed
    loaded = tf.saved_model.load(str(tmp_path / "export" / "1")).signatures
    acting = "serving_default", "action", "epsilon_greedy"
    assert set(loaded) == {"q_values", "metadata", *acting, *(f"{name}_masked" for name in acting)}


@pytest.mark.parametrize(
    "overrides", [{}, {"dueling": True}, {"distribution": "c51"}, {"noisy": True}], ids=str
)
def test_the_masked_signature_chooses_the_best_legal_action(overrides, tmp_path, generator):
    spaces = Spaces((3,), "float32", 4, action_start=7, masked=True)
    agent = oracles.make_agent(oracles.make_config(**overrides), spaces)
    observation = generator.normal(size=(64, 3)).astype(np.float32)
    mask = generator.random((64, 4)) < 0.5
    mask[np.arange(64), generator.integers(4, size=64)] = True
    answer = tf.saved_model.load(str(export(agent, tmp_path, observation, {}))).signatures[
        "serving_default_masked"
    ](observation=tf.constant(observation), action_mask=tf.constant(mask))
    q_values = agent(observation).numpy()
    oracles.close(answer["q_values"], q_values)
    expected = [
        max(np.flatnonzero(row), key=lambda action: values[action]) + 7
        for values, row in zip(q_values, mask, strict=True)
    ]
    assert answer["action"].numpy().tolist() == expected
    assert (np.array(expected) - 7 != q_values.argmax(axis=1)).any()


# --- what is stored -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_stored_masks_are_those_of_their_observations(kind, n_step):
    oracles.check_stored_masks(kind, n_step)


# --- random actions -------------------------------------------------------------------------------


def test_random_actions_are_uniform_over_the_legal_ones(generator):
    masks = np.array([[row >> action & 1 for action in range(5)] for row in range(1, 32)], bool)
    draw = generator.random((31, 4_000))
    for mask, draws in zip(masks, draw, strict=True):
        chosen = exploration.random_action(draws, 5, np.tile(mask, (4_000, 1)))
        counts = np.bincount(chosen, minlength=5)
        assert counts[~mask].sum() == 0
        assert mask.sum() == 1 or stats.chisquare(counts[mask]).pvalue > 1e-4
    mixed = exploration.random_action(draw[:, 0], 5, masks)  # each row by its own mask
    assert mixed.tolist() == [
        int(exploration.random_action(draw[row, :1], 5, masks[row : row + 1])[0])
        for row in range(31)
    ]


def test_with_everything_legal_the_mask_changes_nothing(generator):
    draw = np.append(generator.random(1_000), [0.0, np.nextafter(1.0, 0.0)])
    for actions in (1, 2, 3, 18):
        everything = np.ones((1_002, actions), bool)
        np.testing.assert_array_equal(
            exploration.random_action(draw, actions, everything),
            exploration.random_action(draw, actions),
        )
        q_values = generator.normal(size=(1_002, actions))
        np.testing.assert_array_equal(
            exploration.greedy_action(q_values, everything), exploration.greedy_action(q_values)
        )


def test_greedy_actions_are_legal_however_large_the_others_values_are():
    q_values = np.array([[1e30, -3.0, -4.0], [np.inf, -3e38, -1e30], [5.0, 4.0, 3.0]], np.float32)
    mask = np.array([[False, True, True], [False, True, False], [False, False, True]])
    assert exploration.greedy_action(q_values, mask).tolist() == [1, 1, 2]


# --- the Bellman target ---------------------------------------------------------------------------


@pytest.mark.parametrize("overrides", oracles.HEADS, ids=str)
def test_the_bellman_target_counts_on_legal_actions_only(overrides):
    oracles.check_masked_target(**overrides)


# --- what an environment may not do ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("masks", "sentence"),
    [
        (
            [None, np.ones(5)],
            "an action_mask, though it gave none before; every reset must give one too .step 1 ",
        ),
        ([np.ones(5), None], "no action_mask, though it gave one before .step 1 "),
        (
            [np.ones(5), np.ones(4)],
            r"an action_mask of shape \[4\]: it must be \[5\], one for each action .step 1 ",
        ),
        ([np.zeros(5)], "an action_mask that allows no action .reset with seed 1"),
    ],
    ids=["late", "lost", "shape", "none legal"],
)
def test_a_wrong_mask_is_a_sentence(masks, sentence):
    given = iter(masks)

    class Wrong(Maze):
        def _give(self):
            mask = next(given)
            return self.state, {} if mask is None else {"action_mask": mask}

    env = CheckedEnv(Wrong(), "The environment")
    with pytest.raises(UserError, match=f"^The environment gave {sentence}"):
        env.reset(1)
        state = env.env.state
        env.step(3 + int(np.flatnonzero(maze_legal()[state])[0]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("ends", "is_right"),
    [((True, False), True), ((True, True), True), ((False, True), False), ((False, False), False)],
    ids=["terminated", "both", "truncated", "going on"],
)
def test_a_mask_may_be_empty_where_nothing_follows(kind, ends, is_right):
    """After a cut the target counts on what would have followed, which needs a legal action."""

    class Ending(Maze):
        def step(self, action):
            observation, reward, _, _, info = super().step(action)
            told = observation if self.kind == "dict" else info
            told["action_mask"] = np.zeros(MAZE_ACTIONS, np.int8)
            return observation, reward, *ends, info

    env = CheckedEnv(Ending(kind), "The environment")
    env.reset(1)
    action = 3 + int(env.mask.argmax())
    if is_right:
        env.step(action)
        assert not env.mask.any()
        return
    with pytest.raises(UserError, match="gave an action_mask that allows no action .step 1 "):
        env.step(action)
