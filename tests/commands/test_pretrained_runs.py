"""Runs of train.py on a language model: killed and resumed without its features, exported, refused.

The model is a random one: what it says of a text is as good as nothing, but always the same.
"""

import shutil
import signal

import pytest
import tensorflow as tf

from command_server import run
from small_runs import report, resume_run, signal_at, small_run
from tiny_language_model import write_hugging_face

for package in ("safetensors", "tokenizers"):
    pytest.importorskip(package, reason="the extra `language` is not installed")

LANGUAGE = {
    "env": "dqn_tf/Helpdesk-v0",
    "env_wrappers": "faulty:Hits",
    "language_layers": 1,
    "message_tokens": 8,
    "width": 4,
    "distribution": "none",
    "num_envs": 4,
    "total_steps": 300,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write_hugging_face(folder)
    return folder


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, model):
    """The report of a run that was not disturbed, and its directory."""
    directory = tmp_path_factory.mktemp("unbroken")
    status, text = run(small_run(directory, language_model=model, **LANGUAGE), directory)
    assert status == 0, text
    assert "Network: pretrained for 63 tokens of a vocabulary of" in text
    assert "1 of 2 layers" in text and "are frozen and shared with the target" in text
    assert "texts read in" in text
    return report(directory), directory


def test_killed_and_without_what_it_had_read_it_ends_with_the_same_weights(
    unbroken, model, tmp_path
):
    hit = signal_at("training", 200, signal.SIGKILL)
    status, text = run(small_run(tmp_path, language_model=model, **LANGUAGE), tmp_path, **hit)
    assert status == -signal.SIGKILL, text
    lost = list((tmp_path / "run" / "checkpoints").glob("[0-9]*/features.npz"))
    assert lost
    for file in lost:
        file.unlink()
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0, text
    after = report(tmp_path)
    for name in ("weights_sha256", "env_steps", "updates", "last", "best"):
        assert after[name] == unbroken[0][name], name


def test_the_export_has_the_model_in_it(unbroken, tmp_path):
    """It loads where neither dqn_tf nor the model's files are; evaluate.py plays it."""
    _, directory = unbroken
    served = tf.saved_model.load(str(directory / "export" / "1"))
    observation = tf.fill((2, 63), -1)
    answer = served.signatures["serving_default"](observation=observation)
    assert answer["q_values"].shape == (2, 12)
    words = ["--model=" + str(directory / "export"), "--episodes=4"]
    status, text = run(words, tmp_path, "evaluate.py")
    assert status == 0 and "mean" in text, text


def test_low_rank_changes_begin_with_the_layers_of_a_frozen_run(unbroken, model, tmp_path):
    flags = LANGUAGE | {"fine_tune": "lora", "lora_layers": 1, "total_steps": 100}
    flags |= {"initial_weights": unbroken[1] / "run", "num_envs": 4, "updates_per_block": 1}
    status, text = run(small_run(tmp_path, language_model=model, **flags), tmp_path)
    assert status == 0, text
    assert "The last 1 of these layers have changes of low rank" in text
    assert "The first update" in text and "An update takes 0." in text, text


def test_first_weights_of_other_features_are_refused(unbroken, model, tmp_path):
    """Their shapes are the same at any depth."""
    flags = LANGUAGE | {"initial_weights": unbroken[1] / "run", "total_steps": 100}
    deeper = small_run(tmp_path, language_model=model, **flags | {"language_layers": 2})
    status, text = run(deeper, tmp_path)
    assert status == 1 and "--language_layers is 1 there and 2 here" in text, text
    other = tmp_path / "model"
    shutil.copytree(model, other)
    with (other / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x00")
    status, text = run(small_run(tmp_path, language_model=other, **flags), tmp_path)
    assert status == 1 and "was trained with another language model than" in text, text


def test_other_files_than_before_are_a_sentence(unbroken, model, tmp_path):
    shutil.copytree(unbroken[1] / "run", tmp_path / "run")
    weights = model / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + b"\x00")
    try:
        status, text = run(resume_run(tmp_path, total_steps=400), tmp_path)
    finally:
        weights.write_bytes(before)
    assert status == 1 and "its files have changed. Put them back" in text, text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"language_model": "no/such/model"}, "there is no such file or folder"),
        ({"language_layers": 3}, "--language_layers=3: --language_model="),
        ({"fine_tune": "lora", "lora_layers": 3}, "--lora_layers=3: only 1 layers"),
        ({"env": "CartPole-v1"}, "--language_model reads texts"),
        ({"language_model": None, "network": "pretrained"}, "such as --language_model=smollm2"),
        ({"replay_unit": "episode"}, "--replay_unit=episode use --message_torso=gru"),
    ],
)
def test_mistakes_are_sentences_and_leave_nothing(model, tmp_path, flags, said):
    status, text = run(
        small_run(tmp_path, **{"language_model": model} | LANGUAGE | flags), tmp_path
    )
    assert status == 1 and said in text, text
    assert "Traceback" not in text and not (tmp_path / "run").exists()
