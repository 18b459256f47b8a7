"""Faults of a process's surroundings: output that is closed or full, disks, files edited by hand.

Nothing saved is lost, and nothing ends in a traceback.
"""

import json
import os
import shutil

import pytest

from command_server import SUPPORT, interpreter, refusal, run
from dqn_tf.export.publish import published_versions
from small_runs import finished_run, report, resume_run, small_run, stopped_run

ODD_PROCESS = str(SUPPORT / "odd_process.py")


def odd_run(directory, *, words=None, **odd) -> tuple[int, str]:
    """Runs train.py in a process that odd_process.py makes odd."""
    return run(words or small_run(directory), directory, ODD_PROCESS, ODD=json.dumps(odd))


@pytest.mark.parametrize("odd", [{"closed": [2]}, {"closed": [0, 1, 2]}, {"unread": True}])
def test_a_run_goes_on_without_anybody_who_reads_its_output(tmp_path, odd):
    status, text = odd_run(tmp_path, **odd)
    assert status == 0 and "Traceback" not in text, text
    assert report(tmp_path)["weights_sha256"] == report(finished_run())["weights_sha256"]
    lines = (tmp_path / "run" / "metrics.csv").read_text(encoding="utf-8").splitlines()
    assert all(line.split(",")[0].isdigit() for line in lines[1:]), "something printed into it"


def test_a_full_log_is_said_at_the_end_of_a_whole_run(tmp_path):
    status, text = odd_run(tmp_path, full=True)
    assert (status, text) == (1, "error: The output is lost: No space left on device.\n")
    assert report(tmp_path)["weights_sha256"] == report(finished_run())["weights_sha256"]


@pytest.mark.parametrize(
    ("file_bytes", "said"),
    [
        (900, "File too large"),  # a temporary one of AutoGraph, or config.json
        (4000, "cannot be written"),  # metrics.csv, an event file or a checkpoint
        (30_000, "The export directory"),
    ],
)
def test_a_full_disk_is_a_sentence_wherever_it_strikes(tmp_path, file_bytes, said):
    status, text = odd_run(tmp_path, file_bytes=file_bytes)
    assert status == 1 and said in text and "Traceback" not in text, text
    assert text.count("error: ") == 1
    if file_bytes < 30_000:
        return
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0, text
    assert report(tmp_path)["weights_sha256"] == report(finished_run())["weights_sha256"]


def copy_of_finished_run(directory):
    """The finished run and its export, at a new place."""
    for name in ("run", "export"):
        shutil.copytree(finished_run() / name, directory / name)
    return directory / "run"


@pytest.mark.parametrize("content", ["{}", None])
def test_a_run_that_lost_its_report_does_not_publish_again(tmp_path, content):
    path = copy_of_finished_run(tmp_path) / "evaluation.json"
    before = report(tmp_path)
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0, text
    assert (f"{path} is not what a finished run writes" in text) == (content is not None)
    assert published_versions(tmp_path / "export") == [1]
    after = report(tmp_path)
    assert after["export"] == str(tmp_path / "export" / "1")
    assert after["last"] == before["last"] and after["best"] == before["best"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_units": [9]}, "--hidden_units was [8] and is [9] there"),
        ({"num_envs": 2}, "--num_envs was 1 and is 2 there"),
        ({"optimizer": "rmsprop"}, "--optimizer was adam and is rmsprop there"),
        ({"n_step": 3}, "--n_step was 1 and is 3 there"),
        ({"double": "no"}, "config.json cannot be read: --double=no: must be true or false"),
        ({"n_step": 1.5}, "--n_step=1.5: must be a whole number"),
        ({"gamma": "0.9"}, "--gamma=0.9: must be a number"),
        ({"optimizer": "sgd"}, "config.json cannot be read: --optimizer=sgd: must be one of"),
        ({"gama": 1}, "config.json cannot be read: The configuration names gama"),
    ],
)
def test_a_configuration_edited_by_hand_is_refused(tmp_path, changes, said):
    path = stopped_run(tmp_path) / "config.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["config"] |= changes
    path.write_text(json.dumps(record), encoding="utf-8")
    assert said in refusal(resume_run(tmp_path), tmp_path)


def test_a_setting_changed_by_hand_is_said(tmp_path):
    path = stopped_run(tmp_path) / "config.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["config"]["gamma"] = 0.5
    path.write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "export").touch()  # so that it ends before TensorFlow is built
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 1 and f"{path} was changed: --gamma was 0.99 and is 0.5 there." in text, text


def test_a_dangling_link_is_found_before_the_run(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "link", tmp_path / "link" / "below"):
        sentence = refusal(small_run(tmp_path, export_dir=path), tmp_path)
        assert f"{tmp_path / 'link'} is a link to {tmp_path / 'nowhere'}, which is not" in sentence
    assert not (tmp_path / "run").exists()


def test_no_export_is_put_among_checkpoints(tmp_path):
    """A sweep of old checkpoints would delete it."""
    words = small_run(tmp_path, export_dir=tmp_path / "run" / "checkpoints")
    assert "is where the checkpoints lie" in refusal(words, tmp_path)


def test_a_directory_in_the_place_of_the_summary_is_named(tmp_path):
    (tmp_path / "run" / "summary.json").mkdir(parents=True)
    words = small_run(tmp_path, env="CartPole-v1", engine="graph", num_seeds=2)
    assert "summary.json is a directory" in refusal(words, tmp_path)


def test_several_seeds_leave_nothing_behind_where_one_is_there(tmp_path):
    words = {"env": "CartPole-v1", "engine": "graph", "seed": 3, "num_seeds": 2}
    (tmp_path / "run" / "seed4").mkdir(parents=True)
    (tmp_path / "run" / "seed4" / "metrics.csv").touch()
    sentence = refusal(small_run(tmp_path, **words), tmp_path)
    assert "seed4 has metrics.csv of another run in it" in sentence
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["seed4"]


def test_brackets_in_the_working_directory_are_no_pattern(tmp_path):
    """TensorFlow alone finds no weights below such a path."""
    project = tmp_path / "[a project]"
    project.mkdir()
    words = small_run(tmp_path, run_dir="run", export_dir="export", total_steps=100)
    status, text = run(words, project)
    assert status == 0 and "--model=export" in text, text
    moved = tmp_path / "moved [b]"
    project.rename(moved)
    status, text = run(["--model=run", "--episodes=1"], moved, "evaluate.py")
    assert status == 0 and str(moved / "export" / "1") in text, text
    assert "brackets" in refusal(small_run(tmp_path, export_dir="[v1]"), tmp_path)


def test_two_environments_never_share_a_model(tmp_path):
    shutil.copytree(finished_run() / "export", tmp_path / "export")
    sentence = refusal(small_run(tmp_path, env="faulty:IntReward-v0"), tmp_path)
    assert "holds versions of an agent for faulty:Corridor-v0" in sentence
    assert not (tmp_path / "run").exists()


def test_settings_of_keras_and_matplotlib_do_not_reach_a_run(tmp_path):
    """Those of a notebook or of other projects: keras.json, KERAS_BACKEND, MPLBACKEND."""
    settings = {"floatx": "float16", "image_data_format": "channels_first", "backend": "torch"}
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    variables = {
        "HOME": str(tmp_path),
        "KERAS_BACKEND": "jax",
        "MPLBACKEND": "nowhere",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    program = str(SUPPORT.parents[1] / "train.py")
    done = interpreter(program, *small_run(tmp_path), cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    undisturbed = report(finished_run(xla=True))
    assert report(tmp_path)["weights_sha256"] == undisturbed["weights_sha256"]
    assert os.path.getsize(tmp_path / "run" / "learning_curve.png") > 1000
