"""Would the tests notice a mistake in what keeps Q-values from being fooled by the data?

As in test_mutations.py: each mistake must make its oracle fail.
"""

import functools

import pytest

import logged_oracles
from dqn_tf.agent import auxiliary, logged_losses, losses
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import CompiledQFunction
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
from dqn_tf.experience import exploration
from mutations import require_notice

conservative_update = functools.partial(logged_oracles.check_logged_update, cql_alpha=0.4)
cloning_update = functools.partial(logged_oracles.check_logged_update, imitation=0.7)
support_update = functools.partial(logged_oracles.check_logged_update, support=0.5)
margin_update = functools.partial(
    logged_oracles.check_logged_update,
    imitation=0.7,
    imitation_loss="margin",
    imitation_margin=1.5,
)
double_target = functools.partial(logged_oracles.check_supported_target, double=True)

LOGGED = 'terms * batch["is_logged"] if "is_logged" in batch else terms'
LEAST = "tf.reduce_max(legal, axis=1, keepdims=True) + math.log(tau)"
LARGEST = "legal.max(axis=1, keepdims=True)"
IN_TARGET = "self.online.supported(choosing.behaviour, next_mask)"

# name: owner, attribute, oracle, and pieces of the source with what is put in their place
MUTATIONS = {
    "the agent's own rows counted as logged": (
        auxiliary,
        "_logged",
        conservative_update,
        (LOGGED, "terms"),
    ),
    "the mean over logged rows in place of the batch": (
        auxiliary,
        "_logged",
        cloning_update,
        (
            LOGGED,
            (
                'terms * batch["is_logged"] / tf.reduce_mean(batch["is_logged"])'
                ' if "is_logged" in batch else terms'
            ),
        ),
    ),
    "the head trained with Q-values for logits": (
        auxiliary,
        "built_in_losses",
        support_update,
        ("cross_entropy(forward.behaviour,", "cross_entropy(q_values,"),
    ),
    "a support whose head is not trained": (
        auxiliary,
        "built_in_losses",
        support_update,
        ("if config.support and (not clones)", "if False"),
    ),
    "legal or not, in cloning": (
        auxiliary,
        "built_in_losses",
        cloning_update,
        ('forward.behaviour, batch["action"], mask)', 'forward.behaviour, batch["action"], None)'),
    ),
    "legal or not, in the margin": (
        auxiliary,
        "built_in_losses",
        margin_update,
        ("size, mask)", "size, None)"),
    ),
    "Q-values of illegal actions pushed down": (
        logged_losses,
        "conservative",
        logged_oracles.check_conservative,
        ("mask is None", "True"),
    ),
    "the data's action not held up": (
        logged_losses,
        "conservative",
        logged_oracles.check_conservative,
        ("- losses.select(q_values, action)", ""),
    ),
    "the largest in place of the soft maximum": (
        logged_losses,
        "conservative",
        logged_oracles.check_conservative,
        ("tf.reduce_logsumexp(legal", "tf.reduce_max(legal"),
    ),
    "illegal actions have a probability": (
        logged_losses,
        "cross_entropy",
        logged_oracles.check_cross_entropy,
        ("mask is None", "True"),
    ),
    "a margin for the data's action too": (
        logged_losses,
        "margin",
        logged_oracles.check_margin,
        ("1.0 - tf.one_hot(", "1.0 - 0.0 * tf.one_hot("),
    ),
    "illegal actions ahead of the data's": (
        logged_losses,
        "margin",
        logged_oracles.check_margin,
        ("mask is None", "True"),
    ),
    "tau of the likeliest, legal or not": (
        losses,
        "supported",
        logged_oracles.check_supported,
        (LEAST, LEAST.replace("legal", "behaviour")),
    ),
    "tau of the mean in place of the likeliest": (
        losses,
        "supported",
        logged_oracles.check_supported,
        (LEAST, LEAST.replace("reduce_max", "reduce_mean")),
    ),
    "tau as a probability": (
        losses,
        "supported",
        logged_oracles.check_supported,
        (LEAST, LEAST.replace("reduce_max", "reduce_logsumexp")),
    ),
    "tau of logits in place of probabilities": (
        losses,
        "supported",
        logged_oracles.check_supported,
        (LEAST, LEAST.replace("+ math.log(tau)", "* tau")),
    ),
    "illegal actions are supported": (
        losses,
        "supported",
        logged_oracles.check_supported,
        ("is_supported & mask", "is_supported"),
    ),
    "in NumPy, tau of the likeliest, legal or not": (
        exploration,
        "supported_actions",
        logged_oracles.check_supported,
        (LARGEST, LARGEST.replace("legal", "behaviour")),
    ),
    "no support in the target": (
        DQN,
        "bellman_target",
        logged_oracles.check_supported_target,
        (IN_TARGET, "next_mask"),
    ),
    "legal or not, in the target's support": (
        DQN,
        "bellman_target",
        logged_oracles.check_supported_target,
        (IN_TARGET, IN_TARGET.replace("next_mask", "None")),
    ),
    "the target network's support where the online network chooses": (
        DQN,
        "bellman_target",
        double_target,
        (
            IN_TARGET,
            IN_TARGET.replace(
                "choosing.behaviour", 'self.target.forward(batch["next_observation"]).behaviour'
            ),
        ),
    ),
    "no support when acting": (
        NumpyQFunction,
        "greedy_action",
        logged_oracles.check_the_choice_is_supported,
        ("if plan.support:", "if False:"),
    ),
    "no support when acting by a compiled call": (
        CompiledQFunction,
        "greedy_action",
        logged_oracles.check_the_choice_is_supported,
        ("if self._support:", "if False:"),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_oracle_notices(name, monkeypatch):
    require_notice(monkeypatch, MUTATIONS[name])


def test_the_oracles_hold_unmutated():
    """What fails above fails because of its mutation."""
    for oracle in {mutation[2] for mutation in MUTATIONS.values()}:
        oracle()
