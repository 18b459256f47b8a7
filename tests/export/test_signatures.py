"""export/signatures.py: what each signature answers, and that nothing is broadcast."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.experience import exploration
from dqn_tf.export.signatures import CHOOSES, EXPLORES, ExportModule, uniform
from sample_agents import KINDS, agent, observations

METADATA = {"env": "CartPole-v1", "score": {"mean": 1.5, "ci95": [1.0, 2.0]}, "text": "\u00fc"}


@pytest.fixture(scope="module")
def signatures(tmp_path_factory) -> dict[str, dict]:
    """The signatures of each kind, saved and loaded again."""
    base, loaded = tmp_path_factory.mktemp("signatures"), {}
    for kind in ("masked", "image", "discrete"):
        served = ExportModule(agent(KINDS[kind]), METADATA)
        tf.saved_model.save(served, str(base / kind), signatures=served.endpoints)
        loaded[kind] = tf.saved_model.load(str(base / kind))
    return {
        kind: {name: in_numpy(function) for name, function in model.signatures.items()}
        for kind, model in loaded.items()
    } | {"alive": loaded}


def in_numpy(function: Callable) -> Callable[..., dict[str, np.ndarray]]:
    """A signature from arrays to arrays."""

    def answer(**inputs):
        given = {alias: tf.constant(value) for alias, value in inputs.items()}
        return {alias: output.numpy() for alias, output in function(**given).items()}

    return answer


def explored(signatures, kind: str, observation, epsilon: float, seed, **inputs) -> np.ndarray:
    name = "epsilon_greedy_masked" if inputs else "epsilon_greedy"
    answer = signatures[kind][name](
        observation=observation,
        epsilon=np.full(len(observation), epsilon, np.float32),
        seed=seed,
        **inputs,
    )
    return answer["action"] - KINDS[kind].action_start


@pytest.mark.parametrize("kind", ["masked", "image", "discrete"])
def test_a_rows_action_is_its_own_whatever_the_batch_and_its_place(signatures, kind):
    seen, seeds = observations(KINDS[kind], 24), np.arange(24) * 1000 - 5000
    together = explored(signatures, kind, seen, 0.5, seeds)
    order = np.random.default_rng(0).permutation(24)
    assert (
        explored(signatures, kind, seen[order], 0.5, seeds[order]).tolist()
        == together[order].tolist()
    )
    assert [
        explored(signatures, kind, seen[row : row + 1], 0.5, seeds[row : row + 1])[0]
        for row in range(24)
    ] == together.tolist()
    assert explored(signatures, kind, seen, 0.5, seeds + 1).tolist() != together.tolist()


def test_epsilon_is_the_share_of_uniform_actions(signatures):
    """Of one observation and 20,000 seeds.

    A quarter of the explored actions are the greedy one by chance.
    """
    count = 20_000
    seen, seeds = np.repeat(observations(KINDS["masked"], 1), count, axis=0), np.arange(count)
    greedy = signatures["masked"]["action"](observation=seen[:1])["action"][0] - 7
    assert (explored(signatures, "masked", seen, 0.0, seeds) == greedy).all()
    for epsilon in (0.3, 1.0):
        share = (
            np.bincount(explored(signatures, "masked", seen, epsilon, seeds), minlength=4) / count
        )
        expected = np.where(np.arange(4) == greedy, 1 - epsilon * 3 / 4, epsilon / 4)
        # five standard deviations
        np.testing.assert_allclose(share, expected, atol=5 * np.sqrt(0.25 / count))


def test_epsilon_greedy_knows_its_probabilities(signatures, generator):
    count = 200
    seen, seeds = observations(KINDS["masked"], count), np.arange(count)
    mask = generator.random((count, 4)) < 0.7
    mask[:, 2] = True
    epsilon = generator.random(count).astype(np.float32)
    epsilon[:3] = (-1, 0, 2)  # as 0, 0 and 1
    inputs = {"observation": seen, "epsilon": epsilon, "seed": seeds, "action_mask": mask}
    answer = signatures["masked"]["epsilon_greedy_masked"](**inputs)
    greedy = exploration.greedy_action(answer["q_values"], mask)
    clipped = np.clip(epsilon.astype(float), 0, 1)
    share = clipped / mask.sum(axis=1)
    expected = np.where(answer["action"] - 7 == greedy, 1 - clipped + share, share)
    assert answer["propensity"].dtype == np.float32
    np.testing.assert_allclose(answer["propensity"], expected, rtol=1e-6)
    assert (answer["propensity"] > 0).all() and (answer["propensity"] <= 1).all()


def test_explored_actions_are_uniform_among_the_legal_ones(signatures, generator):
    """As `exploration.random_action` has it, from the same numbers."""
    count = 2_000
    seen, seeds = observations(KINDS["masked"], count), generator.integers(-(2**62), 2**62, count)
    mask = generator.random((count, 4)) < 0.5
    mask[np.arange(count), generator.integers(4, size=count)] = True
    drawn = uniform(tf.constant(seeds), CHOOSES).numpy()
    action = explored(signatures, "masked", seen, 1.0, seeds, action_mask=mask)
    assert action.tolist() == exploration.random_action(drawn, 4, mask).tolist()
    assert mask[np.arange(count), action].all()
    q_values = signatures["masked"]["q_values"](observation=seen)["q_values"]
    explores = uniform(tf.constant(seeds), EXPLORES).numpy() < 0.5
    mixed = explored(signatures, "masked", seen, 0.5, seeds, action_mask=mask)
    assert (
        mixed.tolist()
        == np.where(explores, action, exploration.greedy_action(q_values, mask)).tolist()
    )


def test_the_numbers_of_a_seed_are_uniform_and_independent():
    seeds = tf.range(100_000, dtype=tf.int64)
    one, other = uniform(seeds, EXPLORES).numpy(), uniform(seeds, CHOOSES).numpy()
    for drawn in (one, other):
        assert drawn.min() >= 0 and drawn.max() < 1
        np.testing.assert_allclose(
            np.histogram(drawn, 20, (0, 1))[0] / 5_000, 1, atol=5 / np.sqrt(5_000)
        )
    for first, second in ((one, other), (one[1:], one[:-1])):
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(100_000)


def test_bytes_are_the_observation(signatures):
    seen = observations(KINDS["image"], 3)
    answer = signatures["image"]["observation_bytes"](
        observation_bytes=[row.tobytes() for row in seen]
    )
    expected = signatures["image"]["serving_default"](observation=seen)
    np.testing.assert_array_equal(answer["q_values"], expected["q_values"])
    assert answer["action"].tolist() == expected["action"].tolist()
    none = signatures["image"]["observation_bytes"](observation_bytes=tf.constant([], tf.string))
    assert none["q_values"].shape == (0, 4)


@pytest.mark.parametrize(
    "rows",
    [
        [28224 - 1],
        [28224 + 1],
        [2 * 28224],
        [28224, 28223],
        [14112, 14112],
        [0],
        [3 * 28224, 28224],
    ],
    ids=str,
)
def test_bytes_of_a_wrong_length_are_refused_and_never_become_other_rows(signatures, rows):
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["image"]["observation_bytes"](
            observation_bytes=[b"\x01" * length for length in rows]
        )


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("epsilon_greedy", {"epsilon": np.zeros(1, np.float32)}),
        ("epsilon_greedy", {"seed": np.zeros(1, np.int64)}),
        ("epsilon_greedy", {"epsilon": np.zeros(5, np.float32)}),
        ("epsilon_greedy_masked", {"action_mask": np.ones((1, 4), bool)}),
        ("serving_default_masked", {"action_mask": np.ones((1, 4), bool)}),
        ("action_masked", {"action_mask": np.ones((2, 8), bool)}),
        ("serving_default_masked", {"action_mask": np.ones((4, 3), bool)}),
    ],
    ids=str,
)
def test_one_value_is_not_broadcast_over_a_batch(signatures, name, wrong):
    inputs = {"observation": observations(KINDS["masked"], 4)}
    if name.startswith("epsilon_greedy"):
        inputs |= {"epsilon": np.zeros(4, np.float32), "seed": np.arange(4)}
    if name.endswith("_masked"):
        inputs["action_mask"] = np.ones((4, 4), bool)
    signatures["masked"][name](**inputs)
    with pytest.raises(tf.errors.InvalidArgumentError):
        signatures["masked"][name](**inputs | wrong)


def test_metadata_is_looked_up_row_by_row(signatures):
    keys = [b"score", b"nothing", b"env", b"", b"env", b"text"]
    values = signatures["image"]["metadata"](key=keys)["value"].tolist()
    assert [json.loads(value) if value else None for value in values] == [
        METADATA.get(key.decode()) for key in keys
    ]
    assert signatures["image"]["metadata"](key=tf.constant([], tf.string))["value"].shape == (0,)


@pytest.mark.parametrize("kind", KINDS)
def test_each_signature_that_acts_has_a_masked_twin_where_there_are_masks(kind):
    names = set(ExportModule(agent(KINDS[kind]), METADATA).endpoints)
    acting = {"serving_default", "action", "epsilon_greedy"} | (
        {"observation_bytes"} if kind == "image" else set()
    )
    assert names == acting | {"q_values", "metadata"} | (
        {f"{name}_masked" for name in acting} if kind == "masked" else set()
    )
