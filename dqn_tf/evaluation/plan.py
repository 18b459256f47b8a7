"""Plans an evaluation before TensorFlow is loaded, and plays it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym

from dqn_tf.config import presets, seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import is_atari
from dqn_tf.envs import registry
from dqn_tf.envs.atari import PROTOCOL
from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation import video
from dqn_tf.evaluation.episodes import ActFunction, Evaluation, evaluate, join_evaluations
from dqn_tf.evaluation.find_export import Version, find_export
from dqn_tf.evaluation.flags import EvaluateFlags
from dqn_tf.support.errors import UserError


class EvaluationPlan(NamedTuple):
    """A checked evaluation: each version plays the same seeds of the same environment."""

    versions: list[Version]
    env: str
    spaces: Spaces
    make: Callable[..., gym.Env]
    seeds: list[int]
    fps: float  # frames per second of the video
    # What a score can only be compared under, where the environment's id does not say it all.
    protocol: str
    flags: EvaluateFlags


class Played(NamedTuple):
    """A version's episodes, how long they took, and how many frames were recorded."""

    version: Version
    evaluation: Evaluation
    seconds: float
    frames: int


def prepare(flags: EvaluateFlags) -> EvaluationPlan:
    """Plan the evaluation. Raises UserError for everything that TensorFlow is not needed to see."""
    names = flags.compare if flags.compare else [str(flags.model)]
    versions = [find_export(name) for name in names]
    config = configuration(versions, flags.env)
    env = config.env
    make = registry.maker(config)
    spaces = registry.spaces(config)
    for version in versions:
        require_fit(version, env, spaces)
    seeds = list(seeding.episode_seeds(flags.seed, seeding.TEST, flags.episodes))
    fps = 0.0
    if flags.video is not None:
        video.require_writer(Path(flags.video))
        fps = video.require_drawing(make, "rgb_array", "--video", seeds[0])
    if flags.render:
        video.require_drawing(make, "human", "--render", seeds[0])
    return EvaluationPlan(versions, env, spaces, make, seeds, fps, config.protocol, flags)


def configuration(versions: list[Version], env: str | None) -> DQNConfig:
    """Return the configuration of environment `env`, or of the one the versions were trained on.

    An Atari game keeps the protocol that they were trained under. Raises UserError.
    """
    name = _environment(versions, env)
    return _protocol(versions, name) or presets.configure(name, {})


def play(
    plan: EvaluationPlan, version: Version, policy: ActFunction, check: Callable[[], None]
) -> Played:
    """Play every seed once.

    Episodes that are shown or recorded are played one after the other, the rest side by side.
    """
    start = time.monotonic()
    limit = plan.flags.max_episode_steps
    frames = 0
    if plan.flags.render:
        evaluation = evaluate(policy, _window(plan), plan.seeds, limit, check, parallel=1)
    elif plan.flags.video is not None:
        evaluation, frames = _play_with_video(plan, Path(plan.flags.video), policy, check)
    else:
        evaluation = evaluate(policy, plan.make, plan.seeds, limit, check)
    return Played(version, evaluation, time.monotonic() - start, frames)


def _window(plan: EvaluationPlan) -> Callable[[], gym.Env]:
    return lambda: plan.make(render_mode="human")


def _play_with_video(
    plan: EvaluationPlan, path: Path, policy: ActFunction, check: Callable[[], None]
) -> tuple[Evaluation, int]:
    """Play every seed once and record the first episodes; return the number of frames, too."""
    limit = plan.flags.max_episode_steps
    filmed = plan.seeds[: plan.flags.video_episodes]
    others = plan.seeds[plan.flags.video_episodes :]
    with video.VideoFile(path, plan.fps) as file:

        def make() -> gym.Env:
            return video.FilmedEnv(plan.make(render_mode="rgb_array"), file)

        parts = [evaluate(policy, make, filmed, limit, check, parallel=1)]
    if others:
        parts.append(evaluate(policy, plan.make, others, limit, check))
    return join_evaluations(parts), file.frames


def _environment(versions: list[Version], flag: str | None) -> str:
    """Return the environment's id: the flag's, or the one that all versions were trained on."""
    if flag:
        return flag
    names = [_trained_on(version) for version in versions]
    if len(set(names)) > 1:
        raise UserError(
            f"{versions[0].path} was trained on {names[0]} and {versions[1].path} on {names[1]};"
            " name the environment to compare them on with --env."
        )
    return names[0]


def _trained_on(version: Version) -> str:
    name = version.manifest.get("env")
    if not isinstance(name, str):
        raise UserError(
            f"{version.path} does not say what it was trained on (no assets.extra/dqn_tf.json):"
            " name it with --env."
        )
    return name


def _protocol(versions: list[Version], env: str) -> DQNConfig | None:
    """Return the configuration of the Atari protocol that the versions were trained under.

    None where there is none: the environment is no Atari game, or the manifest has no config.
    Raises UserError if two versions were trained under different protocols.
    """
    config = versions[0].manifest.get("config")
    if not is_atari(env) or not isinstance(config, dict):
        return None
    protocol = {name: config[name] for name in PROTOCOL if name in config}
    for version in versions[1:]:
        other = version.manifest.get("config") or {}
        differences = [
            f"{name} {value} and {other.get(name)}"
            for name, value in protocol.items()
            if other.get(name) != value
        ]
        if differences:
            raise UserError(
                f"{versions[0].path} and {version.path} were trained under different protocols:"
                f" {'; '.join(differences)}."
            )
    return DQNConfig(env=env, **protocol)


def require_fit(version: Version, env: str, spaces: Spaces) -> None:
    """Raise UserError if the manifest names other spaces than the environment's."""
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
