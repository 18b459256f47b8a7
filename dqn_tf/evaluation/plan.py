"""An evaluation before TensorFlow is loaded:

models found, environment made, pictures proved; and how it is then played.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym

from dqn_tf.config import presets, seeding
from dqn_tf.config.dqn_config import DQNConfig, is_atari
from dqn_tf.envs import registry
from dqn_tf.envs.atari import PROTOCOL
from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation import video
from dqn_tf.evaluation.episodes import Evaluation, Policy, evaluate, joined
from dqn_tf.evaluation.find_export import Version, locate
from dqn_tf.evaluation.flags import EvaluateFlags
from dqn_tf.support.errors import UserError


class Plan(NamedTuple):
    """What will be played: each of the versions, on the same environment and seeds."""

    versions: list[Version]
    env: str
    spaces: Spaces
    make: Callable[..., gym.Env]
    seeds: list[int]
    fps: float | None  # of the video, if there is one
    # what a score can only be compared under, where the environment's id does not say it all
    protocol: str
    flags: EvaluateFlags


class Played(NamedTuple):
    """One version's episodes, how long they took, and how many frames were recorded."""

    version: Version
    evaluation: Evaluation
    seconds: float
    frames: int


def prepare(flags: EvaluateFlags) -> Plan:
    """Raises UserError for everything that can be known to be wrong without TensorFlow."""
    versions = [locate(name) for name in flags.compare or [flags.model]]
    env = _environment(versions, flags.env)
    config = _protocol(versions, env) or presets.configure(env, {})
    make = registry.maker(config)
    spaces = registry.spaces(config)
    for version in versions:
        _require_fit(version, env, spaces)
    seeds = list(seeding.episode_seeds(flags.seed, seeding.TEST, flags.episodes))
    fps = None
    if flags.video is not None:
        video.require_writer(Path(flags.video))
        fps = video.prove(make, "rgb_array", "--video", seeds[0])
    if flags.render:
        video.prove(make, "human", "--render", seeds[0])
    return Plan(versions, env, spaces, make, seeds, fps, config.protocol, flags)


def play(plan: Plan, version: Version, policy: Policy, check: Callable[[], None]) -> Played:
    """Plays every seed once.

    Those that are shown or recorded are played one after the other, the rest side by side.
    """
    flags, clock, parts, frames = plan.flags, time.monotonic(), [], 0
    rest = plan.seeds
    if flags.render:
        parts, rest = (
            [
                evaluate(
                    policy,
                    lambda: plan.make(render_mode="human"),
                    rest,
                    flags.max_episode_steps,
                    check,
                    parallel=1,
                )
            ],
            [],
        )
    if flags.video is not None:
        filmed, rest = rest[: flags.video_episodes], rest[flags.video_episodes :]
        with video.Film(Path(flags.video), plan.fps) as film:
            parts = [
                evaluate(
                    policy,
                    lambda: video.Filmed(plan.make(render_mode="rgb_array"), film),
                    filmed,
                    flags.max_episode_steps,
                    check,
                    parallel=1,
                )
            ]
        frames = film.frames
    if rest:
        parts.append(evaluate(policy, plan.make, rest, flags.max_episode_steps, check))
    return Played(version, joined(parts), time.monotonic() - clock, frames)


def _environment(versions: list[Version], given: str | None) -> str:
    if given:
        return given
    names = [version.manifest.get("env") for version in versions]
    for version, name in zip(versions, names, strict=True):
        if not isinstance(name, str):
            raise UserError(
                f"{version.path} does not say what it was trained on (no assets.extra/dqn_tf.json):"
                " name it with --env."
            )
    if len(set(names)) > 1:
        raise UserError(
            f"{versions[0].path} was trained on {names[0]} and {versions[1].path} on {names[1]};"
            " name the environment to compare them on with --env."
        )
    return names[0]


def _protocol(versions: list[Version], env: str) -> DQNConfig | None:
    """What Atari games are played under:

    the protocol that the first version was trained under, where it says so.
    """
    recorded = versions[0].manifest.get("config")
    if not is_atari(env) or not isinstance(recorded, dict):
        return None
    names = [name for name in PROTOCOL if name in recorded]
    protocols = [
        [version.manifest.get("config", {}).get(name) for name in names] for version in versions
    ]
    if any(other != protocols[0] for other in protocols):
        raise UserError(
            f"{versions[0].path} and {versions[1].path} were trained under different protocols: "
            + "; ".join(
                f"{name} {one} and {other}"
                for name, one, other in zip(names, *protocols, strict=True)
                if one != other
            )
            + "."
        )
    return DQNConfig(env=env, **{name: recorded[name] for name in names})


def _require_fit(version: Version, env: str, spaces: Spaces) -> None:
    recorded: Any = version.manifest.get("spaces")
    if not isinstance(recorded, dict):
        return
    differences = [
        f"{name} {recorded[name]} for {value}"
        for name, value in spaces.to_dict().items()
        if name in recorded and recorded[name] != value
    ]
    if differences:
        raise UserError(
            f"{version.path} does not fit {env}: it was made with {', '.join(differences)}."
        )
