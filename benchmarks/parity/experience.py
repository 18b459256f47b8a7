"""Made-up steps, and the same steps as TF-Agents' Trajectory."""

from typing import Any

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps

NUM_ENVS = 64
SEED = 0
FIRST, MID, LAST = 0, 1, 2  # TF-Agents' step types


def made_up_steps(length: int, spaces: Spaces) -> Steps:
    """Draw `length` steps of NUM_ENVS environments.

    A quarter of them terminates at one of the steps, a quarter is truncated at the last.
    """
    generator = np.random.default_rng(SEED)
    steps = Steps.empty(length, NUM_ENVS, spaces)
    for column in (steps.observation, steps.next_observation, steps.reward):
        column[:] = generator.normal(scale=2.0, size=column.shape)
    steps.action[:] = generator.integers(spaces.actions, size=steps.action.shape)
    for mask in (steps.action_mask, steps.next_action_mask):
        mask[:] = generator.random(mask.shape) < 0.5
        mask[..., -1:] = True
    envs = np.arange(NUM_ENVS)
    steps.terminated[envs // 4 % length, envs] = envs % 4 == 1
    steps.truncated[-1] = envs % 4 == 2
    return steps


def make_trajectory(steps: Steps, spaces: Spaces) -> Any:
    """Convert the steps [T, B] to a Trajectory [B, T + 1].

    Of its last frame only the observation counts.
    """
    import tensorflow as tf
    from tf_agents.trajectories.trajectory import Trajectory

    def frames(column: np.ndarray, last: np.ndarray) -> tf.Tensor:
        return tf.constant(np.moveaxis(np.concatenate([column, last[np.newaxis]]), 0, 1))

    ended = steps.ended  # [T, B]
    step_type = np.full((len(ended) + 1, NUM_ENVS), MID, np.int32)
    step_type[1:][ended] = LAST
    next_step_type = np.where(ended, LAST, MID).astype(np.int32)
    next_step_type[1:][ended[:-1]] = FIRST
    observation = frames(steps.observation, steps.next_observation[-1])
    if spaces.masked:
        mask = frames(steps.action_mask, steps.next_action_mask[-1])
        observation = {"observation": observation, "action_mask": mask}
    discount = np.where(steps.terminated, 0.0, 1.0).astype(np.float32)
    return Trajectory(
        step_type=tf.constant(step_type.T),
        observation=observation,
        action=frames(steps.action, np.zeros(NUM_ENVS, np.int64)),
        policy_info=(),
        next_step_type=frames(next_step_type, np.zeros(NUM_ENVS, np.int32)),
        reward=frames(steps.reward, np.zeros(NUM_ENVS, np.float32)),
        discount=frames(discount, np.ones(NUM_ENVS, np.float32)),
    )
