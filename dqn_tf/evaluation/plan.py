"""Plans an evaluation before TensorFlow is loaded, and plays it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from dqn_tf.config import presets, seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import is_atari, is_version_of, show
from dqn_tf.envs import registry
from dqn_tf.envs.atari import PROTOCOL
from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation import video
from dqn_tf.evaluation.episodes import ActFunction, Evaluation, Rules, join_evaluations
from dqn_tf.evaluation.episodes import play as play_episodes
from dqn_tf.evaluation.find_export import Version, differing, find_export
from dqn_tf.evaluation.flags import EvaluateFlags
from dqn_tf.evaluation.kept_envs import KeptEnvs, parallel_of
from dqn_tf.evaluation.watch import ChoiceWatch, ProgressWatch, TextWatch
from dqn_tf.support.errors import UserError

# the settings that gymnasium.make and wrappers are given, and what they were before there were any
ARGUMENTS: dict[str, Any] = {"env_kwargs": {}, "env_wrappers": ""}
# what earlier versions of dqn_tf, which do not record it, had of the protocol of Atari games
FORMER_PROTOCOL: dict[str, Any] = {"screen_size": 84}
# those that say how texts and choices are told, which are the network's whatever is played
OF_TEXTS: dict[str, Any] = {
    name: getattr(DQNConfig, name)
    for name in (
        *("choices", "max_choices", "choice_tokens"),
        *("language_model", "dialogue", "max_messages", "message_tokens"),
    )
}


class EvaluationPlan(NamedTuple):
    """A checked evaluation: each version plays the same seeds of the same environment."""

    versions: list[Version]
    config: DQNConfig  # what is played
    spaces: Spaces
    make: registry.EnvMaker
    parallel: int  # environments stepped together
    seeds: list[int]
    fps: float  # frames per second of the video
    names: dict[str, list[str]]  # of tokens and of actions, where the environment has any
    flags: EvaluateFlags

    @property
    def rules(self) -> Rules:
        """How the episodes are played."""
        return Rules(self.flags.max_episode_steps, self.flags.epsilon)


class Played(NamedTuple):
    """A version's episodes, how long they took, frames recorded, and the first ones as text."""

    version: Version
    evaluation: Evaluation
    seconds: float
    frames: int
    texts: list[str]


def prepare(flags: EvaluateFlags) -> EvaluationPlan:
    """Plan the evaluation. Raises UserError for everything that TensorFlow is not needed to see."""
    names = flags.compare if flags.compare else [str(flags.model)]
    versions = [find_export(name) for name in names]
    config = configuration(versions, flags.env, flags.overrides)
    env = config.env
    make = registry.maker(config)
    spaces = make.spaces
    for sentence in make.caveats:
        print(sentence)
    for version in versions:
        require_fit(version, env, spaces)
    seeds = list(seeding.episode_seeds(flags.seed, seeding.TEST, flags.episodes))
    fps = 0.0
    tokens = make.names.get("tokens")
    instead = " It is one of tokens: --show=3 prints episodes as text." if tokens else ""
    if flags.video is not None:
        video.require_writer(Path(flags.video))
        fps = video.require_drawing(make, "rgb_array", "--video", seeds[0], instead)
    if flags.render:
        video.require_drawing(make, "human", "--render", seeds[0], instead)
    parallel = parallel_of(config, make)
    if flags.show and tokens is None:
        raise UserError(
            f"--show={flags.show}: {env} names no tokens (its attribute `tokens`), so its episodes"
            " are no text."
        )
    return EvaluationPlan(versions, config, spaces, make, parallel, seeds, fps, make.names, flags)


def configuration(
    versions: list[Version], env: str | None, overrides: dict[str, Any] | None = None
) -> DQNConfig:
    """Return the configuration of environment `env`, or of the one the versions were trained on.

    It is played as they were trained: an Atari game under the same protocol, another one with the
    same arguments and wrappers, as far as `overrides` says nothing else. Raises UserError.
    """
    name = _environment(versions, env)
    overrides = overrides or {}
    settings = _trained_with(versions, name, overrides)
    return presets.configure(name, _of_network(versions[0], name) | settings | overrides)


def play(
    plan: EvaluationPlan,
    version: Version,
    policy: ActFunction,
    check: Callable[[], None],
    say: Callable[[str], None],
) -> Played:
    """Play every seed once; `say` takes sentences on how far it is.

    Episodes that are shown or recorded are played one after the other, the rest side by side.
    """
    start = time.monotonic()
    frames = 0
    texts: list[str] = []
    parts = []
    shown = plan.flags.show
    if plan.flags.video is not None:
        shown = plan.flags.video_episodes
        evaluation, frames = _play_with_video(plan, Path(plan.flags.video), policy, check)
        parts.append(evaluation)
    elif shown:
        evaluation, texts = _play_as_text(plan, policy, check)
        parts.append(evaluation)
    others = plan.seeds[shown:]
    if others:
        keywords = {"render_mode": "human"} if plan.flags.render else {}
        most = 1 if plan.flags.render else plan.parallel
        watch = ProgressWatch(len(others), say, _hint(plan))
        with KeptEnvs(plan.make, most, **keywords) as envs:
            ready = envs.ready(len(others))
            parts.append(play_episodes(policy, ready, others, plan.rules, check, watch))
    return Played(version, join_evaluations(parts), time.monotonic() - start, frames, texts)


def _hint(plan: EvaluationPlan) -> str:
    hint = "; --max_episode_steps cuts episodes earlier"
    if plan.parallel == 1:
        hint += ", and --evaluation_envs=32 plays as many side by side"
    return hint


def _play_with_video(
    plan: EvaluationPlan, path: Path, policy: ActFunction, check: Callable[[], None]
) -> tuple[Evaluation, int]:
    """Play and record the first episodes; return the number of frames, too."""
    filmed = plan.seeds[: plan.flags.video_episodes]
    with (
        video.VideoFile(path, plan.fps) as file,
        KeptEnvs(plan.make, 1, render_mode="rgb_array") as envs,
    ):
        watch = video.FilmWatch(file)
        evaluation = play_episodes(policy, envs.ready(1), filmed, plan.rules, check, watch)
    return evaluation, file.frames


def _play_as_text(
    plan: EvaluationPlan, policy: ActFunction, check: Callable[[], None]
) -> tuple[Evaluation, list[str]]:
    """Play the first episodes; return what was said in them, too."""
    names = plan.names["tokens"]
    watch = TextWatch(names, plan.names.get("action_meanings", ()))
    if plan.spaces.choices:
        watch = ChoiceWatch(names)
    with KeptEnvs(plan.make, 1) as envs:
        seeds = plan.seeds[: plan.flags.show]
        evaluation = play_episodes(policy, envs.ready(1), seeds, plan.rules, check, watch)
    return evaluation, watch.texts


def _environment(versions: list[Version], flag: str | None) -> str:
    """Return the environment's id: the flag's, or the one that all versions were trained on."""
    if flag:
        return _with_version(presets.full_id(flag), versions)
    names = [_trained_on(version) for version in versions]
    if len(set(names)) > 1:
        raise UserError(
            f"{versions[0].path} was trained on {names[0]} and {versions[1].path} on {names[1]};"
            " name the environment to compare them on with --env."
        )
    return names[0]


def _with_version(env: str, versions: list[Version]) -> str:
    """Return an id without a version as the one that all models were trained on, if it is that."""
    trained_on = {version.manifest.get("env") for version in versions}
    if len(trained_on) == 1:
        (name,) = trained_on
        if isinstance(name, str) and is_version_of(name, env):
            return name
    return env


def _trained_on(version: Version) -> str:
    name = version.manifest.get("env")
    if not isinstance(name, str):
        raise UserError(
            f"{version.path} does not say what it was trained on (no assets.extra/dqn_tf.json):"
            " name it with --env."
        )
    return name


def _of_network(version: Version, env: str) -> dict[str, Any]:
    """Return what takes the place of a preset's settings that may not go with how texts are told.

    Nothing is learned here, so rows are of single steps, which go with all of them.
    """
    config = version.manifest.get("config")
    settings: dict[str, Any] = {"replay_unit": DQNConfig.replay_unit}
    if isinstance(config, dict) and "network" in config and not is_atari(env):
        settings["network"] = config["network"]
    return settings


def _trained_with(versions: list[Version], env: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that decide what `env` is, as the versions were trained with them.

    They are the protocol of an Atari game, or the arguments and wrappers of the environment that
    they were trained on. A version whose manifest has none may be played with those of the other.
    Raises UserError if two were trained with different ones, where `overrides` does not say what
    holds.
    """
    settings: dict[str, Any] = {}
    for version in versions:
        recorded = _recorded(version, env)
        differing = {
            name: f"{name} {show(settings[name])} and {show(value)}"
            for name, value in recorded.items()
            if settings.get(name, value) != value and name not in overrides
        }
        if differing:
            sentence = (
                f"{versions[0].path} and {version.path} were trained under different protocols:"
                f" {'; '.join(differing.values())}."
            )
            if differing.keys() <= ARGUMENTS.keys():
                flags = " and ".join(f"--{name}" for name in differing)
                sentence += f" Say with {flags} what both are to play."
            raise UserError(sentence)
        settings |= recorded
    return settings


def _recorded(version: Version, env: str) -> dict[str, Any]:
    config = version.manifest.get("config")
    if not isinstance(config, dict):
        return {}
    if is_atari(env):
        return FORMER_PROTOCOL | {name: config[name] for name in PROTOCOL if name in config}
    kept = OF_TEXTS if version.manifest.get("env") != env else OF_TEXTS | ARGUMENTS
    # earlier versions had none of them
    return {name: config.get(name, former) for name, former in kept.items()}


def require_fit(version: Version, env: str, spaces: Spaces) -> None:
    """Raise UserError if the manifest names other spaces than the environment's."""
    differences = differing(version.manifest.get("spaces"), spaces.to_dict())
    if differences:
        raise UserError(
            f"{version.path} does not fit {env}: it was made with {', '.join(differences)}."
        )
