"""Learns Q-values of next tokens from replies that are written in rounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.steering import judges
from benchmarks.steering.complaints import SEEN, prompt
from benchmarks.steering.experiments import ALWAYS, Plan
from benchmarks.steering.network import Values
from benchmarks.steering.replies import Policy, Reply, Writer, log_softmax
from dqn_tf.agent import DQN

Columns = dict[str, np.ndarray]


def learn(
    agent: DQN, values: Values, writer: Writer, plan: Plan, generator: np.random.Generator
) -> int:
    """Write and learn as the plan says; return how many tokens were written.

    All that was written is kept, and each update has a uniform sample of it.
    """
    replies: list[Reply] = []
    for number in range(plan.rounds):
        policy = steered(values, plan.beta if number else 0.0)
        for complaint in SEEN:
            replies += writer.write(prompt(complaint), plan.replies, policy, generator)
        if not number:
            writer.states.compare_with_these()
        columns = transitions(replies, agent.settings.gamma)
        rows = generator.integers(
            len(columns["action"]), size=(plan.updates, agent.settings.batch_size)
        )
        agent.learn({name: column[rows] for name, column in columns.items()}, plan.updates)
    return len(columns["action"])


def steered(values: Values, beta: float, is_greedy: bool = False) -> Policy:
    """Return the policy with the chances π · exp(beta · Q), or what it takes for best.

    Of all policies it has the largest E[Q] - KL(policy, π) / beta.
    """

    def chances(numbers: np.ndarray, tokens: np.ndarray, log_chances: np.ndarray) -> np.ndarray:
        scores = log_chances
        if beta:
            observation = np.concatenate([numbers[:, np.newaxis], tokens], axis=1)
            q_values = values(observation.astype(np.int32))
            scores = q_values if beta == ALWAYS else log_chances + beta * q_values
        if is_greedy:
            return np.eye(scores.shape[1])[scores.argmax(axis=1)]
        return np.exp(log_softmax(scores))

    return chances


def transitions(replies: Sequence[Reply], gamma: float) -> Columns:
    """Return the transitions of replies as columns of a batch.

    A token is paid what it changes in the judge's opinion of the reply so far: with gamma = 1 a
    reply is paid its judgement (Ng et al. 1999). The last token ends it, by room or by choice.
    """
    rows = []
    for reply in replies:
        seen: list[np.ndarray] = [
            np.append(step.number, step.tokens).astype(np.int32) for step in reply.steps
        ]
        paid = np.diff([judges.paying(text) for text in reply.texts])
        for place, step in enumerate(reply.steps):
            is_last = place == len(seen) - 1
            rows.append(
                {
                    "observation": seen[place],
                    "action": step.place,
                    "reward": paid[place],
                    "discount": 0.0 if is_last else gamma,
                    "next_observation": seen[place if is_last else place + 1],
                }
            )
    kinds = {"action": np.int32, "reward": np.float32, "discount": np.float32}
    return {
        name: np.array([row[name] for row in rows], kinds.get(name, np.int32)) for name in rows[0]
    }
