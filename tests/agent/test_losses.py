import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent import losses
from dqn_tf.support.errors import UserError


def test_td_target():
    oracles.check_td_target()


def test_select():
    oracles.check_select()


def test_td_loss():
    oracles.check_td_loss()


def test_shapes_that_would_broadcast_are_refused():
    oracles.check_shapes_refused()


def test_unknown_batch_size_is_accepted():
    """As in `fit`, where the last batch may be smaller; [None, 1] is still refused."""
    function = tf.function(oracles.td_target_of_the_best)
    row, table = tf.TensorSpec([None]), tf.TensorSpec([None, 2])
    function.get_concrete_function(row, row, table)
    with pytest.raises(ValueError):
        function.get_concrete_function(tf.TensorSpec([None, 1]), row, table)


def test_gradient_of_the_loss_is_by_q_selected_alone():
    target, q_selected = tf.constant([0.5, -3.0]), tf.constant([0.0, 0.0])
    for name, expected in (("huber", [-0.5, 1.0]), ("mse", [-1.0, 6.0])):
        with tf.GradientTape() as tape:
            tape.watch(q_selected)
            loss = losses.td_loss(losses.per_example(name, 1.0), target, q_selected)
        oracles.close(tape.gradient(loss, q_selected), expected, 1e-6)


def test_keras_loss_objects_keep_their_settings_and_lose_their_reduction():
    target, q_selected = tf.constant([0.0, 0.0]), tf.constant([1.0, 3.0])
    for loss, expected in (
        (tf.keras.losses.Huber(delta=0.5), [0.375, 1.375]),
        (tf.keras.losses.MeanAbsoluteError(), [1.0, 3.0]),
        (tf.keras.losses.MeanSquaredError(reduction="sum"), [1.0, 9.0]),
    ):
        oracles.close(
            losses.td_loss(losses.per_example(loss, 1.0), target, q_selected), expected, 1e-6
        )


def test_unknown_loss_names_what_is_known():
    with pytest.raises(UserError, match=r"'hubber'\): must be 'huber', 'mse'"):
        losses.per_example("hubber", 1.0)


# --- the next action ------------------------------------------------------------------------------


def test_select_takes_whole_distributions_and_its_gradient_reaches_no_other_action():
    outputs = tf.reshape(tf.range(12.0), (2, 3, 2))
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        selected = losses.select(outputs, tf.constant([2, 0]))
    oracles.close(selected, [[4.0, 5.0], [6.0, 7.0]], 0.0)
    oracles.close(
        tape.gradient(selected, outputs), [[[0, 0], [0, 0], [1, 1]], [[1, 1], [0, 0], [0, 0]]], 0.0
    )


def test_greedy_is_the_largest_of_what_is_legal():
    q_values = tf.constant(
        [[1.0, 7.0, -2.0], [-4.0, -6.0, -5.0], [5.0, 5.0, 4.0], [-1e30, 1e30, 0.0]]
    )
    oracles.close(losses.greedy(q_values), [1, 0, 0, 1], 0.0)
    mask = tf.constant(
        [[True, False, True], [False, True, True], [False, True, True], [True, False, False]]
    )
    # Illegal actions hold the largest values, and every legal one of rows 1 and 3 is negative: 0
    # for "illegal" would win there.
    oracles.close(losses.greedy(q_values, mask), [0, 2, 1, 0], 0.0)
    with pytest.raises(ValueError):
        losses.greedy(q_values[0])


# --- Munchausen -----------------------------------------------------------------------------------


def munchausen(
    reward, discount, q_values, action, next_q_values, mask, next_mask, alpha, temperature, clip
):
    """Vieillard et al. 2020, equation 5, in float64, one row and one legal action at a time."""

    def policy(q, legal):
        weights = np.array(
            [
                np.exp((q[a] - max(q[legal])) / temperature) if legal[a] else 0.0
                for a in range(len(q))
            ],
            np.float64,
        )
        return weights / weights.sum()

    def log_policy(q, legal, a):
        return (q[a] - max(q[legal])) / temperature - np.log(
            sum(np.exp((q[legal] - max(q[legal])) / temperature))
        )

    target = []
    for i in range(len(reward)):
        bonus = min(0.0, max(clip, temperature * log_policy(q_values[i], mask[i], action[i])))
        soft = sum(
            policy(next_q_values[i], next_mask[i])[a]
            * (next_q_values[i][a] - temperature * log_policy(next_q_values[i], next_mask[i], a))
            for a in range(len(next_q_values[i]))
            if next_mask[i][a]
        )
        target.append(reward[i] + alpha * bonus + discount[i] * soft)
    return target


@pytest.mark.parametrize("temperature", [1e-6, 0.03, 1.0])
@pytest.mark.parametrize("scale", [0.1, 1.0, 1000.0])
@pytest.mark.parametrize("masked", [False, True])
def test_munchausen_target(temperature, scale, masked, generator):
    """Temperatures down to where q / temperature is 1e9, with the bonus clipped in some rows and
    not in others.
    """
    rows, actions = 40, 5
    q_values, next_q_values = (
        generator.normal(scale=scale, size=(rows, actions)).astype(np.float32) for _ in range(2)
    )
    action, (mask, next_mask) = (
        generator.integers(actions, size=rows),
        generator.random((2, rows, actions)) < (0.6 if masked else 1.0),
    )
    mask[np.arange(rows), action] = next_mask[
        np.arange(rows), generator.integers(1, actions, size=rows)
    ] = True
    # with temperature 1e-6: logits far below whatever a mask writes
    next_q_values[:, 1:] -= 5 * scale
    next_mask[1, 0] = not masked
    # The decoys: the largest values of all are illegal.
    q_values[~mask], next_q_values[~next_mask] = 3000.0, 3000.0
    reward = generator.normal(size=rows).astype(np.float32)
    discount = np.where(np.arange(rows) % 4 == 0, 0.0, 0.97).astype(np.float32)
    inputs = [tf.constant(array) for array in (reward, discount, q_values, action, next_q_values)]
    masks = [tf.constant(mask), tf.constant(next_mask)] if masked else [None, None]
    with tf.GradientTape() as tape:
        tape.watch([inputs[2], inputs[4]])
        target = losses.munchausen_target(*inputs, *masks, 0.9, temperature, -1.0)
    arrays = (array.astype(np.float64) for array in (reward, discount, q_values))
    expected = munchausen(
        *arrays, action, next_q_values.astype(np.float64), mask, next_mask, 0.9, temperature, -1.0
    )
    oracles.close(target, expected, 2e-5 * max(1.0, scale / 10))
    assert tape.gradient(target, [inputs[2], inputs[4]]) == [None, None]


def test_munchausen_target_by_hand():
    """Two actions, q = (0, τ ln 3): π = (1/4, 3/4). Two equal values q are worth q + τ ln 2."""
    temperature = 0.5
    q_values, next_q_values = (
        tf.constant([[0.0, temperature * np.log(3.0)]] * 2, tf.float32),
        tf.constant([[2.0, 2.0]] * 2),
    )
    inputs = (
        tf.constant([1.0, 1.0]),
        tf.constant([0.5, 0.0]),
        q_values,
        tf.constant([0, 1]),
        next_q_values,
        None,
        None,
    )
    bonus = 0.9 * temperature * np.log([1 / 4, 3 / 4])
    oracles.close(
        losses.munchausen_target(*inputs, 0.9, temperature, -1.0),
        1.0 + bonus + [0.5 * (2.0 + temperature * np.log(2.0)), 0.0],
        1e-6,
    )
    # log 1/4 · τ = -0.69 is clipped at -0.5, log 3/4 · τ = -0.14 is not.
    bonus[0] = 0.9 * -0.5
    oracles.close(
        losses.munchausen_target(*inputs, 0.9, temperature, -0.5),
        1.0 + bonus + [0.5 * (2.0 + temperature * np.log(2.0)), 0.0],
        1e-6,
    )


# --- C51 ------------------------------------------------------------------------------------------


def project(reward, discount, probabilities, support):
    """Bellemare et al. 2017, algorithm 1, as it is printed."""
    atoms, spacing, result = (
        len(support),
        (support[-1] - support[0]) / (len(support) - 1),
        np.zeros(np.shape(probabilities)),
    )
    for row in range(len(reward)):
        for j in range(atoms):
            shifted = min(max(reward[row] + discount[row] * support[j], support[0]), support[-1])
            b = min((shifted - support[0]) / spacing, atoms - 1.0)
            lower, upper = int(np.floor(b)), int(np.ceil(b))
            if lower == upper:  # on an atom: algorithm 1 as printed would lose this mass
                result[row, lower] += probabilities[row][j]
            else:
                result[row, lower] += probabilities[row][j] * (upper - b)
                result[row, upper] += probabilities[row][j] * (b - lower)
    return result


def test_project_by_hand():
    """Atoms at -1, 0, 1, 2; half of 0.5 + 0.5 · z: 0, 0.5, 1, 1.5."""
    support = tf.constant([-1.0, 0.0, 1.0, 2.0])
    cases = [
        (0.5, 0.5, [0.1, 0.2, 0.3, 0.4], [0.0, 0.1 + 0.1, 0.1 + 0.3 + 0.2, 0.2]),
        # a termination: all of it at the reward
        (0.25, 0.0, [0.1, 0.2, 0.3, 0.4], [0.0, 0.75, 0.25, 0.0]),
        (1.0, 0.0, [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 0.0]),  # on an atom
        (0.0, 1.0, [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]),  # every atom on an atom
        # one to the right, the last stays
        (1.0, 1.0, [0.1, 0.2, 0.3, 0.4], [0.0, 0.1, 0.2, 0.7]),
        (50.0, 0.9, [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 1.0]),
        (-50.0, 0.9, [0.1, 0.2, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]),
    ]
    reward, discount, probabilities, expected = zip(*cases, strict=True)
    oracles.close(
        losses.project(
            tf.constant(reward), tf.constant(discount), tf.constant(probabilities), support
        ),
        expected,
        1e-6,
    )


@pytest.mark.parametrize("case", range(200))
def test_project(case):
    """Against algorithm 1:

    2 to 60 atoms on any support, rewards within and far beyond it, discounts 0, 1, gamma and
    gamma³.
    """
    generator = np.random.default_rng(case)
    low = generator.uniform(-20, 10)
    support = np.linspace(
        low, low + generator.uniform(0.5, 40), generator.integers(2, 60), dtype=np.float32
    )
    width, rows = support[-1] - support[0], 6
    reward = generator.uniform(support[0] - width, support[-1] + width, size=rows).astype(
        np.float32
    )
    reward[0] = support[generator.integers(len(support))]
    discount = generator.choice([0.0, 0.9, 0.99, 0.99**3, 1.0], size=rows).astype(np.float32)
    probabilities = generator.dirichlet(
        np.full(len(support), generator.choice([0.05, 1.0])), size=rows
    ).astype(np.float32)
    inputs = [tf.constant(array) for array in (reward, discount, probabilities)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        projected = losses.project(*inputs, tf.constant(support))
    expected = project(
        *(array.astype(np.float64) for array in (reward, discount, probabilities, support))
    )
    # a float32 shift next to an atom is off by some 1e-5 of a spacing
    oracles.close(projected, expected, 2e-4)
    oracles.close(tf.reduce_sum(projected, axis=1), np.ones(rows), 2e-4)
    assert tape.gradient(projected, inputs) == [None, None, None]


def test_projection_keeps_the_mean_of_what_stays_within(generator):
    """The mean of r + discount · Z, to float32: so C51's mean learns what a scalar learns."""
    support = np.linspace(-10, 10, 51, dtype=np.float32)
    probabilities = generator.dirichlet(np.ones(51), size=8).astype(np.float32)
    reward, discount = (
        generator.uniform(-3, 3, size=8).astype(np.float32),
        np.full(8, 0.7, np.float32),
    )
    projected = losses.project(
        tf.constant(reward), tf.constant(discount), tf.constant(probabilities), tf.constant(support)
    )
    oracles.close(projected.numpy() @ support, reward + discount * (probabilities @ support), 1e-4)


def test_project_refuses_what_would_broadcast():
    row, column, table, support = (
        tf.zeros(3),
        tf.zeros((3, 1)),
        tf.zeros((3, 5)),
        tf.linspace(0.0, 1.0, 5),
    )
    for arguments in (
        (column, row, table),
        (row, column, table),
        (row, row, row),
        (row, row[:1], table),
        (row[:1], row[:1], table),
    ):
        oracles.refused(losses.project, *arguments, support)


# --- quantiles ------------------------------------------------------------------------------------


def quantile_huber(target, quantiles, delta):
    """Dabney et al. 2018, equations 9 and 10 and algorithm 1."""
    result = np.zeros(len(target))
    for row in range(len(target)):
        for i, quantile in enumerate(quantiles[row]):
            level = (2 * i + 1) / (2 * len(quantiles[row]))
            for sample in target[row]:
                u = sample - quantile
                huber = u * u / 2 if abs(u) <= delta else delta * (abs(u) - delta / 2)
                result[row] += abs(level - (u < 0)) * huber / delta / len(target[row])
    return result


def test_quantile_huber_by_hand():
    """Two quantiles at the levels 1/4 and 3/4, one and two samples."""
    quantiles = tf.constant([[0.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    # Sample 3: errors 3, 3 → Huber 2.5; too low costs the level. Sample -0.5: Huber 0.125; too high
    # costs 1 - level. Sample 1 for (0, 2): errors 1, -1, Huber 0.5, weights 1/4 and 1/4.
    oracles.close(
        losses.quantile_huber(tf.constant([[3.0], [1.0], [1.0]]), quantiles, 1.0),
        [2.5 * (1 / 4 + 3 / 4), 0.5 / 2, 0.0],
        1e-6,
    )
    oracles.close(
        losses.quantile_huber(tf.constant([[3.0, -0.5]] * 3), quantiles, 1.0)[0],
        (2.5 + 0.125) / 2,
        1e-6,
    )
    oracles.close(
        losses.quantile_huber(tf.constant([[3.0], [1.0], [1.0]]), quantiles, 2.0)[0],
        4.0 / 2.0,
        1e-6,
    )


@pytest.mark.parametrize("case", range(200))
def test_quantile_huber(case):
    generator = np.random.default_rng(case)
    rows, samples, atoms = 3, generator.integers(1, 12), generator.integers(1, 12)
    target, quantiles = (
        generator.normal(scale=2.0, size=(rows, size)).astype(np.float32)
        for size in (samples, atoms)
    )
    delta = float(generator.choice([0.3, 1.0, 4.0]))
    oracles.close(
        losses.quantile_huber(tf.constant(target), tf.constant(quantiles), delta),
        quantile_huber(target, quantiles, delta),
        2e-5,
    )


def test_quantile_huber_draws_quantiles_to_their_levels():
    """The gradient sums to 0 where each quantile has its level's share of the samples beneath it,
    far from all of them.
    """
    target = tf.constant([[-100.0, 100.0, 100.0, 100.0, -100.0, -100.0, -100.0, 100.0]])
    quantiles = tf.constant([[0.0]])
    with tf.GradientTape() as tape:
        tape.watch(quantiles)
        loss = losses.quantile_huber(target, quantiles, 1.0)
    oracles.close(tape.gradient(loss, quantiles), [[0.0]], 1e-6)


def test_quantile_huber_refuses_what_would_broadcast():
    row, table = tf.zeros(3), tf.zeros((3, 2))
    for arguments in ((row, table), (table, row), (table[:1], table), (table, table[:1])):
        oracles.refused(losses.quantile_huber, *arguments, 1.0)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("limit", [0.0, 2.0, 1e3])
def test_gradients_are_limited_by_their_global_norm(limit, xla, generator):
    by_hand = [
        generator.normal(size=shape).astype(np.float32) for shape in ((3, 3, 2, 4), (7, 5), (5,))
    ]
    norm = np.sqrt(sum((array.astype(np.float64) ** 2).sum() for array in by_hand))
    limited, found = losses.limit_gradients(
        [tf.constant(array) for array in by_hand], limit, uses_xla=xla
    )
    assert norm > 2.0 and found.shape == (1,)
    oracles.close(found, [norm])
    for array, gradient in zip(by_hand, limited, strict=True):
        oracles.close(gradient, array * min(1.0, limit / norm) if limit else array)
