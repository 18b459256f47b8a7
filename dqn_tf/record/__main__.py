"""Records logged data: `python -m dqn_tf.record --env=CartPole-v1 --output=random.npz`."""

import functools
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.evaluation import plan
from dqn_tf.evaluation.episodes import ActFunction
from dqn_tf.evaluation.find_export import Version, find_export
from dqn_tf.evaluation.kept_envs import KeptEnvs, parallel_of
from dqn_tf.experience.logged import sources
from dqn_tf.experience.logged.summary import summarize
from dqn_tf.record import minari_output, npz_output
from dqn_tf.record.behaviour import Behaviour
from dqn_tf.record.flags import RecordFlags, parse
from dqn_tf.record.play import Episode, Recorder
from dqn_tf.support import command_line, tensorflow_loading
from dqn_tf.support.interrupts import Interrupts, answer_signals


class RecordPlan(NamedTuple):
    """What is played, and by which export; None for random play."""

    config: DQNConfig
    make: registry.EnvMaker
    version: Version | None


def command() -> None:
    """Run the command that the process was started with."""
    command_line.run(main, parse)


def main(flags: RecordFlags) -> None:
    """Record; exit with 130 or 143 after a signal."""
    if not command_line.verbose():
        warnings.simplefilter("ignore")  # Gymnasium's advice; dqn_tf itself says what matters
    answer_signals(
        functools.partial(record, flags),
        "Stopped before the recording was complete; nothing was written.",
    )


def record(flags: RecordFlags, interrupts: Interrupts) -> None:
    """Play, write, and print what was written. Raises UserError, or Interrupted after a signal."""
    prepared = prepare(flags)
    interrupts.check()
    spaces = prepared.make.spaces
    behaviour = Behaviour(load_policy(prepared), flags.epsilon or 0.0, spaces)
    recorder = Recorder(behaviour, flags.seed, flags.episodes, flags.steps, flags.max_episode_steps)
    most = parallel_of(prepared.config, prepared.make)
    with KeptEnvs(prepared.make, most) as envs:
        episodes = recorder.record(envs.ready(flags.episodes or most), interrupts.check, say)
    write(flags, prepared, episodes)
    names = prepared.make.names.get("action_meanings", ())
    print(summarize(sources.load(flags.output, spaces), spaces, names))


def write(flags: RecordFlags, prepared: RecordPlan, episodes: Sequence[Episode]) -> None:
    """Write what was recorded. Raises UserError."""
    if flags.minari_id is None:
        npz_output.write(Path(flags.output), episodes, prepared.make.spaces)
        return
    algorithm = "random" if prepared.version is None else f"dqn_tf, epsilon {flags.epsilon or 0.0}"
    with KeptEnvs(prepared.make, 1) as envs:
        env = envs.ready(1)[0].env
        minari_output.write(flags.minari_id, episodes, env, prepared.make.spaces, algorithm)


def prepare(flags: RecordFlags) -> RecordPlan:
    """Find the export and make the environment. Raises UserError before TensorFlow is loaded."""
    if flags.minari_id is not None:
        minari_output.require_new(flags.minari_id)
    if flags.model is None:
        config = presets.configure(str(flags.env), flags.overrides)
        return RecordPlan(config, registry.maker(config), None)
    version = find_export(flags.model)
    config = plan.configuration([version], flags.env, flags.overrides)
    make = registry.maker(config)
    plan.require_fit(version, config.env, make.spaces)
    return RecordPlan(config, make, version)


def load_policy(prepared: RecordPlan) -> ActFunction | None:
    """Load the export that plays; TensorFlow is loaded only where there is one."""
    if prepared.version is None:
        return None
    tensorflow_loading.load_tensorflow(command_line.verbose())
    from dqn_tf.evaluation.exported_policy import ExportedPolicy

    return ExportedPolicy(prepared.version.path, prepared.make.spaces)


def say(sentence: str) -> None:
    """Say how far it is, where it does not mix with the summary."""
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    command()
