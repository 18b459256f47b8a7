"""Texts to an agent on a language model: tokens made by the server, each text read once."""

import json
import threading
import time

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="needs the extra [serving]")
pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")
pytest.importorskip("safetensors", reason="needs the extra [language]")
pytest.importorskip("tokenizers", reason="needs the extra [language]")

from benchmarks.dialogues.customer import converse, pester
from browser import Browser, binary
from command_server import run
from demo_server import serving
from dqn_tf.envs import registry
from dqn_tf.evaluation.exported_policy import load_policy
from dqn_tf.experience.logged.shares import load_all
from dqn_tf.language.model_files import open_model
from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.models import loading, status
from dqn_tf.serving.models.loaded_model import LoadedModel
from dqn_tf.serving.options import Options
from dqn_tf.serving.texts import tokens
from dqn_tf.serving.texts.feature_memory import ENTRY_BYTES, FeatureMemory
from dqn_tf.traffic import __main__ as traffic_command
from dqn_tf.traffic import flags as traffic_flags
from language_agent import publish, write_model

LENGTH = 8  # tokens of a message
ODD = [
    *(
        "",
        "  \n",
        "👩🏽\u200d🚀 ok!",
        "我的网络断了。",
        "é\u0000İẞ",
        "x" * 10_000,
        "login " * 2_000,
    ),
    "<|im_end|> is no end",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def published(model, tmp_path_factory):
    return publish(model, tmp_path_factory.mktemp("models"))


def load(version, **options):
    return loading.load("help", 1, version, Options(model_base_path="x", **options))


def texts(*rows) -> np.ndarray:
    """Strings as a client sends them."""
    return np.array(rows, object)


def as_bytes(rows: list[list[str]]) -> np.ndarray:
    return texts(*[[text.encode() for text in row] for row in rows])


def ask(served, name, **inputs):
    return served.run(served.signature(name), inputs)


def test_the_answers_are_those_for_the_tokens(published):
    """Whatever the text: the tokens are those of training, and the Q-values those of the model."""
    agent, version = published
    reader = registry.find_tokenizer(agent.settings)
    served = load(version)
    written = texts(*[text.encode() for text in ODD], b"no \xff UTF-8")
    alone = ask(served, "text", text=written)
    seen = np.array([reader.observation(text) for text in written])
    expected = ask(served, "serving_default", observation=seen)
    np.testing.assert_allclose(alone["q_values"], expected["q_values"], atol=1e-5)
    np.testing.assert_allclose(alone["q_values"], agent(seen).numpy(), atol=1e-5)
    names = registry.names(agent.settings)["action_meanings"]
    assert [text.decode() for text in alone["action_text"]] == [names[a] for a in alone["action"]]
    made = tokens.TextTokens(version / tokens.FILE)
    for text in written:
        kept = open_model(agent.settings.language_model).tokenizer.encode(text)[-LENGTH:]
        assert made.last(text, LENGTH).tolist() == kept + [-1] * (LENGTH - len(kept))

    rooms = agent.spaces.messages
    said = [(("user", "assistant", "system", "bot")[n % 4], ODD[n % 8] + str(n)) for n in range(12)]
    rows = [said[:count] for count in (0, 1, 3, rooms, 12)]
    most = max(map(len, rows))
    filled = [row + [("", "")] * (most - len(row)) for row in rows]
    answer = ask(
        served,
        "messages",
        role=as_bytes([[who for who, _ in row] for row in filled]),
        content=as_bytes([[text for _, text in row] for row in filled]),
    )
    seen = np.array([reader.of_messages(row) for row in rows])
    np.testing.assert_allclose(answer["q_values"], agent(seen).numpy(), atol=1e-5)
    assert np.ptp(answer["q_values"], axis=0).min() > 1e-3
    told = json.loads(status.metadata(served))["metadata"]["signature_def"]["signature_def"]
    assert set(told["messages"]["inputs"]) == {"role", "content"}
    assert set(told["text"]["inputs"]) == {"text"}


def test_choices_are_read_as_in_training(model, tmp_path):
    agent, version = publish(model, tmp_path, choices="texts", max_choices=14)
    reader = registry.find_tokenizer(agent.settings)
    served = load(version)
    choices = ["We send a new bill to you, as soon as we can.", "Is it the sum?", ""]
    given = {"text": texts(b"My card!"), "choices": as_bytes([choices])}
    answer = ask(served, "text", **given)
    observation = reader.observation("My card!", choices)
    expected = agent(observation[np.newaxis]).numpy()[:, :3]
    np.testing.assert_allclose(answer["q_values"], expected, atol=1e-5)
    assert answer["action_text"].tolist() == [choices[answer["action"][0]].encode()]
    mask = np.arange(3)[np.newaxis] == 1
    masked = ask(served, "text_masked", **given, action_mask=mask)
    assert masked["action"].tolist() == [1]
    best = np.arange(14)[np.newaxis] < 2
    played = load_policy(version)(observation[np.newaxis], best)  # what evaluate.py does
    assert played.tolist() == [int(expected[0, :2].argmax())]
    with pytest.raises(ServingError, match="room for"):
        ask(served, "text", text=given["text"], choices=as_bytes([["a"] * 15]))


def test_a_text_is_read_once_and_forgotten_last(published, monkeypatch):
    _, version = published
    read = []
    right = LoadedModel.run

    def counted(self, signature, inputs, outputs=None, deadline=None):
        read.extend([signature.name] * (signature.name == "text_features"))
        return right(self, signature, inputs, outputs, deadline)

    monkeypatch.setattr(LoadedModel, "run", counted)
    served = load(version)
    dialogue = ["It is down.", "Which one?", "The line.", "Since when?", "Monday."]
    roles = ["user", "assistant"] * 3
    answers = []
    for end in (1, 3, 5, 5):
        row = {"role": as_bytes([roles[:end]]), "content": as_bytes([dialogue[:end]])}
        answers.append(ask(served, "messages", **row)["q_values"])
    assert len(read) == 5 == len(served.memory), "each of the five once"
    forgetful = load(version, text_memory_bytes=0)
    anew = ask(forgetful, "messages", **row)["q_values"]
    assert (anew == answers[-1]).all() and len(read) == 10 and len(forgetful.memory) == 0


def test_the_memory_keeps_to_its_bytes_whoever_asks():
    features = np.zeros(10, np.float32)
    size = features.nbytes + ENTRY_BYTES
    memory = FeatureMemory(3 * size + 1)
    for text in (b"a", b"b", b"c"):
        memory.keep("message", text, features)
    assert memory.find("message", b"a") is not None
    memory.keep("message", b"d", features)
    assert memory.find("message", b"b") is None, "asked for longest ago"
    assert memory.find("choice", b"a") is None, "another reading of the same text"
    assert (len(memory), memory.bytes) == (3, 3 * size)
    memory.keep("message", b"large", np.zeros(1000, np.float32))
    assert memory.find("message", b"large") is None and len(memory) == 3

    def work(number):
        for place in range(300):
            text = str((number + place) % 9).encode()
            memory.keep("message", text, np.full(10, float(text), np.float32))
            found = memory.find("message", text)
            assert found is None or found[0] == float(text)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(memory), memory.bytes) == (3, 3 * size)


def test_mistakes_are_sentences(published, monkeypatch, tmp_path, caplog):
    _, version = published
    served = load(version)
    for name, inputs, said in (
        ("text", {"text": texts(b"x" * (tokens.MOST_BYTES + 1))}, "more than the 131072"),
        ("text", {"text": as_bytes([["a"], ["b"]])}, "more than 1 dimension"),
        ("messages", {"role": as_bytes([["user"]])}, "Missing but required: {content}"),
        (
            "messages",
            {"role": as_bytes([["user"]]), "content": as_bytes([["a", "b"]])},
            "role and content must be as large",
        ),
    ):
        with pytest.raises(ServingError) as caught:
            ask(served, name, **inputs)
        assert caught.value.code == "INVALID_ARGUMENT" and said in caught.value.message
    late = time.monotonic() - 1
    with pytest.raises(ServingError, match="The time was over"):
        served.run(served.signature("text"), {"text": texts(b"new")}, None, late)

    damaged = tmp_path / "tokenizer.json"
    damaged.write_text("{}", encoding="utf-8")
    with pytest.raises(ServingError, match="cannot be read as a tokenizer"):
        tokens.TextTokens(damaged)
    monkeypatch.setattr(tokens, "PACKAGE", "no_such_package")
    with caplog.at_level("WARNING"):
        without = load(version)
    assert "pip install 'dqn_tf[language]'" in caplog.text
    with pytest.raises(ServingError, match="the server does not have") as caught:
        ask(without, "text", text=texts(b"a"))
    assert caught.value.code == "UNIMPLEMENTED" and "\n" not in caught.value.message
    # token ids are answered all the same
    seen = np.full((1, 7 * (1 + LENGTH)), -1, np.int32)
    assert ask(without, "serving_default", observation=seen)["action"].shape == (1,)


class Remembers(gym.Wrapper):
    """Keeps what is observed before each action."""

    def __init__(self, env):
        super().__init__(env)
        self.seen = []

    def reset(self, **arguments):
        self.now, info = self.env.reset(**arguments)
        return self.now, info

    def step(self, action):
        self.seen.append(self.now)
        self.now, *rest = self.env.step(action)
        return self.now, *rest


def test_dialogues_over_rest_return_what_evaluate_says_and_come_back_as_data(
    published, tmp_path, capsys
):
    agent, version = published
    report, logs, rewards = tmp_path / "report.json", tmp_path / "logs", tmp_path / "rewards.csv"
    words = [f"--model={version.parent}", "--episodes=6", f"--json={report}"]
    ended, said = run(words, tmp_path, "evaluate.py")
    assert ended == 0, said
    expected = json.loads(report.read_text(encoding="utf-8"))
    env = Remembers(registry.make_env(agent.settings))
    with serving(version.parent, "--demo", f"--log_requests={logs}") as server:
        port = int(server.url.rpartition(":")[2])
        held = converse(port, env, expected["seeds"], rewards=rewards)
        assert len(pester(port, 1)) == 11
        if binary() is not None:
            the_page_chats(server, registry.names(agent.settings)["action_meanings"])
        server.stop()
    assert held.returns == expected["returns"]
    (data,) = load_all(
        [f"requests:{logs}+{rewards}"],
        agent.spaces,
        None,
        lambda: registry.find_tokenizer(agent.settings),
    )
    np.testing.assert_array_equal(data.episodes.observation, env.seen)
    assert data.episodes.reward.sum() == pytest.approx(sum(held.returns))
    told = tmp_path / "traffic.json"
    words = ["traffic", f"--logs={logs}", f"--model={version}", f"--json={told}"]
    traffic_command.main(traffic_flags.parse(words))
    assert "100.0%" in capsys.readouterr().out, "the candidate, asked the same, answers the same"


def the_page_chats(server, names) -> None:
    """A visitor's dialogue, and those of the played customer."""
    finished = "[...document.querySelectorAll('.episode .hidden')].map((line) => line.textContent)"
    with Browser() as browser:
        browser.look(1120, 760, reduced_motion=True)
        browser.open(server.url)
        browser.until("document.getElementById('game').textContent === 'dqn_tf/Helpdesk-v0'")
        browser.value("document.getElementById('say').focus()")
        browser.call("Input.insertText", text="I cannot get on 😀 &amp; you?")
        browser.value("document.getElementById('write').requestSubmit()")
        browser.until("document.querySelectorAll('.line').length >= 2")
        said = browser.value(
            "[...document.querySelectorAll('.line')].map((line) => line.lastChild.textContent)"
        )
        assert said[0] == "I cannot get on 😀 &amp; you?" and said[1] in names
        assert browser.value("document.querySelectorAll('.bar').length") == 12
        browser.value("document.getElementById('play').click()")
        browser.value("document.querySelector('[name=speed][value=max]').click()")
        browser.until(f"{finished}.length >= 3")
        assert not browser.errors
