"""Texts over REST: whole dialogues, what no customer should write, and the log of it all."""

import csv
import json
import time

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="needs the extra [serving]")
pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")

from command_server import run
from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.experience.logged.shares import load_all
from helpdesk_agent import ENV, publish_asking
from server_process import Embedded

DIALOGUES = 20
ANSWERED = [
    "",
    "   ",
    "quux frobnicate",
    "👩🏽\u200d🚀😀",
    "我的网络断了。",
    "DON'T İıẞ é e\u0301 \u0000",
    "login " * 2_000,
    "x" * 10_000,
]
REFUSED = [
    ('{"signature_name": "text", "instances": [7]}', "text"),
    ('{"signature_name": "text", "instances": [["a"], ["b"]]}', "text"),
    ('{"signature_name": "text", "instances": [{"txt": "a"}]}', "text"),
    ('{"signature_name": "text", "instances": [null]}', ""),
    ('{"signature_name": "text", "instances": []}', ""),
    ('{"signature_name": "text"}', ""),
    ('{"signature_name": "text", "instances": ["a"', ""),
    ('{"signature_name": "texts", "instances": ["a"]}', "texts"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("helpdesk")
    publish_asking(base)
    return base


@pytest.fixture(scope="module")
def server(base):
    logs = base.parent / "logs"
    served = Embedded(
        base.parent, f"--model_base_path={base}", "--model_name=help", f"--log_requests={logs}"
    )
    served.logs = logs
    yield served
    served.stop()


def answer_to(server, text: str, name: str = "") -> dict:
    body = {"signature_name": "text", "instances": [text]}
    status, _, reply = server.ask(
        "POST", "/v1/models/help:predict", body, {"X-Request-Id": name} if name else None
    )
    assert status == 200, reply
    (prediction,) = json.loads(reply)["predictions"]
    return prediction


def test_bad_inputs_get_an_answer_or_one_sentence(server):
    for text in ANSWERED:
        prediction = answer_to(server, text)
        assert prediction["action"] == 8 and prediction["action_text"].endswith("refused?")
        assert len(prediction["q_values"]) == 12
    for body, named in REFUSED:
        status, _, reply = server.ask("POST", "/v1/models/help:predict", body)
        (message,) = json.loads(reply).values()
        assert status in (400, 404) and named in message, (body, message)
        assert "\n" not in message and "Traceback" not in message and len(message) < 300, message


def test_dialogues_over_rest_return_what_evaluate_says_and_come_back_as_data(
    base, server, tmp_path
):
    report = tmp_path / "report.json"
    words = [f"--model={base}", f"--episodes={DIALOGUES}", f"--json={report}"]
    status, said = run(words, tmp_path, "evaluate.py")
    assert status == 0, said
    expected = json.loads(report.read_text(encoding="utf-8"))
    env = gym.make(ENV)
    returns, observations, lines = [], [], [["id", "reward", "end"]]
    for seed in expected["seeds"]:
        observation, info = env.reset(seed=seed)
        total, is_over = 0.0, False
        while not is_over:
            observations.append(observation)
            name = f"{seed}-{len(lines)}"
            action = answer_to(server, info["text"], name)["action"]
            observation, reward, is_over, _, info = env.step(action)
            lines.append([name, reward, "terminated" * is_over])
            total += reward
        returns.append(total)
    assert returns == expected["returns"]

    rewards = tmp_path / "rewards.csv"
    with rewards.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    end = time.monotonic() + 30
    while f"{seed}-{len(lines) - 1}".encode() not in logged(server):
        assert time.monotonic() < end, "the log is not written"
        time.sleep(0.1)
    config = presets.configure(ENV, {})
    (data,) = load_all(
        [f"requests:{server.logs}+{rewards}"],
        registry.spaces(config),
        None,
        lambda: registry.find_tokenizer(config),
    )
    np.testing.assert_array_equal(data.episodes.observation, observations)
    assert len(data.episodes.starts) == DIALOGUES + 1
    assert data.episodes.reward.sum() == pytest.approx(sum(returns))


def logged(server) -> bytes:
    return b"".join(path.read_bytes() for path in server.logs.iterdir())
