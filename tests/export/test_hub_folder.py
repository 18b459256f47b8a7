"""`python -m dqn_tf.export --hub_folder`: what the Hugging Face Hub reads."""

import json
import shlex
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import dqn_tf
from dqn_tf.config import presets
from dqn_tf.export import __main__ as command
from dqn_tf.export import flags as export_flags
from dqn_tf.export import hub_folder, publish
from dqn_tf.export.model_card import training_command
from dqn_tf.support.errors import UserError
from dqn_tf.training.flags import parse_training_flags
from small_runs import finished_run, report, stopped_run

SHIPPED = Path(dqn_tf.__file__).parents[1] / "saved_models" / "CartPole-v1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The folder of a finished run."""
    directory = tmp_path_factory.mktemp("hub")
    real = publish.export
    words = [f"--run={finished_run() / 'run'}", f"--output={directory / 'export'}"]
    flags = export_flags.parse(["dqn-export", *words, f"--hub_folder={directory / 'folder'}"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            publish, "export", lambda *given, **options: real(*given, **options | {"fresh": False})
        )
        command.main(flags)
    return directory / "folder"


def test_the_card_is_read_by_the_hubs_own_parser(folder):
    score = report(finished_run())["score"]
    if util.find_spec("huggingface_hub"):
        from huggingface_hub import ModelCard

        data = ModelCard.load(folder / "README.md").data
        (result,) = data.eval_results
        assert result.task_type == "reinforcement-learning"
        assert result.dataset_name == "faulty:Corridor-v0"
        assert result.dataset_args["policy"] == "greedy"
        assert "derived from seed 3" in result.dataset_args["episode_seeds"]
        value, args, tags = result.metric_value, result.metric_args, data.tags
        assert (result.metric_type, data.library_name) == ("mean_reward", "dqn_tf")
    else:
        yaml = pytest.importorskip("yaml")
        text = (folder / "README.md").read_text(encoding="utf-8")
        data = yaml.safe_load(text.split("---\n")[1])
        (metric,) = data["model-index"][0]["results"][0]["metrics"]
        value, args, tags = metric["value"], metric["args"], data["tags"]
    assert value == f"{score['mean']:.2f} +/- {score['std']:.2f}"
    assert args["ci95"] == pytest.approx(score["mean_ci95"], abs=1e-4)
    assert (args["episodes"], args["training_seeds"]) == (3, [3])
    assert {"dqn", "reinforcement-learning", "faulty:Corridor-v0"} <= set(tags)


def test_the_folder_has_the_agent_its_score_and_its_metrics(folder):
    run = finished_run() / "run"
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "results.json", "saved_model", "metrics.csv", "config.json"),
        "learning_curve.png",
    }
    assert (folder / "metrics.csv").read_bytes() == (run / "metrics.csv").read_bytes()
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results["mean_reward"] == report(finished_run())["score"]["mean"]
    assert results["is_deterministic"] is True and results["n_eval_episodes"] == 3
    act = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    shape = act.structured_input_signature[1]["observation"].shape
    answer = act(observation=tf.zeros([1, *shape[1:]]))
    assert np.isfinite(answer["q_values"].numpy()).all()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "--total_steps=400" in card and "- `saved_model/`" in card


def test_the_command_of_the_card_trains_the_same():
    overrides = {"seed": 5, "n_step": 4, "double": True, "hidden_units": (32, 16)}
    config = presets.configure(
        "CartPole-v1", overrides | {"env_kwargs": {"sutton_barto_reward": 1}}
    )
    words = shlex.split(training_command(config.to_dict()))
    assert words[:2] == ["python", "train.py"] and len(words) == 2 + 6
    assert presets.configure("CartPole-v1", parse_training_flags(words[1:]).overrides) == config


@pytest.mark.skipif(not util.find_spec("imageio_ffmpeg"), reason="imageio-ffmpeg is not installed")
def test_an_episode_is_filmed(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_folder, "VIDEO_STEPS", 20)
    version = max(path for path in SHIPPED.iterdir() if path.name.isdigit())
    assert hub_folder.film(version, tmp_path / "replay.mp4") == ""
    assert b"ftyp" in (tmp_path / "replay.mp4").read_bytes()[:16]


def test_what_keeps_a_video_from_being_made_is_said_and_the_folder_is_there(folder):
    refusal = hub_folder.film(folder.parent / "export" / "1", folder.parent / "replay.mp4")
    assert refusal and "--video" not in refusal and str(folder) not in refusal


def test_a_folder_that_would_hold_the_exports_is_refused(tmp_path):
    """It is written as a whole, in place of what is there."""
    run = f"--run={finished_run() / 'run'}"
    for output in (tmp_path / "new", tmp_path / "new" / "models"):
        words = ["dqn-export", run, f"--output={output}", f"--hub_folder={tmp_path / 'new'}"]
        with pytest.raises(UserError, match="new is where the exports go"):
            command.main(export_flags.parse(words))
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_not_empty_and_a_run_without_a_score_are_refused(folder, tmp_path):
    words = ["dqn-export", f"--run={stopped_run(tmp_path)}", f"--output={tmp_path / 'export'}"]
    with pytest.raises(UserError, match=f"--hub_folder={folder} is not empty"):
        export_flags.parse([*words, f"--hub_folder={folder}"])
    with pytest.raises(UserError, match="needs the score of the final test"):
        command.main(export_flags.parse([*words, f"--hub_folder={tmp_path / 'new'}"]))
    assert not (tmp_path / "new").exists()
