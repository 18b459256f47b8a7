"""The clients of docs/serving.md, each run as it stands there, against the embedded server;
compose.yaml says the same as its command.
"""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("aiohttp", reason="needs the extra [serving]")
pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")
from absl import flags

import command_server
import language_agent
from browser import Browser, binary
from command_server import ROOT
from demo_server import RunningServer, balance, publish, serving
from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.export.publish import export
from dqn_tf.serving import options
from dqn_tf.traffic import flags as traffic_flags
from dqn_tf.training.flags import parse_training_flags

PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.S)
OF_TEXTS = '"text"'  # in each client that sends one
OF_CHOICES = "answers"  # the model of those that send choices beside it
OF_MESSAGES = '"messages"'  # in each client that sends a dialogue
COMMANDS = [line for kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A model like the shipped agent, by REST and gRPC."""
    base = tmp_path_factory.mktemp("served")
    publish(base, 4, (4,), tf.float32, balance, 2)
    with serving(base, "--port=-1") as found:
        yield found


@pytest.fixture(scope="module")
def text_server(tmp_path_factory):
    """An untrained agent for Helpdesk."""
    with serves(tmp_path_factory.mktemp("texts")) as found:
        yield found


@pytest.fixture(scope="module")
def choice_server(tmp_path_factory):
    """An untrained agent for Helpdesk that is told the answers as texts."""
    with serves(tmp_path_factory.mktemp("choices"), choices="texts", width=4) as found:
        yield found


@contextlib.contextmanager
def serves(base: Path, **settings):
    config = DQNConfig(env="dqn_tf/Helpdesk-v0", network="mlp", hidden_units=(4,), **settings)
    agent = DQN(config)
    seen = np.zeros((1, *agent.spaces.observation_shape), np.int32)
    export(agent, base, seen, registry.names(config))
    with serving(base, "--port=-1") as found:
        yield found


def here(text: str, server: RunningServer) -> str:
    """The text with the server's own ports and model for those of the page."""
    return (
        text.replace("helpdesk", "dqn")
        .replace("models/answers", "models/dqn")
        .replace('"answers"', '"dqn"')
        .replace("models/desk", "models/dqn")
        .replace(":8501", port_of(server.url))
        .replace(":8500", port_of(server.address))
    )


def sends_texts(text: str) -> bool:
    return OF_TEXTS in text or OF_MESSAGES in text


def port_of(address: str) -> str:
    return ":" + address.rpartition(":")[2]


def run_python(code: str, directory: Path) -> str:
    """What the code prints, run as a file of its own: over gRPC it imports all of TensorFlow."""
    (directory / "own_client.py").write_text(code, encoding="utf-8")
    status, text = command_server.run([], directory, "own_client")
    assert status == 0, text
    return text.strip()


def run(words: list[str], **options) -> str:
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl(server):
    predict, metadata, status = (
        json.loads(run(shlex.split(here(line, server))))
        for line in COMMANDS
        if line.startswith("curl") and not sends_texts(line)
    )
    assert (
        predict["predictions"][0]["action"] in (0, 1)
        and len(predict["predictions"][0]["q_values"]) == 2
    )
    assert "serving_default" in metadata["metadata"]["signature_def"]["signature_def"]
    assert status["model_version_status"][0]["state"] == "AVAILABLE"


@pytest.mark.parametrize(
    "library, expected",
    [("urllib", r"[01] \[[\d.]+, [\d.]+\]"), ("grpc", r"4 \[[01]\] \[\[[\d. ]+\]\]")],
)
def test_python(server, library, expected, tmp_path):
    (example,) = [
        block
        for kind, block in BLOCKS
        if kind == "python" and f"import {library}" in block and not sends_texts(block)
    ]
    assert re.fullmatch(expected, run_python(here(example, server), tmp_path))


def test_clients_of_texts(text_server, tmp_path):
    """All say what the best of the choices is."""
    examples = {kind: [] for kind, _ in BLOCKS}
    for kind, block in BLOCKS:
        is_meant = OF_TEXTS in block and OF_CHOICES not in block
        examples[kind] += [here(block, text_server)] * is_meant
    over_http, over_grpc = examples["python"]
    choice, best = run_python(over_http, tmp_path).rsplit(" ", 1)
    assert choice and run_python(over_grpc, tmp_path) == choice
    if shutil.which("node") is not None:
        (example,) = examples["javascript"]
        assert run(["node", "--input-type=module"], input=example).startswith(f"{choice} ")
    if shutil.which("curl") is not None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        lines = [line for line in (*COMMANDS, *readme) if line.startswith("curl")]
        asked = [line for line in lines if OF_TEXTS in line and OF_CHOICES not in line]
        assert len(asked) == 2
        for line in asked:
            (answer,) = json.loads(run(shlex.split(here(line, text_server))))["predictions"]
            assert answer["action_text"] == choice
            assert max(answer["q_values"]) == pytest.approx(float(best))


def test_clients_of_choices(choice_server, tmp_path):
    """All say which of the two texts is the better one."""
    examples = {kind: [] for kind, _ in BLOCKS}
    for kind, block in BLOCKS:
        examples[kind] += [here(block, choice_server)] * (OF_CHOICES in block)
    over_http, over_grpc = examples["python"]
    first, second = run_python(over_http, tmp_path).splitlines()
    choice, best = first.rsplit(" ", 1)
    assert choice in over_http and second.rsplit(" ", 1)[0] in over_http
    assert run_python(over_grpc, tmp_path) == choice
    if shutil.which("node") is not None:
        (example,) = examples["javascript"]
        assert run(["node", "--input-type=module"], input=example).startswith(f"{choice} ")
    if shutil.which("curl") is not None:
        (line,) = [line for line in COMMANDS if line.startswith("curl") and OF_CHOICES in line]
        (answer,) = json.loads(run(shlex.split(here(line, choice_server))))["predictions"]
        assert answer["action_text"] == choice and len(answer["q_values"]) == 3
        assert max(answer["q_values"]) == pytest.approx(float(best), abs=1e-5)


def test_clients_of_messages(tmp_path):
    """All say what an untrained agent on a language model says to a dialogue."""
    pytest.importorskip("safetensors", reason="needs the extra [language]")
    pytest.importorskip("tokenizers", reason="needs the extra [language]")
    language_agent.publish(language_agent.write_model(tmp_path / "model"), tmp_path / "models")
    with serving(tmp_path / "models", "--port=-1") as found:
        (over_http,) = [
            block for kind, block in BLOCKS if kind == "python" and OF_MESSAGES in block
        ]
        choice, best = run_python(here(over_http, found), tmp_path).rsplit(" ", 1)
        assert choice
        if shutil.which("curl") is not None:
            (line,) = [line for line in COMMANDS if OF_MESSAGES in line]
            (answer,) = json.loads(run(shlex.split(here(line, found))))["predictions"]
            assert answer["action_text"] == choice
            assert max(answer["q_values"]) == pytest.approx(float(best))


def javascript(server: RunningServer) -> str:
    (example,) = [
        block
        for kind, block in BLOCKS
        if kind == "javascript" and OF_TEXTS not in block and OF_CHOICES not in block
    ]
    return here(example, server)


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_javascript_in_node(server):
    assert re.fullmatch(
        r"[01] \[ [\d.]+, [\d.]+ \]",
        run(["node", "--input-type=module"], input=javascript(server)).strip(),
    )


@pytest.mark.skipif(binary() is None, reason="there is no chromium")
def test_javascript_in_a_page_of_the_same_origin(server):
    with Browser() as browser:
        browser.open(f"{server.url}/v1/models/dqn")
        browser.until(
            "location.pathname === '/v1/models/dqn' && document.readyState === 'complete'"
        )
        body = javascript(server).replace(
            "console.log(answer.action, answer.q_values);",
            "return [answer.action, answer.q_values];",
        )
        action, q_values = browser.value(f"(async () => {{ {body} }})()")
        assert action in (0, 1) and len(q_values) == 2


def test_every_flag_exists_and_every_program_is_there():
    for line in COMMANDS:
        words = shlex.split(line)
        given = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
        if words[:3] == ["python", "-m", "dqn_tf.serving"]:
            known = set(options.HELP)
            assert options.parse(words[3:])
        elif words[:3] == ["python", "-m", "dqn_tf.traffic"]:
            values = flags.FlagValues()
            traffic_flags.define(values)
            known = set(values)
        elif words[:2] == ["python", "train.py"]:
            known = set(parse_training_flags(words[1:]).overrides)
        elif words[0] == "python":
            source = Path(ROOT / words[1]).read_text(encoding="utf-8")
            known = set(re.findall(r'"--(\w+)"', source))
        else:
            assert words[0] in ("curl", "docker", "pip", "pytest"), line
            continue
        assert given <= known, line


def test_compose_serves_the_same_directory_on_the_same_ports_of_this_machine_alone():
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    command = next(shlex.split(line) for line in COMMANDS if "--port=" in line)
    asked = options.parse(command[3:])
    name, base = asked.model_name, "./saved_models/CartPole-v1"
    assert asked.model_base_path.endswith(base[1:])
    assert (
        f"MODEL_NAME: {name} " in text
        and f"- {base}:/models/{name}:ro\n" in text
        and "image: tensorflow/serving\n" in text
    )
    assert re.findall(r'- "([\d.]+):(\d+):(\d+)"', text) == [
        ("127.0.0.1", str(port), str(port)) for port in (asked.port, asked.rest_api_port)
    ]


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", re.sub(r"```.*?```", "", PAGE, flags=re.S)):
        assert (ROOT / "docs" / target).exists(), target
