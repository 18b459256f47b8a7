"""One run: Q-values are learned once, and replies are written in every way."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.steering import judges
from benchmarks.steering.complaints import NEW, SEEN, prompt
from benchmarks.steering.experiments import WAYS, Plan, Way
from benchmarks.steering.learning import learn, steered
from benchmarks.steering.network import States, Values, compiled, make_agent
from benchmarks.steering.reading import Reader
from benchmarks.steering.replies import Reply, Writer
from dqn_tf.agent.networks.pretrained.trunk import LlamaTrunk
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.language.model_files import open_model

GROUPS = {"seen": SEEN, "new": NEW}


class Score(NamedTuple):
    """What becomes of one reply, or the mean over some."""

    reward: float
    held_out: float
    kl: float  # of the whole reply, nats
    surprise: float  # -log p of a token under the model: perplexity is its exponential


def run(config: DQNConfig) -> dict[str, dict[str, Any]]:
    """Learn once; return for each way the columns of its record. Raises UserError."""
    plan = Plan(**config.env_kwargs)
    start, cpu_start = time.monotonic(), time.process_time()
    files = open_model(config.language_model)
    reader = Reader(LlamaTrunk(files))
    at_most = plan.rounds * plan.replies * len(GROUPS["seen"]) + max(plan.pool, plan.scored)
    states = States(at_most * plan.length, reader.trunk.shape.width + 1)
    agent = make_agent(config, reader, states, plan.choices)
    writer = Writer(reader, files.tokenizer, states, plan.choices, plan.length)
    generator = np.random.default_rng(config.seed)
    values = compiled(agent)
    written = learn(agent, values, writer, plan, generator)
    learning_tokens, learning_seconds = reader.tokens, time.process_time() - cpu_start
    drawn = _written(writer, values, WAYS[0], plan.pool, generator)
    results: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        replies = drawn
        if way.beta or way.is_greedy:
            count = 1 if way.is_greedy else plan.scored
            replies = _written(writer, values, way, count, generator)
        results[way.name] = _columns(way, replies)
    shared = {
        "learning_replies": plan.rounds * plan.replies * len(GROUPS["seen"]),
        "learning_tokens": learning_tokens,
        "learning_cpu_seconds": learning_seconds,
        "updates": plan.rounds * plan.updates,
        "env_steps": written,
        "seconds": time.monotonic() - start,
        "cpu_seconds": time.process_time() - cpu_start,
    }
    return {name: result | shared for name, result in results.items()}


def _written(
    writer: Writer, values: Values, way: Way, count: int, generator: np.random.Generator
) -> dict[str, list[list[Reply]]]:
    """Return so many replies to each complaint, by group; their states are not kept."""
    policy = steered(values, way.beta, way.is_greedy)
    written: dict[str, list[list[Reply]]] = {}
    for group, complaints in GROUPS.items():
        written[group] = []
        for complaint in complaints:
            kept = writer.states.count
            replies = writer.write(prompt(complaint), count, policy, generator)
            writer.states.count = kept
            written[group].append(replies)
    return written


def _columns(way: Way, written: dict[str, list[list[Reply]]]) -> dict[str, Any]:
    """Return the scores of a way in both groups, and the first reply to a new complaint."""
    columns: dict[str, Any] = {}
    for group, by_complaint in written.items():
        scores = [mean_of_best(list(map(score, replies)), way.best_of) for replies in by_complaint]
        mean = Score(*np.mean(scores, axis=0))
        columns |= {
            f"{group}_reward": mean.reward,
            f"{group}_held_out": mean.held_out,
            f"{group}_kl": mean.kl,
            f"{group}_perplexity": math.exp(mean.surprise),
        }
    all_new = [reply for replies in written["new"] for reply in replies]
    some = written["new"][0][: way.best_of]
    best = max(some, key=lambda reply: judges.paying(reply.texts[-1]))
    return columns | {
        "tokens": way.best_of * float(np.mean([len(reply.steps) for reply in all_new])),
        "replies": sum(len(replies) for group in written.values() for replies in group),
        "example": " ".join(best.texts[-1].split()),
    }


def score(reply: Reply) -> Score:
    """Judge one reply."""
    text, steps = reply.texts[-1], reply.steps
    return Score(
        judges.paying(text),
        judges.held_out(text),
        sum(step.divergence for step in steps),
        -sum(step.log_probability for step in steps) / len(steps),
    )


def mean_of_best(scores: Sequence[Score], count: int) -> Score:
    """Return the mean over all ways to draw `count` of the scores and to keep the best one.

    Of equal rewards it is the mean over which of them comes first. KL becomes its bound for the
    best of n, log n - (n - 1) / n, where several are drawn.
    """
    total = len(scores)
    array = np.array(scores)
    for reward in set(array[:, 0]):  # of equal rewards each is as likely
        equal = array[:, 0] == reward
        array[equal] = array[equal].mean(axis=0)
    array = array[np.argsort(array[:, 0], kind="stable")]
    shares = [math.comb(rank, count - 1) / math.comb(total, count) for rank in range(total)]
    mean = Score(*(shares @ array))
    return mean if count == 1 else mean._replace(kl=math.log(count) - (count - 1) / count)
