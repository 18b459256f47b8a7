"""Validates runs before TensorFlow is imported: environment, directories, memory, checkpoint."""

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.agent.networks import choice
from dqn_tf.config import presets, unread
from dqn_tf.config.dqn_config import FIXED_ON_RESUME, DQNConfig
from dqn_tf.config.settings.run import MOST_SEED
from dqn_tf.distributed import ray_cluster
from dqn_tf.engines.replays import logged_counts
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.find_export import default_directory, require_same_env
from dqn_tf.experience import memory_plan
from dqn_tf.experience.collector import find_collector
from dqn_tf.experience.eviction import require_evictable
from dqn_tf.experience.logged import sources
from dqn_tf.experience.logged.episode_replay import require_growing
from dqn_tf.experience.logged.held_out import require_learnable
from dqn_tf.experience.logged.shares import SharedEpisodes, load_all
from dqn_tf.experience.logged.summary import summarize
from dqn_tf.experience.replay_unit import holds_episodes, unit_tokens
from dqn_tf.experience.whole_episodes import padding_of
from dqn_tf.language import model_files
from dqn_tf.run_files.checkpoint import Checkpoint
from dqn_tf.run_files.evaluation_file import is_complete
from dqn_tf.run_files.run_directory import (
    CONFIG,
    CURVES,
    SUMMARY,
    RunDirectory,
    changed_config,
    default_path,
    open_runs,
    require_alike,
    require_files,
    require_place_for_seeds,
)
from dqn_tf.support import command_line, files
from dqn_tf.support.errors import UserError
from dqn_tf.training import (
    collecting,
    common_checkpoint,
    earlier_run,
    initial_replay,
    initial_weights,
    own_parts,
    pretrained_model,
)
from dqn_tf.training.flags import TrainingFlags


class RunPlan(NamedTuple):
    """A validated run, ready to start."""

    config: DQNConfig
    spaces: Spaces
    run_dir: RunDirectory
    directory: Path  # what --resume takes: the run's own, or the one above several seeds' runs
    export_dir: Path
    on_checkpoint_error: str  # stop or continue
    recorded: DQNConfig | None = None  # of a run that is resumed, as its config.json has it
    checkpoint: Checkpoint | None = None  # where to go on from
    logged: tuple[SharedEpisodes, ...] = ()

    @property
    def seed(self) -> int:
        """The run's seed; `prepare` has drawn it if it was not given."""
        return self.config.seed or 0

    @property
    def is_one_of_several_seeds(self) -> bool:
        """True for a run of several seeds, even if it is the last unfinished one."""
        return self.directory != self.run_dir.path


def prepare(flags: TrainingFlags) -> list[RunPlan]:
    """Plan a new run, or the rest of an old one; several if there are several seeds.

    Returns none if all are already complete. Raises UserError.
    """
    if "replay_memory" in flags.overrides and "replay_capacity" in flags.overrides:
        raise UserError(
            "--replay_memory and --replay_capacity say the same thing: give one of them."
        )
    plans = _resumed_runs(flags.resume, flags) if flags.resume else _new_runs(flags)
    if plans:
        config = plans[0].config
        if config.engine == "graph":
            registry.require_native(config.env)
        find_collector(config)
        if config.workers:
            ray_cluster.require_usable(config)
            collecting.require_work(config)
        if plans[0].is_one_of_several_seeds:
            require_files(plans[0].directory, SUMMARY, CURVES)
        for plan in plans:
            files.require_directory("export_dir", plan.export_dir)
            if plan.export_dir.resolve() == plan.run_dir.checkpoints.resolve():
                raise UserError(f"--export_dir={plan.export_dir} is where the checkpoints lie.")
            require_same_env(plan.export_dir, config.env, plan.spaces.to_dict())
        spaces = plans[0].spaces
        choice.require_fit(config.network, spaces)
        own_parts.require_usable(config, spaces)
        pretrained_model.require_usable(config)
        require_evictable(config, spaces)
        if not flags.resume:
            initial_weights.require_fit(config, spaces)
            initial_replay.require_fit(config, spaces)
        parameters = choice.parameters(config, spaces)
        print(memory_plan.require_memory(config, spaces, len(plans), parameters))
        print(choice.explain(config, spaces))
        network = choice.resolved(config, spaces)
        # what --rainbow sets was not typed by itself
        given = flags.overrides.items()
        typed = [name for name, value in given if presets.RAINBOW.get(name) != value]
        for sentence in unread.explain(config, network, typed):
            print(sentence)
        if config.lag or config.shards > 1:
            print(collecting.explain(config))
        plans = _with_logged_data(plans)
    if flags.resume:
        return plans
    if plans[0].is_one_of_several_seeds:
        require_place_for_seeds(plans[0].directory, plans[0].config)
        for plan in plans:
            plan.run_dir.require_new()
    # The last step: a refused run leaves nothing behind.
    return [plan._replace(run_dir=RunDirectory.create(plan.run_dir.path)) for plan in plans]


def _new_runs(flags: TrainingFlags) -> list[RunPlan]:
    env = flags.overrides.get("env", DQNConfig.env)
    first_seed = flags.overrides.get("seed")
    if first_seed is None:
        first_seed = _drawn_seed(flags.num_seeds)
    last_seed = first_seed + flags.num_seeds - 1
    if first_seed <= MOST_SEED < last_seed:
        raise UserError(
            f"--seed={first_seed} and --num_seeds={flags.num_seeds}: the last seed would be"
            f" {last_seed}, and must be at most {MOST_SEED}."
        )
    overrides = _with_absolute_paths(flags.overrides)
    config = presets.configure(env, overrides | {"seed": first_seed})
    spaces = registry.spaces(config)
    config = memory_plan.with_capacity(config, spaces)
    directory = Path(flags.run_dir or default_path(config.env, first_seed, flags.num_seeds))
    if flags.num_seeds == 1:
        export_dir = Path(flags.export_dir or _default_export_dir(config, spaces))
        run_dir = RunDirectory(directory)
        return [RunPlan(config, spaces, run_dir, directory, export_dir, flags.on_checkpoint_error)]
    plans = []
    for seed in range(first_seed, first_seed + flags.num_seeds):
        name = f"seed{seed}"
        run_dir = RunDirectory(directory / name)
        export_dir = (
            Path(flags.export_dir) / name if flags.export_dir else run_dir.path / "saved_model"
        )
        seed_config = dataclasses.replace(config, seed=seed)
        plans.append(
            RunPlan(seed_config, spaces, run_dir, directory, export_dir, flags.on_checkpoint_error)
        )
    return plans


def _default_export_dir(config: DQNConfig, spaces: Spaces) -> Path:
    directory = Path("saved_models") / registry.directory_name(config.env)
    return default_directory(directory, config.env, spaces.to_dict())


def _resumed_runs(resume: str, flags: TrainingFlags) -> list[RunPlan]:
    plans = []
    sentences = []
    overrides = _with_absolute_paths(flags.overrides)
    if "data" in overrides:
        overrides["data"] = tuple(map(sources.absolute, overrides["data"]))
    for run_dir in open_runs(resume):
        recorded_config, spaces, export_dir = run_dir.read_config()
        config, differences = changed_config(recorded_config, overrides)
        report = run_dir.read_evaluation()
        if report is not None and is_complete(report, config.total_steps, config.logged_updates):
            sentences.append(_that_it_is_complete(run_dir, report, config))
            continue
        sentences += [f"Changed for the rest of the run: {phrase}." for phrase in differences]
        if flags.export_dir:
            is_alone = run_dir.path == Path(resume)
            export_dir = Path(flags.export_dir) / ("" if is_alone else run_dir.path.name)
        config = memory_plan.with_capacity(config, spaces)
        require_same_spaces(spaces, registry.spaces(config))
        plans.append(
            RunPlan(
                config,
                spaces,
                run_dir,
                directory=Path(resume),
                export_dir=export_dir,
                on_checkpoint_error=flags.on_checkpoint_error,
                recorded=recorded_config,
            )
        )
    for plan in plans[1:]:  # one program trains them all
        path = command_line.typed_path(plan.run_dir.path)
        instead = f"resume each by itself, such as --resume={path}"
        require_alike(plan.run_dir.path, plan.config, plans[0].config, instead)
    checkpoints = common_checkpoint.read(
        [plan.run_dir for plan in plans],
        [plan.recorded or plan.config for plan in plans],
        Path(resume),
        flags.refill_replay,
    )
    if plans and checkpoints[0].replay is None:
        common_checkpoint.require_steps_to_refill(plans[0].config, checkpoints[0])
    plans = [
        plan._replace(checkpoint=checkpoint)
        for plan, checkpoint in zip(plans, checkpoints, strict=True)
    ]
    for plan in plans:
        sentences += _require_own_config(plan, flags.overrides) + _what_stays(plan)
    for sentence in dict.fromkeys(sentences):  # each once, however many seeds it holds for
        print(sentence)
    return plans


def _with_absolute_paths(overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that were typed; any directory may be the one of a later resume."""
    makers = {
        "initial_weights": earlier_run.absolute,
        "initial_replay": earlier_run.absolute,
        "language_model": model_files.absolute,
    }
    absolute = {name: make(overrides[name]) for name, make in makers.items() if name in overrides}
    return dict(overrides) | absolute


def _that_it_is_complete(run_dir: RunDirectory, report: dict[str, Any], config: DQNConfig) -> str:
    """Return a sentence that says so, and what would train the run further."""
    if config.total_steps:
        more = "--total_steps"
        done = f"{report['env_steps']:,} of {config.total_steps:,} steps"
        if report["env_steps"] > config.total_steps:
            done = f"it took {report['env_steps']:,} steps, more than {config.total_steps:,}"
    else:
        done = f"{report['offline_updates']:,} updates on logged data"
        more = "--offline_updates or --total_steps"
    return (
        f"{run_dir.path} is already complete: {done}. Give a larger {more} to train it further;"
        f" {command_line.other_command('export')} --run={command_line.typed_path(run_dir.path)}"
        " exports it anew."
    )


def _require_nothing_taught(config: DQNConfig, way_out: str) -> None:
    """Raise UserError for what is to be learned from logged data, of which no row is drawn."""
    for name in ("cql_alpha", "support", "imitation"):
        if getattr(config, name):
            raise UserError(
                f"--{name} is about what logged data hold and what they never tried: {way_out}, or"
                " leave it out."
            )


def _with_logged_data(plans: list[RunPlan]) -> list[RunPlan]:
    """Read the logged data, which all seeds share, and print what they hold."""
    config, spaces = plans[0].config, plans[0].spaces
    if not config.data:
        _require_nothing_taught(config, "give --data")
        return plans
    about_env = (
        functools.partial(ask, config) for ask in (registry.corpus, registry.find_tokenizer)
    )
    logged = tuple(load_all(config.data, spaces, *about_env))
    is_drawn = any(map(any, logged_counts(config, logged)))  # raises
    if not is_drawn:
        _require_nothing_taught(config, "give a --data_share above 0, or --offline_updates")
        print("No row of --data is drawn: --data_share is 0, and there are no --offline_updates.")
    names = registry.names(config).get("action_meanings", ())
    for source in logged:
        if is_drawn:
            require_learnable(source.episodes, holds_out=config.pretrain_updates > 0)
        if holds_episodes(config):
            require_growing(source.episodes, padding_of(spaces), unit_tokens(config))
        print(summarize(source.episodes, spaces, names))
    # any directory may be the one that it is resumed from
    data = tuple(map(sources.absolute, config.data))
    return [
        plan._replace(logged=logged, config=dataclasses.replace(plan.config, data=data))
        for plan in plans
    ]


def _require_own_config(plan: RunPlan, overrides: dict[str, Any]) -> list[str]:
    """Return a sentence for each setting that config.json has had changed since the checkpoint.

    Raises UserError if it says what cannot have changed.
    """
    assert plan.checkpoint is not None and plan.recorded is not None
    saved = plan.checkpoint.state.get("config")  # earlier versions saved none
    if not isinstance(saved, dict):
        return []
    path = plan.run_dir.path / CONFIG
    differences = {
        name: f"--{name} was {saved[name]} and is {now} there"
        for name, now in plan.recorded.to_dict().items()
        if name in saved and name not in overrides and saved[name] != now
    }
    refused = [phrase for name, phrase in differences.items() if name in FIXED_ON_RESUME]
    if refused:
        raise UserError(
            f"{path} is not the configuration that the run was trained with:"
            f" {'; '.join(refused)}. Put it back, or start a new run."
        )
    return [f"{path} was changed: {phrase}." for phrase in differences.values()]


def _what_stays(plan: RunPlan) -> list[str]:
    """Return a sentence for each setting that was changed and holds for a part of the rest only."""
    assert plan.checkpoint is not None
    state, config = plan.checkpoint.state, plan.config
    before = state.get("config")
    if not isinstance(before, dict):
        return []
    sentences = []
    if config.gamma != before["gamma"] and plan.checkpoint.replay is not None:
        sentences.append(
            f"What the replay holds was made with --gamma={before['gamma']:g}, and stays so until"
            " it is overwritten."
        )
    learning_starts = state["engine"]["learning_starts"]
    has_learned = state["engine"]["env_step"] > learning_starts
    if config.warmup_env_steps != before["warmup_env_steps"] and has_learned:
        sentences.append(
            f"--warmup_env_steps={config.warmup_env_steps} changes nothing: the run has learned"
            f" since step {learning_starts:,}."
        )
    return sentences


def _drawn_seed(num_seeds: int) -> int:
    # so small that the seeds after it are valid too
    return int(np.random.SeedSequence().generate_state(1)[0]) // num_seeds


def require_same_spaces(before: Spaces, now: Spaces) -> None:
    """Raise UserError if an environment has other spaces than the one that a run is planned for."""
    old = before.to_dict()
    new = now.to_dict()
    differences = [
        f"{name} was {old[name]} and is now {new[name]}"
        for name in old
        # earlier versions saw fewer pictures, and their runs go on as they began
        if name != "picture" and old[name] != new[name]
    ]
    if differences:
        raise UserError(
            "The environment is not the one that the run was started with: "
            + "; ".join(differences)
            + "."
        )
