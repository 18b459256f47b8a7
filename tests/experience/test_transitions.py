import numpy as np
import pytest

import oracles
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps
from dqn_tf.experience.transitions import NStep, columns
from dqn_tf.support.errors import UserError

SPACES = Spaces((2,), "float32", 3)


def steps(length: int = 3, num_envs: int = 2, dtype: str = "float32") -> Steps:
    """Steps whose every value says which column, time and environment it is from."""
    made = Steps.empty(length, num_envs, Spaces((2,), dtype, 3))
    number = np.arange(length * num_envs).reshape(length, num_envs)
    made.observation[:], made.next_observation[:] = (
        (100 + number)[..., None],
        (120 + number)[..., None],
    )
    made.action[:], made.reward[:] = number % 3, number / 4
    return made


def transitions(made: Steps, gamma: float, spaces: Spaces = SPACES) -> dict[str, np.ndarray]:
    """One row per step."""
    return NStep(1, gamma, made.action.shape[1], spaces).add(made)


def test_discounts():
    oracles.check_discounts()


def test_rows_are_in_the_order_of_time_and_within_a_step_of_environments():
    rows = transitions(steps(), 0.9)
    np.testing.assert_array_equal(rows["observation"][:, 0], 100 + np.arange(6))
    np.testing.assert_array_equal(rows["next_observation"][:, 1], 120 + np.arange(6))
    np.testing.assert_array_equal(rows["action"], [0, 1, 2, 0, 1, 2])
    oracles.close(rows["reward"], np.arange(6) / 4, 0.0)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64"])
def test_rows_are_of_the_columns_that_replay_is_built_with(dtype):
    spaces = Spaces((2,), dtype, 3)
    rows = transitions(steps(dtype=dtype), 0.9, spaces)
    assert {name: (row.shape[1:], str(row.dtype)) for name, row in rows.items()} == columns(spaces)


def test_discrete_observations_have_rows_without_an_axis():
    spaces = Spaces((), "int64", 2, categories=6)
    assert transitions(Steps.empty(4, 3, spaces), 0.9, spaces)["observation"].shape == (12,)


def test_final_observation_is_kept_where_an_episode_was_truncated():
    made = steps()
    made.truncated[1, 0] = True
    rows = transitions(made, 0.5)
    assert rows["next_observation"][2].tolist() == [122, 122] and rows["discount"][2] == 0.5


def test_ended_is_either():
    made = steps()
    made.terminated[0, 0] = made.truncated[1, 1] = made.terminated[2, 0] = made.truncated[2, 0] = (
        True
    )
    assert made.ended.tolist() == [[True, False], [False, True], [True, False]]


@pytest.mark.parametrize(
    ("name", "place", "sentence"),
    [
        (
            "next_observation",
            (1, 0, 1),
            "an observation of nan at index [1] in environment step 43: it must be finite",
        ),
        (
            "next_observation",
            (0, 1, 0),
            "an observation of nan at index [0] in environment step 42: it must be finite",
        ),
        (
            "observation",
            (2, 1, 0),
            (
                "an observation of nan at index [0] at the reset before environment step 46: it"
                " must be finite"
            ),
        ),
        ("reward", (2, 0), "a reward of nan in environment step 45: it must be finite"),
    ],
)
def test_values_that_are_not_finite_are_named(name, place, sentence):
    for value in (np.nan, np.inf, -np.inf):
        made = steps()
        getattr(made, name)[place] = value
        with pytest.raises(UserError) as caught:
            made.require_finite(40)
        assert sentence.replace("nan", str(value)) in str(caught.value)


def test_the_first_in_time_is_named_whatever_it_is():
    made = steps()
    made.next_observation[2, 0, 0] = made.reward[1, 1] = np.nan
    with pytest.raises(UserError, match="reward of nan in environment step 4:"):
        made.require_finite(0)
    made.next_observation[0, 1, 0] = np.inf
    with pytest.raises(UserError, match="observation of inf at index .0. in environment step 2:"):
        made.require_finite(0)


def test_finite_values_and_whole_numbers_pass():
    steps().require_finite(0)
    steps(dtype="uint8").require_finite(0)
