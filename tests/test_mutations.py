"""Would the tests notice? Each mistake below, made in dqn_tf's own source, must make its oracle
fail.

The mistakes are those of the articles and of well-known projects (docs/errata.md), and the oracles
those that the other tests call. A mutation that no longer fits the source fails too: then it is to
be rewritten, not dropped.
"""

import functools

import pytest

import eviction_oracles
import oracles
from dqn_tf.agent import losses, optimizers
from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.host import HostEngine
from dqn_tf.envs.vector import SeededVectorEnv
from dqn_tf.experience import exploration, transitions
from dqn_tf.experience.eviction import Fifo, Reservoir
from dqn_tf.experience.shard import Shard
from dqn_tf.experience.transitions import NStep
from mutations import mutated, require_notice

clipped_update = functools.partial(oracles.check_update, max_gradient_norm=0.1)
soft_update = functools.partial(oracles.check_update, tau=0.25)
stored_rows_in_place = functools.partial(oracles.check_stored_rows, in_place=True)
masked_double_target = functools.partial(oracles.check_masked_target, double=True)
masked_soft_target = functools.partial(oracles.check_masked_target, munchausen=True)
ten_updates_a_step = functools.partial(oracles.check_update_count, 1, 1, 0.1)

EACH_TENSOR = "for tensor in (reward, discount, next_q):"
SELECTED = "losses.select(forward.outputs, "
TARGET, NEXT_OUTPUTS = (
    "values.loss(target, ",
    'choosing = self._forward(self.target, batch, "next_observation"',
)
BY_ONLINE = (
    'batch["reward"] + batch["discount"] * tf.reduce_max(self.online(batch["next_observation"]),'
    " axis=1)"
)
TARGET_NETWORK = "self.target = QNetwork(self.spaces, config, generator, num_agents, torso)"
OWED = "min(env_steps, max(0, self.env_step - self.learning_starts))"
TERMINATED = "np.where(steps.terminated[end, env],"

# name: owner, attribute, oracle, and pieces of the source with what is put in their place
MUTATIONS = {
    "the online network as its own target": (
        DQN,
        "bellman_target",
        oracles.check_update,
        (NEXT_OUTPUTS, NEXT_OUTPUTS.replace("target", "online")),
    ),
    # the zero is there for Keras, which refuses an update without any gradient
    "online and target swapped": (
        DQN,
        "_compare",
        oracles.check_update,
        (TARGET, f"values.loss(tf.stop_gradient({BY_ONLINE}), "),
        (
            SELECTED,
            (
                'losses.select(self.target(batch["observation"]) + 0.0 *'
                ' self.online(batch["observation"]), '
            ),
        ),
    ),
    "no stop_gradient: the online network as its own target, inside the tape": (
        DQN,
        "_compare",
        oracles.check_update,
        (TARGET, f"values.loss({BY_ONLINE}, "),
    ),
    "no stop_gradient on the target": (
        losses,
        "td_target",
        oracles.check_td_target,
        ("tf.stop_gradient", "tf.identity"),
    ),
    "terminal states bootstrap": (
        losses,
        "td_target",
        oracles.check_td_target,
        ("discount * next_q", "next_q"),
    ),
    "the sum in place of the maximum": (
        DQN,
        "bellman_target",
        oracles.check_update,
        ("losses.select(next_outputs, next_action)", "tf.reduce_sum(next_outputs, axis=1)"),
    ),
    "the smallest in place of the largest": (
        losses,
        "greedy",
        oracles.check_td_target,
        ("tf.argmax", "tf.argmin"),
    ),
    "[B, 1] rewards broadcast": (
        losses,
        "td_target",
        oracles.check_shapes_refused,
        ("tensor.shape.assert_has_rank(1)", "pass"),
    ),
    "[B, 1] discounts broadcast": (
        losses,
        "td_target",
        oracles.check_shapes_refused,
        (EACH_TENSOR, "for tensor in (reward, next_q):"),
    ),
    "one next state serves the whole batch": (
        losses,
        "td_target",
        oracles.check_shapes_refused,
        (EACH_TENSOR, "for tensor in (reward, discount):"),
    ),
    "one discount serves the whole batch": (
        losses,
        "td_target",
        oracles.check_shapes_refused,
        ("tensor.shape.assert_is_compatible_with(reward.shape)", "pass"),
    ),
    "one row of Q-values serves the whole batch": (
        losses,
        "select",
        oracles.check_shapes_refused,
        ("action.shape.assert_is_compatible_with(outputs.shape[:1])", "pass"),
    ),
    "[B] against [B, 1] is accepted in the loss": (
        losses,
        "td_loss",
        oracles.check_shapes_refused,
        ("target.shape.assert_has_rank(1)", "pass"),
        ("target.shape.assert_is_compatible_with(q_selected.shape)", "pass"),
    ),
    "[B] against [B, 1]: every row meets every target": (
        losses,
        "td_loss",
        oracles.check_td_loss,
        (
            "rows = loss(target[:, tf.newaxis], q_selected[:, tf.newaxis])",
            (
                "rows = tf.reduce_mean(loss(target[:, tf.newaxis, tf.newaxis],"
                " q_selected[tf.newaxis, :, tf.newaxis]), axis=1)"
            ),
        ),
    ),
    "the best action's Q-value in place of the taken one's": (
        losses,
        "select",
        oracles.check_select,
        ("tf.one_hot(action, ", "tf.one_hot(tf.argmax(outputs, axis=1), "),
    ),
    "huber's delta ignored": (
        losses,
        "per_example",
        oracles.check_td_loss,
        ("delta=huber_delta", "delta=1.0"),
    ),
    "no clipping of the gradient": (
        losses,
        "limit_gradients",
        clipped_update,
        ("if not limit:", "if True:"),
    ),
    "each gradient clipped by itself": (
        losses,
        "limit_gradients",
        clipped_update,
        (
            "gradient * tf.reshape(scale, (*lead, *[1] * (gradient.shape.rank - len(lead))))",
            "tf.clip_by_norm(gradient, limit)",
        ),
    ),
    "a small gradient scaled up to the limit": (
        losses,
        "limit_gradients",
        oracles.check_update,
        ("limit * tf.minimum(1.0 / norm, 1.0 / limit)", "limit / norm"),
    ),
    "the optimizer's epsilon ignored": (
        optimizers,
        "make_optimizer",
        oracles.check_update,
        ("kind(learning_rate=rate, epsilon=config.optimizer_epsilon)", "kind(learning_rate=rate)"),
    ),
    "the target updated one update late": (
        DQN,
        "update_target",
        oracles.check_hard_copies,
        ("self.updates %", "(self.updates - 1) %"),
    ),
    "the target updated every time": (
        DQN,
        "update_target",
        oracles.check_hard_copies,
        ("tf.where(is_due, ", "tf.where(True, "),
    ),
    "the target never updated": (
        DQN,
        "update",
        oracles.check_hard_copies,
        ("self.update_target()", "pass"),
    ),
    "tau on the wrong side": (
        DQN,
        "_move_target",
        soft_update,
        ("share * online + (1.0 - share) * target", "(1.0 - share) * online + share * target"),
    ),
    "the target not a copy at birth": (
        DQN,
        "__init__",
        oracles.check_target_at_birth,
        ("target.assign(online)", "pass"),
    ),
    "online and target one network": (
        DQN,
        "__init__",
        oracles.check_target_at_birth,
        (TARGET_NETWORK, "self.target = self.online"),
    ),
    "truncation taken for death": (
        NStep,
        "add",
        oracles.check_discounts,
        (TERMINATED, "np.where(steps.ended[end, env],"),
    ),
    "truncation taken for death, in what is learned": (
        NStep,
        "add",
        oracles.check_truncation_bootstraps,
        (TERMINATED, "np.where(steps.ended[end, env],"),
    ),
    "death taken for truncation where both come at once": (
        NStep,
        "add",
        oracles.check_discounts,
        (TERMINATED, "np.where((steps.terminated & ~steps.truncated)[end, env],"),
    ),
    "a window that goes on beyond a time limit": (
        NStep,
        "add",
        oracles.check_n_step,
        ("windows(steps.reward, steps.ended,", "windows(steps.reward, steps.terminated,"),
    ),
    "gamma once, however long the window": (
        transitions,
        "windows",
        oracles.check_n_step,
        ("gamma ** (k + 1)", "gamma"),
    ),
    "the first step's next observation in place of the last's": (
        NStep,
        "add",
        oracles.check_n_step,
        ("steps.next_observation[end, env]", "steps.next_observation[start, env]"),
    ),
    "death looked up at the window's first step": (
        NStep,
        "add",
        oracles.check_n_step,
        (TERMINATED, "np.where(steps.terminated[start, env],"),
    ),
    "the first step's legal actions in place of the last's": (
        NStep,
        "add",
        oracles.check_n_step,
        ("steps.next_action_mask[end, env]", "steps.next_action_mask[start, env]"),
    ),
    "open windows forgotten between two blocks": (
        NStep,
        "add",
        oracles.check_n_step,
        ("self._kept.followed_by(steps)", "steps"),
    ),
    "windows given twice": (NStep, "add", oracles.check_n_step, ("finished & ~done", "finished")),
    "open windows forgotten by a resume": (
        NStep,
        "restore",
        oracles.check_n_step,
        ('self._done = state["done"]', "return"),
    ),
    "the next episode's legal actions stored as the last's": (
        SeededVectorEnv,
        "step_into",
        oracles.check_stored_masks,
        ("if mask is not None:", "if False:"),
    ),
    "random actions from all, legal or not": (
        exploration,
        "random_action",
        oracles.check_stored_masks,
        ("mask is None", "True"),
    ),
    "illegal actions leak into the maximum": (
        losses,
        "greedy",
        oracles.check_masked_target,
        ("mask is None", "True"),
    ),
    "illegal actions leak into the online network's choice": (
        DQN,
        "bellman_target",
        masked_double_target,
        ("supported(choosing.behaviour, next_mask)", "supported(choosing.behaviour, None)"),
    ),
    "illegal actions leak into the soft maximum": (
        DQN,
        "bellman_target",
        masked_soft_target,
        ("next_mask, config.munchausen_alpha", "None, config.munchausen_alpha"),
    ),
    "illegal actions leak into the log-policy that is added": (
        DQN,
        "bellman_target",
        masked_soft_target,
        ('batch.get("action_mask")', "None"),
    ),
    "the reset's observation stored as the episode's last": (
        SeededVectorEnv,
        "step_into",
        oracles.check_stored_rows,
        ("row.next_observation[index] = observation", "pass"),
    ),
    "an observation stored one step early": (
        Shard,
        "collect",
        oracles.check_stored_rows,
        ("steps.observation[t] =", "steps.observation[t - 1] ="),
    ),
    "an environment's own array kept in place of a copy": (
        SeededVectorEnv,
        "step_into",
        stored_rows_in_place,
        ("observation.copy()", "observation"),
    ),
    "what is left over of a block's steps forgotten": (
        HostEngine,
        "_owe",
        oracles.check_update_count,
        ("self.env_steps_owed += min(", "self.env_steps_owed = min("),
    ),
    "warm-up paid for afterwards": (
        HostEngine,
        "_owe",
        oracles.check_update_count,
        (OWED, "env_steps"),
    ),
    "a binary fraction costs an update": (
        DQNConfig,
        "updates_for",
        ten_updates_a_step,
        ("env_steps / self.env_steps_per_update + 1e-06", "env_steps // self.env_steps_per_update"),
    ),
    "rows written one place off": (
        Fifo,
        "places",
        oracles.check_replay_order,
        ("numbers % self.capacity", "numbers % self.capacity - 1"),
    ),
    "of too many rows, the oldest kept": (
        Fifo,
        "places",
        oracles.check_replay_order,
        ("slice(count - written, count)", "slice(0, written)"),
    ),
    "a reservoir that draws a place for each row": (
        Reservoir,
        "places",
        eviction_oracles.check_every_sample_is_as_likely,
        ("numbers[late] + 1", "np.full(late.sum(), self.capacity)"),
    ),
    "a reservoir that counts a row too few": (
        Reservoir,
        "places",
        eviction_oracles.check_every_sample_is_as_likely,
        ("numbers[late] + 1", "numbers[late]"),
    ),
    "of the rows for one place, the first kept": (
        Reservoir,
        "places",
        eviction_oracles.check_every_sample_is_as_likely,
        ("np.unique(places[::-1], return_index=True)", "np.unique(places, return_index=True)"),
        ("count - 1 - last[is_place]", "last[is_place]"),
    ),
    "a smaller reservoir of the first places": (
        Reservoir,
        "kept",
        eviction_oracles.check_a_smaller_one_is_as_likely,
        ("np.sort(chosen)", "np.arange(self.capacity)"),
    ),
    "epsilon falls without end": (
        exploration,
        "_progress",
        oracles.check_epsilon,
        ("np.minimum(1.0, env_step / decay_env_steps)", "env_step / decay_env_steps"),
    ),
    "epsilon rises": (
        exploration,
        "linear_epsilon",
        oracles.check_epsilon,
        ("return start + (end - start)", "return end + (start - end)"),
    ),
    "explores where it should be greedy": (
        exploration,
        "draw_exploration",
        oracles.check_explores_as_often_as_epsilon_says,
        ("< epsilon", "> epsilon"),
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_oracle_notices(name, monkeypatch):
    require_notice(monkeypatch, MUTATIONS[name])


def test_death_at_the_time_limit_learns_the_number_that_it_must(monkeypatch):
    """The oracle of truncation does not fail by chance:

    the mistake's own fixed point is what is learned.
    """
    monkeypatch.setattr(
        NStep, "add", mutated(NStep.add, (TERMINATED, "np.where(steps.ended[end, env],"))
    )
    oracles.close(oracles.pendulum_q_values(), oracles.PENDULUM_Q_AS_DEATH, 1e-2)


def test_a_mutation_that_does_not_fit_is_an_error():
    with pytest.raises(AssertionError, match="0 times"):
        mutated(losses.td_target, ("not in the source", ""))


def test_the_oracles_hold_unmutated():
    """What fails above fails because of its mutation."""
    for oracle in (
        clipped_update,
        soft_update,
        stored_rows_in_place,
        ten_updates_a_step,
        masked_double_target,
        masked_soft_target,
    ):
        oracle()
