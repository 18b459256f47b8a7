"""Turns the facts of an environment into advice: what is right, what to change, what is wrong."""

import math
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dqn_tf.agent.networks import choice
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.doctor.random_play import Facts
from dqn_tf.envs.tokens import numbered

# kinds of findings, as printed
GOOD = "ok"
CHANGE = "change"
WRONG = "WRONG"

LARGE_REWARD = 10.0
SMALL_REWARD = 1e-2
LARGE_OBSERVATION = 20.0
SLOW_STEPS_PER_SECOND = 500.0
MOST_NAMES = 12  # that are listed
MOST_AHEAD = 2_000  # steps that a discount looks ahead; learning of more is hardly stable
A_FEW = 3  # episodes, of which one says what is true of all


class Finding(NamedTuple):
    """One line of the report."""

    kind: str  # GOOD, CHANGE or WRONG
    subject: str
    text: str


def findings(facts: Facts, config: DQNConfig) -> list[Finding]:
    """List all that is to be said of an environment under this configuration."""
    return [
        *_spaces(facts),
        *_seeding(facts),
        *_ends(facts),
        *_rewards(facts, config),
        *_observations(facts),
        *_discount(facts, config),
        *_atoms(facts, config),
        *_network(facts, config),
        *_speed(facts, config),
        *_instances(facts),
    ]


def _spaces(facts: Facts) -> Iterator[Finding]:
    masks = (
        "tells which actions are legal"
        if facts.spaces.masked
        else "gives no action mask, so every action counts as legal"
    )
    yield Finding(GOOD, "spaces", f"{facts.spaces_text}; it {masks}.")
    if facts.spaces.actions == 1:
        yield Finding(CHANGE, "spaces", "There is one action only, so there is nothing to choose.")
    actions = facts.names.get("action_meanings")
    if actions:
        yield Finding(GOOD, "actions", _listed(actions))


def _seeding(facts: Facts) -> Iterator[Finding]:
    if facts.statistics:
        wrappers = " and ".join(facts.statistics)
        yield Finding(
            WRONG,
            "statistics",
            f"{wrappers} keeps running statistics: what it returns depends on all that was played"
            " before. So an evaluation and a resumed run see other numbers than the training did,"
            " and whoever uses the exported model would need them too. Scale by constants instead:"
            " gymnasium.wrappers.TransformObservation or TransformReward with a mean and a"
            " deviation that you measured once.",
        )
    elif not facts.repeats:
        yield Finding(
            WRONG,
            "seeding",
            "The same seed and actions gave different episodes. Draw every random number from"
            " self.np_random, after super().reset(seed=seed), and reset all state: else no run can"
            " be repeated or resumed exactly.",
        )
    elif facts.seed_matters:
        yield Finding(
            GOOD, "seeding", "the same seed gives the same episode, another seed another one."
        )
    else:
        yield Finding(
            GOOD,
            "seeding",
            "the same seed gives the same episode; so does another seed, with the same actions:"
            " nothing is drawn at random.",
        )


def _ends(facts: Facts) -> Iterator[Finding]:
    if not len(facts.lengths):
        yield _no_end(facts)
        return
    limit = "no time limit"
    if facts.time_limit is not None:
        limit = f"a time limit of {facts.time_limit:,} steps"
    yield Finding(
        GOOD,
        "ends",
        f"{len(facts.lengths)} episodes of {facts.lengths.min():,} to {facts.lengths.max():,}"
        f" steps, {facts.terminated} terminated, {facts.truncated} truncated; {limit}.",
    )
    always_terminates = facts.truncated == 0 and facts.time_limit is None
    same_length = len(facts.lengths) >= A_FEW and len(set(facts.lengths.tolist())) == 1
    if always_terminates and same_length and facts.lengths[0] > 2:
        yield Finding(
            CHANGE,
            "ends",
            f"Every episode terminated after exactly {facts.lengths[0]:,} steps. If that is a clock"
            " and not an event of the environment, return truncated instead: after a termination"
            " nothing counts any more.",
        )


def _no_end(facts: Facts) -> Finding:
    if facts.time_limit is not None:
        return Finding(
            GOOD,
            "ends",
            f"no episode ended within {facts.steps:,} random steps; there is a time limit of"
            f" {facts.time_limit:,} steps.",
        )
    return Finding(
        CHANGE,
        "ends",
        f"No episode ended within {facts.steps:,} random steps, and there is no time limit. Add"
        " one: register with max_episode_steps=1000, or wrap in gymnasium.wrappers.TimeLimit. A cut"
        " is no death: it changes no value.",
    )


def _rewards(facts: Facts, config: DQNConfig) -> Iterator[Finding]:
    rewards = facts.rewards
    size = float(np.abs(rewards).max())
    text = f"from {rewards.min():g} to {rewards.max():g}, mean {rewards.mean():.3g}."
    if size == 0.0:
        yield Finding(
            CHANGE,
            "rewards",
            f"All {facts.steps:,} were 0: random actions never found one, so exploration will not"
            " either. Shorten the way, reward partial success, or explore for longer"
            " (--epsilon_decay_env_steps).",
        )
    elif SMALL_REWARD <= size <= LARGE_REWARD:
        yield Finding(GOOD, "rewards", text)
    elif presets.find(config.env) and not config.env_wrappers:
        yield Finding(GOOD, "rewards", f"{text} The preset of {config.env} is made for them.")
    elif size > LARGE_REWARD:
        scale = 10.0 ** round(math.log10(size))
        yield Finding(
            CHANGE,
            "rewards",
            f"They are {text} Divide them by {scale:g} in a gymnasium.wrappers.TransformReward:"
            f" learning steps, Huber's bend (--huber_delta={config.huber_delta:g}) and gradient"
            " clipping are made for rewards of about 1.",
        )
    else:
        scale = 10.0 ** min(-math.floor(math.log10(size)), sys.float_info.max_10_exp)
        yield Finding(
            CHANGE,
            "rewards",
            f"They are {text} Multiply them by {scale:g}: so small, they drown in the network's"
            " initial noise.",
        )


def _observations(facts: Facts) -> Iterator[Finding]:
    spaces = facts.spaces
    if facts.outside:
        yield Finding(
            WRONG,
            "observations",
            f"One is outside of its space: {facts.outside}. Widen the space, or mend the"
            " observation.",
        )
    if spaces.vocabulary:
        yield Finding(
            GOOD,
            "observations",
            f"{spaces.observation_shape[0]} tokens of a vocabulary of"
            f" {spaces.vocabulary:,}{_padding(facts)}.",
        )
        names = facts.names.get("tokens")
        unnamed = "they have no names: with an attribute `tokens`, episodes can be shown as text."
        yield Finding(GOOD, "tokens", _listed(names) if names else unnamed)
        return
    if spaces.categories:
        yield Finding(
            GOOD, "observations", f"one of {spaces.categories} categories, one-hot in the network."
        )
        return
    text = f"from {facts.low:g} to {facts.high:g}, {facts.varying:.0%} of the entries change."
    is_large = max(abs(facts.low), abs(facts.high)) > LARGE_OBSERVATION
    if is_large and not spaces.scales_pixels:
        yield Finding(
            CHANGE,
            "observations",
            f"They go {text} Scale them to about -1 to 1, for instance with"
            " gymnasium.wrappers.TransformObservation: the largest entry drowns the others.",
        )
    else:
        yield Finding(GOOD, "observations", text)


def _padding(facts: Facts) -> str:
    """Say which token fills an observation behind its end."""
    spaces = facts.spaces
    if spaces.padding is None:
        return ", without padding"
    names = facts.names.get("tokens")
    if not names:
        return f", padded with {spaces.padding}"
    return (
        f", padded with {numbered(spaces.padding, names[spaces.padding - spaces.category_start])}"
    )


def _listed(names: Sequence[str]) -> str:
    """Return names in their order, the first ones of many and the last."""
    if len(names) <= MOST_NAMES:
        return ", ".join(names) + "."
    return f"{', '.join(names[: MOST_NAMES - 1])}, ... {names[-1]} ({len(names):,})."


def _discount(facts: Facts, config: DQNConfig) -> Iterator[Finding]:
    if config.gamma >= 1.0 and facts.terminated == 0:
        yield Finding(
            CHANGE,
            "discount",
            "--gamma=1 and no episode terminated: the values have no bound. Give a --gamma below"
            " 1.",
        )
    if config.gamma >= 1.0:
        return
    horizon = 1.0 / (1.0 - config.gamma)
    if len(facts.lengths):
        length = float(np.median(facts.lengths))
    else:
        length = float(facts.time_limit or facts.steps)
    longest = float(facts.time_limit or length)
    ahead = max(1, min(round(longest / 5.0), MOST_AHEAD))
    gamma = float(f"{1.0 - 1.0 / ahead:.4g}")  # as it is shown
    if horizon < longest / 10.0 and config.gamma < gamma:
        yield Finding(
            CHANGE,
            "discount",
            f"--gamma={config.gamma:g} looks about {horizon:,.0f} steps ahead, but an episode may"
            f" take {longest:,.0f}. If what is done early matters late, try --gamma={gamma:g}, or"
            " repeat actions so that there are fewer steps.",
        )
    else:
        yield Finding(
            GOOD,
            "discount",
            f"--gamma={config.gamma:g} looks about {horizon:,.0f} steps ahead; random episodes take"
            f" {length:,.0f}.",
        )


def _atoms(facts: Facts, config: DQNConfig) -> Iterator[Finding]:
    if config.distribution != "c51":
        return
    low, high = return_bounds(facts, config.gamma)
    if low < config.v_min or high > config.v_max:
        yield Finding(
            CHANGE,
            "c51",
            f"Returns may lie from {low:.3g} to {high:.3g} (extreme rewards, discounted), but the"
            f" atoms end at --v_min={config.v_min:g} and --v_max={config.v_max:g}: what is beyond"
            f" is learned as the end. Try --v_min={math.floor(low)} --v_max={math.ceil(high)}, or"
            " --distribution=quantile, which needs no bounds.",
        )
    else:
        yield Finding(
            GOOD,
            "c51",
            f"returns may lie from {low:.3g} to {high:.3g}, inside the atoms' {config.v_min:g} to"
            f" {config.v_max:g}.",
        )


def return_bounds(facts: Facts, gamma: float) -> tuple[float, float]:
    """Return the smallest and the largest possible discounted return.

    They follow if the extreme rewards that were seen came at every step of the longest possible
    episode.
    """
    steps = facts.time_limit or max([*facts.lengths.tolist(), facts.steps])
    # the sum of gamma ** t over the episode
    total = float(steps) if gamma >= 1.0 else (1.0 - gamma**steps) / (1.0 - gamma)
    lowest_reward = min(0.0, float(facts.rewards.min()))
    highest_reward = max(0.0, float(facts.rewards.max()))
    return lowest_reward * total, highest_reward * total


def _speed(facts: Facts, config: DQNConfig) -> Iterator[Finding]:
    minutes = config.total_steps / facts.steps_per_second / 60.0
    text = (
        f"{facts.steps_per_second:,.0f} steps a second; --total_steps={config.total_steps} take it"
        f" {minutes:.1f} min, learning not counted."
    )
    if facts.steps_per_second < SLOW_STEPS_PER_SECOND and minutes > 10.0:
        yield Finding(
            CHANGE,
            "speed",
            text + " The environment, not the learner, will set the pace: profile its step().",
        )
    else:
        yield Finding(GOOD, "speed", text)


def _network(facts: Facts, config: DQNConfig) -> Iterator[Finding]:
    yield Finding(GOOD, "network", choice.explain(config, facts.spaces).removeprefix("Network: "))


def _instances(facts: Facts) -> Iterator[Finding]:
    if facts.alone:
        yield Finding(
            GOOD,
            "instances",
            f"one only: beside it, {facts.alone.rstrip('.')}. Evaluations will use the training's,"
            " and play its episode back afterwards.",
        )
    if facts.closing:
        yield Finding(
            WRONG,
            "close",
            f"{facts.closing} A run goes on without it; what close() should free may stay taken.",
        )
