"""`python -m dqn_tf.export`: from a run directory to a version, and each fault as a sentence."""

import json
import shutil
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from dqn_tf.experience.frames import Frames, recorded_stacks
from dqn_tf.experience.steps import Steps
from dqn_tf.export import __main__ as command
from dqn_tf.export import flags as export_flags
from dqn_tf.export import publish, run_snapshot
from dqn_tf.export.manifest import observation_range
from dqn_tf.export.publish import published_versions
from dqn_tf.run_files import checkpoint
from dqn_tf.support.errors import UserError
from sample_agents import KINDS
from small_runs import finished_run, stopped_run

FORMATS = ["savedmodel", "tflite"] + ["onnx"] * (
    util.find_spec("onnx") is not None and util.find_spec("onnxruntime") is not None
)


@pytest.fixture
def export(capsys):
    """The command, inside this process; returns what it printed."""

    def run(*words: str) -> str:
        command.main(export_flags.parse(["export", *map(str, words)]))
        return capsys.readouterr().out

    return run


def manifest(version: Path) -> dict:
    return json.loads((version / "assets.extra" / "dqn_tf.json").read_text(encoding="utf-8"))


def test_a_finished_runs_agent_is_published_anew_in_every_format(export, tmp_path):
    """With the score of the run's final test, and as it was when the run published it."""
    run = finished_run()
    printed = export(
        f"--run={run / 'run'}", f"--output={tmp_path}", f"--formats={','.join(FORMATS)}"
    )
    report = json.loads((run / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert (
        published_versions(tmp_path) == [1]
        and str(tmp_path / "1") in printed
        and "Score: mean" in printed
    )
    made, first = manifest(tmp_path / "1"), manifest(run / "export" / "1")
    assert made["weights_sha256"] == report["weights_sha256"] and made["formats"] == FORMATS
    for name in (
        "weights_sha256",
        "score",
        "observation_range",
        "config",
        "spaces",
        "env_steps",
        "weights",
    ):
        assert made[name] == first[name], name
    assert {**report["last"], "protocol": made["score"]["protocol"]} == made["score"]
    assert {path.name for path in (tmp_path / "1" / "assets.extra").iterdir()} == (
        {"dqn_tf.json", "tf_serving_warmup_requests"} | {f"model.{kind}" for kind in FORMATS[1:]}
    )


def test_a_run_that_goes_on_is_published_untested_and_old_versions_go(
    export, tmp_path, monkeypatch
):
    run = stopped_run(tmp_path)
    real = publish.export  # in this process: the fresh one has been proved above
    monkeypatch.setattr(
        publish, "export", lambda *given, **options: real(*given, **options | {"fresh": False})
    )
    printed = [
        export(f"--run={run}", f"--output={tmp_path / 'out'}", f"--weights={which}", "--keep=2")
        for which in ("last", "best", "best")
    ]
    assert (
        "Not tested yet: python evaluate.py" in printed[0]
        and "Deleted: version 1." in printed[2]
        and "Deleted" not in printed[1]
    )
    assert (
        published_versions(tmp_path / "out") == [2, 3]
        and manifest(tmp_path / "out" / "3")["score"] is None
    )
    newest = checkpoint.load_latest(run / "checkpoints")
    assert manifest(tmp_path / "out" / "3")["env_steps"] == newest.step == 256


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "--run is missing"),
        (["--run=x", "--keep=1"], "--keep=1: must be at least 2"),
        (["--run=x", "--formats=tflite"], "--formats=tflite: savedmodel must be among them"),
        (
            ["--run=x", "--formats=savedmodel,pickle"],
            "--formats=savedmodel,pickle: 'pickle' is none of savedmodel, tflite, onnx",
        ),
        (["--run=nowhere"], "--run=nowhere: there is no such directory"),
        (["--run=."], "no config.json there, so it is not a run directory"),
    ],
)
def test_what_is_wrong_is_said(export, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        export(*words)
    assert says in str(error.value)


def test_a_missing_package_is_named(export, monkeypatch):
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "onnxruntime" else name)
    with pytest.raises(
        UserError, match="onnx needs packages that are not installed. Type: pip install onnxruntime"
    ):
        export("--run=x", "--formats=savedmodel,onnx")


def test_what_a_run_lacks_is_said(tmp_path):
    run = stopped_run(tmp_path)
    for path in run.glob("checkpoints/*/replay.npz"):
        path.unlink()
    with pytest.raises(UserError, match="replay.npz is missing, so there are no observations"):
        run_snapshot.read_snapshot(str(run), None)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match="holds no checkpoint"):
        run_snapshot.read_snapshot(str(run), None)
    (tmp_path / "seeds" / "seed4").mkdir(parents=True)
    shutil.copy(run / "config.json", tmp_path / "seeds" / "seed4")
    with pytest.raises(
        UserError, match="holds the runs of 1 seeds; name one of them, such as .*seed4"
    ):
        run_snapshot.read_snapshot(str(tmp_path / "seeds"), None)


def test_a_score_is_that_of_the_very_weights():
    report = {
        "weights_sha256": "a",
        "last": {"mean": 1.0},
        "best": {"weights_sha256": "b", "test": {"mean": 2.0}},
    }
    run = run_snapshot.RunSnapshot(*[None] * 7, report, None, None)
    assert [run_snapshot.score(run, sha) for sha in "abc"] == [{"mean": 1.0}, {"mean": 2.0}, None]
    assert run_snapshot.score(run._replace(report=None), "a") is None


def test_ranges_are_of_vectors_and_numbers():
    assert observation_range(np.array([[1, 5], [3, 2]]), KINDS["vector"]) == {
        "observations": 2,
        "min": [1, 2],
        "max": [3, 5],
    }
    assert observation_range(np.array([4, 2]), KINDS["discrete"]) == {
        "observations": 2,
        "min": 2,
        "max": 4,
    }
    assert (
        observation_range(np.zeros((3, 84, 84, 4)), KINDS["image"]) is None
        and observation_range(np.zeros((0, 4)), KINDS["vector"]) is None
    )


@pytest.mark.parametrize("size", [9_000, 4_500, 300])
def test_stacks_are_read_back_from_a_checkpoint(size, generator):
    """Of a ring of several pieces, and of one that was overwritten; what is black stays black."""
    spaces = KINDS["image"].__class__((3, 2, 4), "uint8", actions=2, stack=4)
    frames, count = Frames(size, 1, spaces), 5_000
    pictures = generator.integers(1, 256, (count + 1, 3, 2), np.uint8)
    padded = np.concatenate([np.zeros((3, 3, 2), np.uint8), pictures])
    stacks = np.stack([np.moveaxis(padded[t : t + 4], 0, -1) for t in range(count + 1)])[
        :, np.newaxis
    ]
    steps = Steps.empty(count, 1, spaces)
    steps.observation[:], steps.next_observation[:] = stacks[:-1], stacks[1:]
    numbers = frames.numbered(steps).observation[:, 0]
    alive = numbers[((numbers < 0) | (numbers >= frames.first)).all(axis=1)]
    alive = alive[:: max(1, len(alive) // 50)]
    np.testing.assert_array_equal(
        recorded_stacks(alive, frames.rows(), frames.state()), frames.stacks(alive)
    )
    assert len(alive) > 40
