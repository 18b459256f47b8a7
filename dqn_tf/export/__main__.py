"""Publishes a run's agent anew: `python -m dqn_tf.export --run=RUN_DIR`."""

from pathlib import Path

from dqn_tf.envs import registry
from dqn_tf.evaluation.find_export import require_same_env
from dqn_tf.export import run_snapshot
from dqn_tf.export.flags import ExportFlags, parse
from dqn_tf.support import command_line, files, tensorflow_loading


def command() -> None:
    """Run the command that the process was started with."""
    command_line.run(main, parse)


def main(flags: ExportFlags) -> None:
    """Read the run; only then load TensorFlow and publish. Raises UserError."""
    run = run_snapshot.read_snapshot(flags.run, flags.weights)
    directory = Path(flags.output) if flags.output else run.export_dir
    files.require_directory("output", directory)
    require_same_env(directory, run.config.env, run.spaces.to_dict())
    names = registry.names(run.config)
    tensorflow_loading.load_tensorflow(command_line.verbose())
    from dqn_tf.agent.dqn import DQN, weights_sha256
    from dqn_tf.export import gate, hub_folder, manifest, publish
    from dqn_tf.run_files import report

    if flags.hub_folder:
        hub_folder.require_apart(Path(flags.hub_folder), directory)
    agent = DQN(run.config, run.spaces)
    agent.online.assign_weights(run.weights)
    score = run_snapshot.score(run, weights_sha256(agent.online.get_weights()))
    if flags.hub_folder:
        score = hub_folder.require_score(run, score)
    about = manifest.describe_run(
        run.config,
        run.weights_name,
        run.env_steps,
        score,
        run.replay_observations,
        run.spaces,
        names,
    )
    version = publish.export(
        agent,
        directory,
        run.gate_observations,
        about,
        flags.formats,
        fresh=True,
        rounding=(flags.tolerance or gate.TOLERANCE) if flags.float16 else None,
    )
    deleted = publish.prune(directory, flags.keep) if flags.keep else []
    print(
        f"{run.config.env}, the {run.weights_name} weights of step {run.step:,}, as"
        f" {', '.join(flags.formats)}: {version}"
    )
    if score:
        print(f"Score: {report.score_line(score)}")
    else:
        evaluation = command_line.other_command("evaluation")
        print(f"Not tested yet: {evaluation} --model={command_line.typed_path(version)}")
    if deleted:
        print(f"Deleted: version{'s' * (len(deleted) > 1)} {', '.join(map(str, deleted))}.")
    if flags.hub_folder and score:
        print(hub_folder.write(Path(flags.hub_folder), Path(flags.run), run, score, version))


if __name__ == "__main__":
    command()
