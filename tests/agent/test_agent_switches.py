"""What each improvement does to one update: targets by hand, weights, errors, noise."""

import numpy as np
import pytest
import tensorflow as tf

import oracles
from dqn_tf.agent.networks.dueling import combine
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError
from oracles import BOX, close, make_agent, make_batch, make_config, part_networks, tensors

DISTRIBUTIONS = {
    "c51": {"distribution": "c51", "atoms": 5, "v_min": -4.0, "v_max": 4.0},
    "quantile": {"distribution": "quantile", "atoms": 3},
}
LOSSES = {"huber": {"loss": "huber"}, "mse": {"loss": "mse"}} | DISTRIBUTIONS
# Momentum-free and unclipped, so that a step is the gradient times the step size.
PLAIN = {"max_gradient_norm": 0.0, "target_update_period_env_steps": 10**6}


def linear(agent, online: np.ndarray, target: np.ndarray) -> None:
    """Networks without hidden layer, whose outputs for the one-hot observation i are row i of these
    tables.
    """
    for network, table in ((agent.online, online), (agent.target, target)):
        network.set_weights(
            [np.asarray(table, np.float32), np.zeros(np.shape(table)[1], np.float32)]
        )


def table_agent(online, target, **overrides):
    """An agent whose outputs are looked up."""
    agent = make_agent(
        make_config(hidden_units=(), **PLAIN | overrides), Spaces((3,), "float32", 3)
    )
    linear(agent, online, target)
    return agent


def unit(*rows: int) -> np.ndarray:
    """One-hot observations."""
    return np.eye(3, dtype=np.float32)[list(rows)]


def gradients(agent, batch: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What an update hands to the optimizer."""
    given = []
    agent.optimizer.apply_gradients = lambda pairs: given.extend(
        gradient.numpy() for gradient, _ in pairs
    )
    try:
        agent.update(tensors(batch))
    finally:
        del agent.optimizer.apply_gradients
    return given


# --- double ---------------------------------------------------------------------------------------

ONLINE = [[1.0, 5.0, 2.0], [-1.0, -2.0, -0.5], [7.0, 0.0, 0.0]]  # chooses 1, 2, 0
# would choose 2, 0, 1: decoys all
TARGET = [[30.0, 4.0, 50.0], [90.0, 80.0, 3.0], [2.0, 60.0, 10.0]]


def double_batch() -> dict[str, np.ndarray]:
    return {
        "observation": unit(0, 1, 2, 0),
        "action": np.array([0, 1, 2, 1], np.int32),
        "reward": np.array([1.0, 0.0, -1.0, 2.0], np.float32),
        "discount": np.array([0.5, 0.9, 1.0, 0.0], np.float32),
        "next_observation": unit(0, 1, 2, 0),
    }


def test_double_chooses_online_and_values_by_target():
    double, plain = (table_agent(ONLINE, TARGET, double=switch) for switch in (True, False))
    batch = double_batch()
    close(
        double.bellman_target(tensors(batch)), [1.0 + 0.5 * 4.0, 0.9 * 3.0, -1.0 + 2.0, 2.0], 1e-6
    )
    close(
        plain.bellman_target(tensors(batch)), [1.0 + 0.5 * 50.0, 0.9 * 90.0, -1.0 + 60.0, 2.0], 1e-6
    )


def test_double_chooses_among_legal_actions_only():
    agent = table_agent(ONLINE, TARGET, double=True)
    batch = double_batch() | {
        "next_action_mask": np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [1, 1, 1]], bool)
    }
    batch["action_mask"] = np.ones((4, 3), bool)
    close(
        agent.bellman_target(tensors(batch)), [1.0 + 0.5 * 50.0, 0.9 * 90.0, -1.0 + 10.0, 2.0], 1e-6
    )


@pytest.mark.parametrize("double", [False, True])
def test_distributions_choose_by_their_means(double):
    """Quantiles:

    the online network's best means are of actions 2 and 0, the target's of 0 and 1; no largest
    quantile is of a best mean.
    """
    online = [[9.0, -9.0, 2.0, 2.0, 3.0, 3.0], [1.0, 1.0, 8.0, -9.0, 0.0, 0.0], [0.0] * 6]
    target = [[5.0, 6.0, 99.0, -99.0, 1.0, 2.0], [3.0, 4.0, 7.0, 8.0, 99.0, -99.0], [0.0] * 6]
    agent = table_agent(online, target, distribution="quantile", atoms=2, double=double)
    batch = {
        "observation": unit(0, 1),
        "action": np.array([0, 1], np.int32),
        "reward": np.array([1.0, 0.0], np.float32),
        "discount": np.array([0.5, 1.0], np.float32),
        "next_observation": unit(0, 1),
    }
    expected = (
        [[1.0 + 0.5 * 1.0, 1.0 + 0.5 * 2.0], [3.0, 4.0]]
        if double
        else [[1.0 + 0.5 * 5.0, 1.0 + 0.5 * 6.0], [7.0, 8.0]]
    )
    close(agent.bellman_target(tensors(batch)), expected, 1e-6)


def test_c51_target_is_the_projected_distribution_of_the_best_mean():
    """Two atoms, 0 and 1; the best action's probability of 1 is 0.75, so r + discount · Z is 0.2 or
    0.7: its mean 0.575.
    """
    logits = [[np.log(0.25), np.log(0.75), 0.0, 0.0, 0.0, -1.0], [0.0] * 6, [0.0] * 6]
    agent = table_agent(np.zeros((3, 6)), logits, distribution="c51", atoms=2, v_min=0.0, v_max=1.0)
    batch = {
        "observation": unit(1),
        "action": np.array([2], np.int32),
        "reward": np.array([0.2], np.float32),
        "discount": np.array([0.5], np.float32),
        "next_observation": unit(0),
    }
    close(agent.bellman_target(tensors(batch)), [[0.425, 0.575]], 1e-6)
    metrics = agent.update(tensors(batch))
    close(metrics["error"], [np.log(2.0)], 1e-6)  # cross-entropy with (1/2, 1/2)
    close(metrics["q_selected"], [0.5], 1e-6)


# --- dueling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", [{}, *DISTRIBUTIONS.values()])
def test_dueling_subtracts_the_mean_advantage(distribution, generator):
    """A constant added to all advantages changes nothing; one added to the value reaches all."""
    agent = make_agent(make_config(dueling=True, **distribution))
    observation = generator.normal(size=(7, 3)).astype(np.float32)
    before = agent.online.forward(tf.constant(observation)).outputs.numpy()
    (value,), (advantage,) = (
        [layer for layer in stream if layer.name in ("value", "advantage")]
        for stream in agent.online.head.streams
    )
    # one constant for each atom
    advantage.bias.assign_add(
        tf.tile(tf.range(float(agent.online.values.atoms)) + 2.0, [BOX.actions])
    )
    close(agent.online.forward(tf.constant(observation)).outputs, before, 1e-5)
    value.bias.assign_add(tf.fill(value.bias.shape, 3.0))
    close(agent.online.forward(tf.constant(observation)).outputs, before + 3.0, 1e-5)


def test_dueling_by_hand():
    """Equation 9; the max of equation 8 would give other numbers."""
    value, advantage = np.array([[10.0], [0.0]]), np.array([[1.0, 2.0, 6.0], [-3.0, 0.0, 3.0]])
    close(combine(value, advantage), [[8.0, 9.0, 13.0], [-3.0, 0.0, 3.0]], 1e-12)
    close(
        combine(tf.constant(value), tf.constant(advantage)),
        [[8.0, 9.0, 13.0], [-3.0, 0.0, 3.0]],
        1e-12,
    )
    # [B, A, N]: the mean is over actions, not atoms
    each = np.stack([advantage, 2 * advantage], axis=2)
    close(
        combine(np.zeros((2, 1, 2)), each),
        np.stack(
            [[[-2.0, -1.0, 3.0], [-3.0, 0.0, 3.0]], [[-4.0, -2.0, 6.0], [-6.0, 0.0, 6.0]]], axis=2
        ),
        1e-12,
    )


def test_dueling_streams_have_hidden_layers_of_their_own():
    agent = make_agent(make_config(dueling=True, hidden_units=(7, 6)))
    assert [tuple(variable.shape) for variable in agent.online.trainable_variables] == [
        (3, 7),
        (7,),
        (7, 6),
        (6,),
        (6, 1),
        (1,),
        (7, 6),
        (6,),
        (6, 4),
        (4,),
    ]


# --- importance weights and errors ----------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_scale_the_gradient_under_every_loss(loss):
    """A batch of one with weight 0.3:

    the gradient is 0.3 times that with weight 1, which is that without weights.
    """
    found = []
    for weight in (None, 1.0, 0.3):
        agent = make_agent(make_config(**PLAIN | LOSSES[loss]))
        part_networks(agent)
        batch = make_batch(4, 1) | (
            {} if weight is None else {"weight": np.array([weight], np.float32)}
        )
        found.append(gradients(agent, batch))
    assert max(np.abs(gradient).max() for gradient in found[0]) > 1e-3
    for without, one, less in zip(*found, strict=True):
        close(one, without, 1e-6)
        close(less, 0.3 * without, 1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_row_of_weight_0_contributes_nothing(loss):
    """And the mean is over the batch, not over the weights."""
    found = []
    for size, weights in ((5, [0.0, 1.0, 0.5, 0.0, 0.0]), (3, None)):
        agent = make_agent(make_config(**PLAIN | LOSSES[loss]))
        part_networks(agent)
        batch = make_batch(4)
        if weights is None:
            batch = {name: column[[1, 2, 2]] for name, column in batch.items()} | {
                "weight": np.array([1.0, 0.25, 0.25], np.float32)
            }
        else:
            batch["weight"] = np.array(weights, np.float32)
        found.append([gradient * size for gradient in gradients(agent, batch)])
    assert max(np.abs(gradient).max() for gradient in found[0]) > 1e-3
    for one, other in zip(*found, strict=True):
        close(one, other, 1e-5)


@pytest.mark.parametrize("loss", ["huber", "mse"])
def test_scalar_error_is_the_size_of_the_td_error(loss):
    agent = table_agent(ONLINE, TARGET, loss=loss)
    # the error is the row's own, without its weight
    batch = double_batch() | {"weight": np.array([0.1, 1.0, 0.0, 0.5], np.float32)}
    close(
        agent.update(tensors(batch))["error"], [26.0 - 1.0, 81.0 + 2.0, 59.0 - 0.0, 5.0 - 2.0], 1e-5
    )


def test_quantile_error_is_between_the_means():
    agent = table_agent(
        [[0.0, 2.0] * 3] * 3, [[1.0, 3.0, 0.0, 0.0, 0.0, 0.0]] * 3, distribution="quantile", atoms=2
    )
    batch = double_batch()
    metrics = agent.update(tensors(batch))
    close(metrics["error"], np.abs(batch["reward"] + batch["discount"] * 2.0 - 1.0), 1e-6)
    close(metrics["q_selected"], [1.0], 1e-6)


def test_munchausen_error_and_target():
    """All actions alike:

    π = 1/3, so the bonus is α · max(clip, -τ ln 3) and the soft value q + τ ln 3.
    """
    agent = table_agent(
        np.zeros((3, 3)),
        np.full((3, 3), 2.0),
        munchausen=True,
        munchausen_temperature=0.5,
        munchausen_alpha=0.8,
    )
    batch = double_batch()
    expected = (
        batch["reward"] - 0.8 * 0.5 * np.log(3.0) + batch["discount"] * (2.0 + 0.5 * np.log(3.0))
    )
    close(agent.bellman_target(tensors(batch)), expected, 1e-6)
    close(agent.update(tensors(batch))["error"], np.abs(expected), 1e-6)


def test_munchausen_goes_by_the_target_network_and_by_legal_actions():
    online, target = [[5.0, 0.0, -5.0]] * 3, [[0.0, 9.0, 9.0]] * 3
    agent = table_agent(
        online, target, munchausen=True, munchausen_temperature=0.5, munchausen_alpha=0.8
    )
    batch = {name: column[:1] for name, column in double_batch().items()} | {
        "action_mask": np.array([[True, False, False]]),
        "next_action_mask": np.array([[False, True, True]]),
    }
    close(agent.bellman_target(tensors(batch)), [1.0 + 0.0 + 0.5 * (9.0 + 0.5 * np.log(2.0))], 1e-6)
    batch |= {"action_mask": np.array([[True, True, True]])}
    # τ log π ≈ -9.3, clipped at -1
    close(agent.bellman_target(tensors(batch)), [1.0 - 0.8 + 0.5 * (9.0 + 0.5 * np.log(2.0))], 1e-6)


@pytest.mark.parametrize(
    "switch", [{}, {"double": True}, {"munchausen": True}, {"distribution": "quantile", "atoms": 5}]
)
def test_targets_are_cut_to_the_returns_that_there_can_be(switch):
    bounds = {"v_min": -0.25, "v_max": 0.75}
    batch = tensors(make_batch(0, 64))
    whole = make_agent(make_config(**switch)).bellman_target(batch).numpy()
    assert (whole < -0.25).any() and (whole > 0.75).any()
    cut = make_agent(make_config(clip_targets=True, **bounds, **switch)).bellman_target(batch)
    close(cut, np.clip(whole, -0.25, 0.75), 1e-6)


def test_c51_cuts_targets_by_its_atoms():
    batch = tensors(make_batch(0, 8))
    whole, cut = (
        make_agent(make_config(clip_targets=clip, **DISTRIBUTIONS["c51"])).bellman_target(batch)
        for clip in (False, True)
    )
    close(cut, whole, 1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_learn_gives_the_errors_of_each_update(loss):
    """What prioritised replay goes by:

    row u is the error of update u, taken after the updates before it.
    """
    agent, other = (make_agent(make_config(prioritized=True, **LOSSES[loss])) for _ in range(2))
    batches = [
        make_batch(number) | {"weight": np.linspace(0.2, 1.0, 5, dtype=np.float32)}
        for number in range(3)
    ]
    together = {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}
    if loss != "huber":  # once through XLA is enough
        oracles.leave_out_xla(agent)
    learned = agent.learn(together, 2)
    close(
        learned.error,
        np.stack([other.update(tensors(batch))["error"].numpy() for batch in batches[:2]]),
        1e-4,
    )


# --- noise ----------------------------------------------------------------------------------------


def test_gradient_reaches_the_sigmas():
    agent = make_agent(make_config(noisy=True, dueling=True, **PLAIN))
    part_networks(agent)
    variables = agent.online.trainable_variables
    found = {
        variable.path if hasattr(variable, "path") else variable.name: np.abs(gradient).max()
        for variable, gradient in zip(variables, gradients(agent, make_batch(1)), strict=True)
    }
    assert sum("sigma" in name for name in found) == 8 and len(found) == 16, (
        "four dense layers, each with two means and two sigmas"
    )
    assert all(size > 0 for size in found.values()), found


def test_noise_belongs_to_the_number_of_the_update():
    """Two agents alike learn alike to the bit; the same batch at another update's number is seen
    through another noise.
    """
    config = make_config(noisy=True, **PLAIN)
    first, second = make_agent(config), make_agent(config)
    batch = tensors(make_batch(1))
    oracles.equal([first.bellman_target(batch).numpy()], [first.bellman_target(batch).numpy()])
    close(first.update(batch)["error"], second.update(batch)["error"], 0.0)
    oracles.equal(first.online.get_weights(), second.online.get_weights())
    before = second.bellman_target(batch).numpy()  # of the target network, which stays as it is
    second.optimizer.iterations.assign_add(1)
    after = second.bellman_target(batch).numpy()
    bootstrapped = batch["discount"].numpy() > 0
    assert (before != after)[bootstrapped].all()
    second.optimizer.iterations.assign_sub(1)
    close(second.bellman_target(batch), before, 0.0)


def test_noise_belongs_to_the_run_and_to_its_use():
    """Three forward passes of one update, three noises; another seed of the run, other noise."""
    agent = make_agent(make_config(noisy=True, double=True))
    seeds = [tuple(agent._noise_seed(use).numpy()) for use in range(3)]
    agent.optimizer.iterations.assign_add(1)
    seeds += [tuple(agent._noise_seed(use).numpy()) for use in range(3)]
    seeds += [
        tuple(make_agent(make_config(noisy=True, seed=4))._noise_seed(use).numpy())
        for use in range(3)
    ]
    assert len(set(seeds)) == 9
    observation = tf.ones((1, 3))
    outputs = [
        tuple(agent.online.forward(observation, tf.constant(seed)).outputs.numpy().ravel())
        for seed in seeds
    ]
    assert len(set(outputs)) == 9
    assert make_agent()._noise_seed(0) is None


@pytest.mark.parametrize("overrides", [{}, {"dueling": True}, *DISTRIBUTIONS.values()])
def test_call_has_no_noise(overrides):
    """What is evaluated and exported: the means, as if there were no sigmas."""
    agent, observation = (
        make_agent(make_config(noisy=True, **overrides)),
        tf.constant(make_batch(1)["observation"]),
    )
    before = agent(observation).numpy()
    close(agent(observation), before, 0.0)
    for variable in agent.online.trainable_variables:
        if "sigma" in (variable.path if hasattr(variable, "path") else variable.name):
            variable.assign(tf.fill(variable.shape, 1e3))
    close(agent(observation), before, 0.0)
    noisy = agent.online.values.q_values(
        agent.online.forward(observation, tf.constant([1, 2], tf.int32)).outputs
    ).numpy()
    assert (np.abs(noisy - before) > 1e-3).all()


@pytest.mark.parametrize(
    "overrides",
    [{}, {"dueling": True}, {"dueling": True} | DISTRIBUTIONS["c51"], DISTRIBUTIONS["quantile"]],
)
def test_acting_noise_is_each_rows_own_and_centred(overrides):
    """The mirror that acts draws one noise for each row; without a generator it is `call`."""
    agent = make_agent(make_config(noisy=True, hidden_units=(), **overrides))
    q_function = make_q_function(agent)
    observation = np.tile(make_batch(1)["observation"][:1], (4000, 1))
    close(q_function.q_values(observation), agent(tf.constant(observation)), 1e-5)
    noisy = q_function.q_values(observation, np.random.default_rng(0))
    assert len(np.unique(noisy[:, 0])) == 4000
    if agent.settings.distribution != "c51":  # whose mean is not linear in the outputs
        close(
            noisy.mean(axis=0),
            agent(tf.constant(observation[:1]))[0],
            5 * float(noisy.std(axis=0).max()) / 4000**0.5,
        )


# --- refusals -------------------------------------------------------------------------------------

REFUSED = [
    (
        {"munchausen": True, "distribution": "c51"},
        "--munchausen and --distribution=c51 cannot be combined",
    ),
    (
        {"munchausen": True, "distribution": "quantile"},
        "--munchausen and --distribution=quantile cannot be combined",
    ),
    ({"munchausen": True, "double": True}, "--munchausen and --double cannot be combined"),
    ({"distribution": "c51", "v_min": 1.0, "v_max": 1.0}, "--v_min=1.0 must be below --v_max=1.0"),
    ({"distribution": "c51", "v_min": 2.0, "v_max": 1.0}, "--v_min=2.0 must be below --v_max=1.0"),
    ({"clip_targets": True, "v_min": 1.0, "v_max": 1.0}, "--v_min=1.0 must be below --v_max=1.0"),
    ({"distribution": "c51", "v_max": float("inf")}, "--v_max=inf: must be a finite number."),
    ({"distribution": "c52"}, "--distribution=c52: must be one of none, c51, quantile."),
    ({"distribution": "c51", "atoms": 1}, "--atoms=1: must be at least 2."),
    (
        {"epsilon_schedule": "exponential", "epsilon_end": 0.0},
        "--epsilon_schedule=exponential never reaches --epsilon_end=0",
    ),
    *(
        (
            {"epsilon_schedule": points},
            f"--epsilon_schedule={points}: must be linear, exponential, or points",
        )
        for points in (
            "",
            "cosine",
            "0:1,",
            "0:1,0:0.5",
            "10:1,5:0.5",
            "0:1.5",
            "0:-0.1",
            "0:nan",
            "0.5:1",
            "0:1;5:0",
            "0",
        )
    ),
    ({"n_step": 0}, "--n_step=0: must be at least 1."),
    ({"n_step": 65}, "--n_step=65 is more than --replay_capacity=64 can hold."),
    ({"priority_alpha": 1.1}, "--priority_alpha=1.1: must be from 0.0 to 1.0."),
    ({"priority_beta_start": -0.1}, "--priority_beta_start=-0.1: must be from 0.0 to 1.0."),
    ({"noisy_sigma": 0.0}, "--noisy_sigma=0.0: must be a number above 0 that float32 holds."),
    (
        {"munchausen_temperature": 0.0},
        "--munchausen_temperature=0.0: must be a number above 0 that float32 holds.",
    ),
    ({"munchausen_clip": 0.1}, "--munchausen_clip=0.1: must be a finite number, at most 0."),
]


@pytest.mark.parametrize(("overrides", "sentence"), REFUSED)
def test_what_makes_no_sense_ends_in_one_sentence(overrides, sentence):
    with pytest.raises(UserError) as caught:
        make_config(**overrides)
    text = str(caught.value)
    assert text.startswith(sentence) and text.endswith(".") and "\n" not in text, text


def test_what_v_min_and_v_max_are_is_no_matter_where_nothing_ends_there():
    assert make_config(v_min=1.0, v_max=1.0).distribution == "none"


@pytest.mark.parametrize("points", ["0:1", "0:1,10:0", "5:0.5,10:0.25,11:1"])
def test_good_points_are_accepted(points):
    assert make_config(epsilon_schedule=points).epsilon_schedule == points
