"""export/publish.py: what is published loads anywhere, answers as the agent did, and is whole."""

import contextlib
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from command_server import run, start
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.export import publish as module
from dqn_tf.support.errors import UserError
from sample_agents import KINDS, agent, observations
from small_runs import report, resume_run, signal_at, small_run


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """One version of each kind; nothing may change it."""
    directory = tmp_path_factory.mktemp("export")
    for kind, spaces in KINDS.items():
        assert (
            module.export(agent(spaces), directory / kind, observations(spaces), {"env": kind})
            == directory / kind / "1"
        )
    return directory


@pytest.mark.parametrize("kind", KINDS)
def test_signatures_have_names_types_and_a_free_batch(published, kind):
    spaces = KINDS[kind]
    signatures = tf.saved_model.load(str(published / kind / "1")).signatures
    acting = {"serving_default", "action", "epsilon_greedy"} | (
        {"observation_bytes"} if kind == "image" else set()
    )
    masked = {f"{name}_masked" for name in acting} if spaces.masked else set()
    assert set(signatures) == acting | masked | {"q_values", "metadata"}
    for name, outputs in (("serving_default", {"action", "q_values"}), ("q_values", {"q_values"})):
        (given,) = signatures[name].structured_input_signature[1].values()
        assert given.name == "observation" and given.dtype == spaces.observation_dtype
        assert given.shape.as_list() == [None, *spaces.observation_shape]
        assert set(signatures[name].structured_outputs) == outputs
        returned = signatures[name].structured_outputs
        assert returned["q_values"].dtype == tf.float32 and returned[
            "q_values"
        ].shape.as_list() == [None, spaces.actions]
        if "action" in outputs:
            assert returned["action"].dtype == tf.int64 and returned["action"].shape.as_list() == [
                None
            ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [0, 1, 32])
def test_it_answers_as_the_agent_in_the_environments_own_numbers(published, kind, batch):
    spaces = KINDS[kind]
    served = tf.saved_model.load(str(published / kind / "1")).signatures["serving_default"]
    seen = observations(spaces)[:batch]
    answer, expected = (
        served(observation=tf.constant(seen)),
        agent(spaces)(tf.constant(observations(spaces))).numpy()[:batch],
    )
    np.testing.assert_allclose(answer["q_values"], expected, atol=1e-5)
    assert (
        answer["action"].numpy().tolist()
        == (expected.argmax(axis=1) + spaces.action_start).tolist()
    )


@pytest.mark.parametrize("settings", [{"noisy": True}, presets.RAINBOW], ids=["noisy", "rainbow"])
def test_it_answers_without_noise(settings, tmp_path):
    """The noise's sizes are made so large that it could not be overlooked."""
    spaces = KINDS["vector"]
    made = agent(spaces, **settings)
    served = tf.saved_model.load(
        str(module.export(made, tmp_path, observations(spaces), {}))
    ).signatures["serving_default"]
    expected, first, again = (
        made(observations(spaces)).numpy(),
        *(served(observation=tf.constant(observations(spaces))) for _ in range(2)),
    )
    np.testing.assert_allclose(first["q_values"], expected, atol=1e-5)
    np.testing.assert_array_equal(first["q_values"], again["q_values"])
    assert (
        first["action"].numpy().tolist() == (expected.argmax(axis=1) + spaces.action_start).tolist()
    )
    noisy = made.online.values.q_values(
        made.online.forward(tf.constant(observations(spaces)), tf.constant([1, 2])).outputs
    ).numpy()
    assert np.abs(noisy - expected).max() > 0.1


def test_the_manifest_tells_where_it_comes_from(published):
    manifest = json.loads(
        (published / "vector" / "1" / "assets.extra" / "dqn_tf.json").read_text(encoding="utf-8")
    )
    spaces = KINDS["vector"]
    assert manifest["env"] == "vector" and Spaces.from_dict(manifest["spaces"]) == spaces
    assert manifest["weights_sha256"] == weights_sha256(agent(spaces).online.get_weights())
    assert (
        DQNConfig.from_dict(manifest["config"]).seed == 4
        and manifest["tensorflow"] == tf.__version__
    )


def test_no_version_is_ever_overwritten(tmp_path):
    """The next number is taken, whoever has made the others, also one that comes to be there at the
    last moment.
    """
    spaces = KINDS["vector"]
    for name in ("1", "7"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "theirs").write_text(name, encoding="utf-8")
    (tmp_path / "notes.txt").touch()
    assert module.export(agent(spaces), tmp_path, observations(spaces), {}) == tmp_path / "8"
    aside = tmp_path / "aside"
    (aside / "variables").mkdir(parents=True)
    # as if 8 had come between looking and renaming
    real, late = module.published_versions, iter([[1, 7], [1, 7, 8]])
    module.published_versions = lambda directory: next(late)
    try:
        assert module._rename_to_next_version(aside, tmp_path) == tmp_path / "9"
    finally:
        module.published_versions = real
    assert module.published_versions(tmp_path) == [1, 7, 8, 9]
    assert all(
        (tmp_path / name / "theirs").read_text(encoding="utf-8") == name for name in ("1", "7")
    )
    assert (tmp_path / "8" / "saved_model.pb").exists() and not list(tmp_path.glob(".tmp-*"))


@pytest.mark.parametrize(
    "keep, left", [(2, [3, 4, 8, 9]), (3, [2, 3, 4, 8, 9]), (9, [1, 2, 3, 4, 8, 9])]
)
def test_the_oldest_versions_go_and_nothing_else_ever(tmp_path, keep, left):
    """Versions 1, 2, 3 and 8 are whole; 4 has no variables, 9 is empty, and beside them lies what
    is no version.
    """
    for number in (1, 2, 3, 4, 8, 9):
        (tmp_path / str(number) / "variables").mkdir(parents=True)
        for part in (
            (module.PROGRAM, module.VARIABLES, module.MANIFEST) if number in (1, 2, 3, 4, 8) else ()
        ):
            (tmp_path / str(number) / part).parent.mkdir(exist_ok=True)
            (tmp_path / str(number) / part).touch()
    (tmp_path / "4" / module.VARIABLES).unlink()
    (tmp_path / "notes").touch()
    (tmp_path / "0x1").mkdir()
    deleted = module.prune(tmp_path, keep)
    assert module.published_versions(tmp_path) == left and deleted == [
        number for number in (1, 2, 3) if number not in left
    ]
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.isdigit()) == [
        "0x1",
        "notes",
    ]


def test_whatever_is_asked_the_newest_two_stay(tmp_path):
    spaces = KINDS["vector"]
    for _ in range(3):
        module.export(agent(spaces), tmp_path, observations(spaces), {})
    assert module.prune(tmp_path, 0) == [1] and module.published_versions(tmp_path) == [2, 3]


def test_nothing_is_published_among_checkpoints(tmp_path):
    (tmp_path / "config.json").touch()
    spaces = KINDS["vector"]
    place = tmp_path / "checkpoints"
    with pytest.raises(UserError, match=f"^{place} is where a run's checkpoints lie"):
        module.export(agent(spaces), place, observations(spaces), {})
    assert not place.exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        tf.errors.ResourceExhaustedError(None, None, "No space left on device"),
        tf.errors.ResourceExhaustedError(
            None, None, "{{function_node f}} No space left on device [Op:SaveV2]"
        ),
    ],
)
def test_a_directory_that_cannot_be_written_is_named(tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(tf.saved_model, "save", fail)
    spaces = KINDS["vector"]
    with pytest.raises(
        UserError,
        match=(
            f"The export directory {tmp_path} cannot be written: No space left on device. Nothing"
            " was published."
        ),
    ):
        module.export(agent(spaces), tmp_path, observations(spaces), {})
    assert not os.listdir(tmp_path)


def test_killed_amid_the_export_no_version_appears(tmp_path):
    """Three times at a moment of its own, once just before the version gets its number; then it is
    let finish.
    """
    # a checkpoint of the last step: the rest is test and export
    status, text = run(small_run(tmp_path), tmp_path, **signal_at("test", 1))
    assert status == 143, text
    exports, amid = tmp_path / "export", 0
    for wait in (0.0, 0.1, 0.3):
        command = start(resume_run(tmp_path), tmp_path)
        command.wait_for(path=exports)
        time.sleep(wait)
        with contextlib.suppress(ProcessLookupError):
            command.kill(9)
        command.wait()
        if module.published_versions(exports):  # too late: then it is whole
            assert (exports / "1" / "assets.extra" / "dqn_tf.json").exists()
        amid += not module.published_versions(exports)
        shutil.rmtree(exports)
        (tmp_path / "run" / "evaluation.json").unlink(missing_ok=True)
    assert amid >= 2
    assert run(resume_run(tmp_path), tmp_path, **signal_at("publishing", 1, 9))[0] == -9
    assert module.published_versions(exports) == []
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0 and module.published_versions(exports) == [1], text
    assert report(tmp_path)["export"] == str(exports / "1")
