"""A folder ready for the Hugging Face Hub: model card, score, video, SavedModel and metrics."""

import datetime
import shutil
from pathlib import Path
from typing import Any

import dqn_tf
from dqn_tf.evaluation import flags as evaluation_flags
from dqn_tf.evaluation import plan as evaluation_plan
from dqn_tf.export.flags import require_new_folder
from dqn_tf.export.manifest import published_config, scoring_protocol
from dqn_tf.export.model_card import Card, model_card
from dqn_tf.export.run_snapshot import RunSnapshot
from dqn_tf.support import files
from dqn_tf.support.command_line import typed_path
from dqn_tf.support.errors import UserError, describe_error

SAVED_MODEL = "saved_model"
VIDEO = "replay.mp4"
VIDEO_STEPS = 3_000  # at most; a minute of CartPole
COPIED = ("metrics.csv", "learning_curve.png")  # of the run directory


def require_score(run: RunSnapshot, score: dict[str, Any] | None) -> dict[str, Any]:
    """Return the score. Raises UserError if the weights were not tested."""
    if score is None:
        raise UserError(
            f"--hub_folder needs the score of the final test, and the {run.weights_name} weights of"
            f" step {run.step:,} have none. Train the run to its end first."
        )
    return score


def require_apart(path: Path, export_dir: Path) -> None:
    """Raise UserError if the folder, which is written as a whole, would hold the exports."""
    folder, exports = path.resolve(), export_dir.resolve()
    if folder == exports or folder in exports.parents:
        raise UserError(
            f"--hub_folder={path} is where the exports go, {export_dir}. Name another folder."
        )


def write(path: Path, run_dir: Path, run: RunSnapshot, score: dict[str, Any], version: Path) -> str:
    """Write the folder whole or not at all; return what to print: how it is pushed.

    `version` is the export, of which it holds a copy. Raises UserError.
    """
    require_new_folder(str(path))  # something may have come while the export was made
    # an export finds the model where it was; whoever reads the card has it elsewhere
    language_model = {"language_model": Path(run.config.language_model).name}
    settings = published_config(run.config) | language_model
    results = results_of(run, score)
    with files.writing(path), files.replaced(path) as aside:
        shutil.copytree(version, aside / SAVED_MODEL)
        for name in COPIED:
            if (run_dir / name).is_file():
                shutil.copyfile(run_dir / name, aside / name)
        files.write_json(aside / "config.json", settings)
        files.write_json(aside / "results.json", results)
        refusal = film(version, aside / VIDEO)
        names = sorted(f"{each.name}/" if each.is_dir() else each.name for each in aside.iterdir())
        card = Card(settings, results, names)
        (aside / "README.md").write_text(model_card(card), encoding="utf-8")
    push = f"For the Hub: {path}. Push it: hf upload USER/NAME {typed_path(path)}"
    return f"No {VIDEO}: {refusal}\n{push}" if refusal else push


def results_of(run: RunSnapshot, score: dict[str, Any]) -> dict[str, Any]:
    """Return results.json; the first names are those of other libraries' results on the Hub."""
    return {
        "mean_reward": score["mean"],
        "std_reward": score.get("std", 0.0),
        "is_deterministic": not run.config.test_epsilon,
        "n_eval_episodes": score["episodes"],
        "eval_datetime": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "mean_reward_ci95": score["mean_ci95"],
        "iqm_reward": score["iqm"],
        "env": run.config.env,
        "seed": run.config.seed,
        "weights": run.weights_name,
        "env_steps": run.env_steps,
        "protocol": scoring_protocol(run.config),
        "dqn_tf": dqn_tf.__version__,
    }


def film(version: Path, path: Path) -> str:
    """Record one greedy episode; return why it cannot be recorded, "" if it can."""
    from dqn_tf.evaluation.exported_policy import ExportedPolicy

    words = [f"--model={version}", f"--video={path}", "--episodes=1", "--video_episodes=1"]
    try:
        flags = evaluation_flags.parse(["dqn-export", *words, f"--max_episode_steps={VIDEO_STEPS}"])
        plan = evaluation_plan.prepare(flags)
        policy = ExportedPolicy(version, plan.spaces)
        evaluation_plan.play(plan, plan.versions[0], policy, lambda: None, lambda sentence: None)
    except UserError as error:
        sentence = str(error).replace(f"--video={path}: ", "").replace("--video: ", "")
        return sentence.partition(" It is one of tokens")[0]
    except (OSError, RuntimeError) as error:  # such as no program that makes films
        return describe_error(error)
    return ""
