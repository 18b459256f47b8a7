"""`python -m dqn_tf.export --run=RUN_DIR`: publishes a run's agent anew. TensorFlow is loaded late."""

from pathlib import Path

from dqn_tf.envs import registry
from dqn_tf.export import run_snapshot
from dqn_tf.export.flags import ExportFlags, parse
from dqn_tf.support import command_line, tensorflow_loading


def main(flags: ExportFlags) -> None:
    """Reads the run, and only then loads TensorFlow and publishes. Raises UserError."""
    run = run_snapshot.read(flags.run, flags.weights)
    meanings = registry.action_meanings(registry.maker(run.config))
    tensorflow_loading.load_tensorflow(command_line.verbose())
    from dqn_tf.agent.dqn import DQN, weights_sha256
    from dqn_tf.export import manifest, publish
    from dqn_tf.run_files import report

    agent = DQN(run.config, run.spaces)
    for variable, array in zip(agent.online.variables, run.weights, strict=True):
        variable.assign(array)
    score = run_snapshot.score(run, weights_sha256(agent.online.get_weights()))
    about = manifest.about(
        run.config, run.which, run.env_steps, score, run.held, run.spaces, meanings
    )
    directory = Path(flags.output) if flags.output else run.export_dir
    version = publish.export(agent, directory, run.observations, about, flags.formats, fresh=True)
    deleted = publish.prune(directory, flags.keep) if flags.keep else []
    tested = (
        f"Score: {report.score_line(score)}"
        if score
        else f"Not tested yet: {command_line.other_command('evaluation')} --model={version}"
    )
    print(
        f"{run.config.env}, the {run.which} weights of step {run.env_steps:,}, as"
        f" {', '.join(flags.formats)}: {version}\n{tested}"
    )
    if deleted:
        print(f"Deleted: version{'s' * (len(deleted) > 1)} {', '.join(map(str, deleted))}.")


def command() -> None:
    """Run the command with the words that were typed."""
    command_line.run(main, parse)


if __name__ == "__main__":
    command()
