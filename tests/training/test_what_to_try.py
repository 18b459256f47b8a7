"""What a run says at its end if it has not reached what it could."""

import numpy as np
import pytest

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.training.what_to_try import RunOutcome, read_outcome, what_to_try

CONFIG = DQNConfig(env="Taxi-v4", total_steps=60_000, epsilon_decay_env_steps=300)
RANDOM = [-10.0, 10.0] * 10  # mean 0, standard error 2.3


def summary(mean, spread=1.0, longest=(1, 0.0), length=200):
    return {
        "episodes": 20,
        "mean": mean,
        "mean_ci95": [mean - spread, mean + spread],
        "max_length": length,
        "longest_episodes": longest[0],
        "longest_mean": longest[1],
    }


def test_nothing_to_say():
    assert what_to_try(CONFIG, RunOutcome(summary(5.0), RANDOM), None, 200) == []
    assert what_to_try(CONFIG, RunOutcome(summary(9.0), RANDOM), 8.0, 200) == []
    # it may be solved
    assert what_to_try(CONFIG, RunOutcome(summary(7.5), RANDOM), 8.0, 200) == []
    # nobody knows what playing at random gives
    assert what_to_try(CONFIG, RunOutcome(summary(0.0), RANDOM[:5]), None, 200) == []


def test_as_bad_as_at_random():
    lines = what_to_try(CONFIG, RunOutcome(summary(4.0), RANDOM), 8.0, 200)
    assert lines[0].startswith("That is no better than its first 20 episodes")
    assert lines[1].endswith("--env=Taxi-v4")
    assert lines[2:4] == ["  --total_steps=120000", "  --epsilon_decay_env_steps=30000"]
    assert lines[4:] == ["  --n_step=3 --double"]


@pytest.mark.parametrize(
    ("env", "steps"),
    [
        ("Taxi-v4", 100_000),
        ("CartPole-v1", 50_000),
        ("dqn_tf/GridWorld-v0", 6_000),
        ("LunarLander-v3", 300_000),  # from there on its preset has more
    ],
)
def test_a_short_run_is_told_of_the_usual_length(env, steps):
    short = DQNConfig(env=env, total_steps=2_000, epsilon_decay_env_steps=5_000)
    lines = what_to_try(short, RunOutcome(summary(4.0), RANDOM), 8.0, 200)
    # it explored until its end
    assert lines[2:] == [f"  --total_steps={steps}", "  --n_step=3 --double"]


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({}, ["  --n_step=3 --double --dueling"]),
        ({"double": True, "n_step": 5}, ["  --dueling"]),
        ({"double": True, "n_step": 5, "dueling": True}, []),
    ],
)
def test_below_what_counts_as_solved(settings, parts):
    config = DQNConfig(**CONFIG.to_dict() | settings)
    lines = what_to_try(config, RunOutcome(summary(6.0), RANDOM), 8.0, 200)
    assert lines == [
        "The environment calls 8 solved. What to try:",
        "  --total_steps=120000",
        *parts,
    ]


WAITS = (
    "  --gamma=0.995 --epsilon_decay_env_steps=30000  (4 of 20 test episodes ran into the time"
    " limit of 200 steps, with a mean return of 5.00: it waits)"
)


@pytest.mark.parametrize(
    ("settings", "test", "line"),
    [
        ({}, {"longest": (4, 5.0)}, WAITS),
        ({}, {"longest": (1, 5.0)}, None),  # few
        ({}, {"longest": (4, 7.0)}, None),  # to last is good there
        ({}, {"longest": (4, 5.0), "length": 199}, None),  # nothing but an end
        ({"gamma": 0.999}, {"longest": (4, 5.0)}, WAITS.replace("--gamma=0.995 ", "")),
        (
            {"epsilon_decay_env_steps": 30_000, "epsilon_end": 0.8},
            {"longest": (4, 5.0)},
            WAITS.replace("decay_env_steps=30000", "end=1"),
        ),
    ],
)
def test_an_agent_that_waits_for_the_time_limit(settings, test, line):
    config = DQNConfig(**CONFIG.to_dict() | settings)
    lines = what_to_try(config, RunOutcome(summary(6.0, **test), RANDOM), 8.0, 200)
    assert [each for each in lines if "waits" in each] == ([] if line is None else [line])


OUTLIERS = (
    "  --total_steps=120000 --huber_delta=30 --max_gradient_norm=300  (rewards are up to 100 in"
    " size, and beyond an error of 1 Huber's loss counts all alike: what comes seldom is hardly"
    " learned)"
)


@pytest.mark.parametrize(
    ("settings", "reward", "line"),
    [
        ({}, 100.0, OUTLIERS),
        ({"max_gradient_norm": 0.0}, 100.0, OUTLIERS.replace(" --max_gradient_norm=300", "")),
        ({}, 9.9, None),
        ({}, None, None),  # nobody knows
        ({"huber_delta": 30.0}, 100.0, None),
        ({"loss": "mse"}, 100.0, None),
        ({"distribution": "quantile"}, 100.0, None),
    ],
)
@pytest.mark.parametrize("mean", [4.0, 6.0])  # as at random, and below what counts as solved
def test_rewards_that_hubers_loss_takes_for_outliers(settings, reward, line, mean):
    config = DQNConfig(**CONFIG.to_dict() | settings)
    outcome = RunOutcome(summary(mean), RANDOM, largest_reward=reward)
    lines = what_to_try(config, outcome, 8.0, 200)
    assert [each for each in lines if "Huber" in each] == ([] if line is None else [line])


def test_noisy_layers_explore_without_an_epsilon():
    config = DQNConfig(**CONFIG.to_dict() | {"noisy": True})
    waits = RunOutcome(summary(6.0, longest=(4, 5.0)), RANDOM)
    bad = RunOutcome(summary(4.0), RANDOM)
    lines = what_to_try(config, waits, 8.0, 200) + what_to_try(config, bad, 8.0, 200)
    assert any("--gamma=0.995  (4 of 20" in line for line in lines)
    assert not any("epsilon" in line for line in lines)
    far = DQNConfig(**config.to_dict() | {"gamma": 0.999})
    assert not any("waits" in line for line in what_to_try(far, waits, 8.0, 200))


@pytest.mark.parametrize(
    ("settings", "q_selected", "reward", "has_diverged"),
    [
        ({}, 1001.0, 5.0, True),
        ({}, -1001.0, 5.0, True),
        ({}, 999.0, 5.0, False),  # 5 / (1 - .99), twice
        ({"gamma": 1.0}, 1001.0, 5.0, False),  # any value is a return
        ({"munchausen": True}, 1001.0, 5.0, False),
        ({"data": ("logged.npz",)}, 1001.0, 5.0, False),
        ({}, None, 5.0, False),  # there was no update
        ({}, 1001.0, None, False),  # nor a step
        ({}, 0.1, 0.0, False),  # nor a reward
    ],
)
def test_values_that_no_rewards_come_to(settings, q_selected, reward, has_diverged):
    config = DQNConfig(**CONFIG.to_dict() | settings)
    lines = what_to_try(config, RunOutcome(summary(9.0), RANDOM, q_selected, reward), 8.0, 200)
    if not has_diverged:
        assert lines == []
        return
    assert lines[0].startswith(f"The Q-values are {q_selected:,.0f} in the mean")
    assert "rewards of at most 5 in size and --gamma=0.99 no return is beyond 500:" in lines[0]
    assert lines[1:] == ["  --learning_rate=0.0002", "  --double", "  --total_steps=120000"]


def test_what_became_of_a_run_is_read_from_its_metrics_and_rows(tmp_path):
    file = tmp_path / "metrics.csv"
    rows = {"reward": np.array([0.5, -3.0], np.float32)}
    assert read_outcome(file, {}, {}) == RunOutcome({}, [], None, None)
    file.write_text(
        "env_step,episode,episode_return,q_selected\n8,,,\n"
        + "".join(f"{n},{n},{n}.5,\n{n},,,{-n}\n" for n in range(1, 30)),
        encoding="utf-8",
    )
    first = [n + 0.5 for n in range(1, 21)]
    assert read_outcome(file, {}, rows) == RunOutcome({}, first, -29.0, 3.0, first_end=20)


def test_what_was_played_nearly_greedily_is_no_play_at_random():
    """Neither the first episodes, if the last ended after epsilon had fallen, nor the test."""
    outcome = RunOutcome(summary(4.0), RANDOM, first_end=200)
    assert what_to_try(CONFIG, outcome, None, 200) == []
    assert what_to_try(CONFIG, outcome._replace(first_end=100), None, 200)
    at_random = RunOutcome(summary(4.0) | {"epsilon": 1.0}, RANDOM)
    assert what_to_try(CONFIG, at_random, 8.0, 200) == []


@pytest.mark.parametrize(
    ("settings", "tried"),
    [
        ({"epsilon_end": 0.0, "epsilon_decay_env_steps": 40_000}, "--epsilon_end=0.05"),
        ({"epsilon_end": 1.0, "epsilon_decay_env_steps": 40_000}, None),
        ({"total_steps": 0, "data": ("logged.npz",), "offline_updates": 10}, None),
    ],
)
def test_exploration_that_is_told_of_is_more_than_there_was(settings, tried):
    config = DQNConfig(**CONFIG.to_dict() | {"gamma": 1.0} | settings)
    waiting = summary(4.0) | {"longest_episodes": 10, "longest_mean": 4.0, "max_length": 200}
    told = [
        line for line in what_to_try(config, RunOutcome(waiting, []), 8.0, 200) if "wait" in line
    ]
    assert [line.split()[0] for line in told] == ([tried] if tried else [])


@pytest.mark.parametrize(
    "settings",
    [
        {"initial_weights": "runs/first"},
        {"data": ("logged.npz",), "offline_updates": 10},
        {"epsilon_start": 0.1},
        {"epsilon_schedule": "0:0.1,100:0.05"},
    ],
)
def test_a_run_that_did_not_begin_at_random_is_not_compared_with_its_beginning(settings):
    config = DQNConfig(**CONFIG.to_dict() | settings)
    assert what_to_try(config, RunOutcome(summary(4.0), RANDOM), None, 200) == []


def test_a_run_that_is_good_enough_is_told_nothing():
    good_from_the_start = RunOutcome(summary(500.0), [500.0] * 20)
    assert what_to_try(CONFIG, good_from_the_start, 475.0, 500) == []


def test_what_the_settings_leave_without_effect_is_not_recommended():
    points = DQNConfig(**CONFIG.to_dict() | {"epsilon_schedule": "0:1,100:0.05"})
    waits = RunOutcome(summary(6.0, longest=(4, 5.0)), RANDOM)
    bad = RunOutcome(summary(4.0), RANDOM)
    lines = what_to_try(points, waits, 8.0, 200) + what_to_try(points, bad, 8.0, 200)
    assert any("--gamma=0.995  (4 of 20" in line for line in lines)
    assert not any("epsilon" in line for line in lines)
    # --munchausen refuses --double
    soft = DQNConfig(**CONFIG.to_dict() | {"munchausen": True})
    assert what_to_try(soft, waits, 8.0, 200)[-1] == "  --n_step=3 --dueling"


def test_the_doctor_is_given_the_whole_environment():
    settings = {"env_kwargs": {"map_name": "8x8"}, "env_wrappers": "my:Wrapper"}
    config = DQNConfig(**CONFIG.to_dict() | settings)
    (line,) = [
        line
        for line in what_to_try(config, RunOutcome(summary(4.0), RANDOM), None, 200)
        if "doctor" in line
    ]
    words = """--env=Taxi-v4 --env_kwargs='{"map_name": "8x8"}' --env_wrappers=my:Wrapper"""
    assert line.endswith(words)
