"""The README's section on serving, as it stands there, with the ports of a server that runs; and
docs/serving.md's flags.
"""

import dataclasses
import json
import re
import subprocess

import pytest

import server_process
import signature_zoo
from dqn_tf.serving.options import Options
from server_process import ROOT

SECTION = (
    (ROOT / "README.md")
    .read_text(encoding="utf-8")
    .partition("\n## Serve\n")[2]
    .partition("\n## ")[0]
)
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", SECTION, re.S)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("serving-readme")
    signature_zoo.save(directory / "saved_models" / "CartPole-v1" / "1")
    (command,) = re.findall(r"python -m dqn_tf\.serving (.*)", SECTION)
    # a relative path, as it stands there
    with server_process.embedded(directory, *command.split()) as started:
        yield started


def test_curl(server):
    commands = [
        line
        for kind, block in BLOCKS
        if kind == "bash"
        for line in block.splitlines()
        if line.startswith("curl ")
    ]
    answers = [
        subprocess.run(
            command.replace(":8501", f":{server.rest}"),
            shell=True,
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for command in commands
    ]
    predictions, status = map(json.loads, answers)
    assert (
        set(predictions["predictions"][0]) == {"action", "q_values"}
        and status["model_version_status"][0]["state"] == "AVAILABLE"
    )


def test_python(server):
    (example,) = (block for kind, block in BLOCKS if kind == "python")
    names: dict = {}
    # the project's own page, and only in a test
    exec(compile(example.replace(":8500", f":{server.rpc}"), "README.md", "exec"), names)
    assert names["action"].tolist() == [1] and names["version"] == 1


def test_every_flag_is_explained_with_its_default():
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `--(\w+)` \| ([^|]*) \|", text, re.M))
    defaults = {
        field.name: str(field.default).lower() if field.type is bool else str(field.default)
        for field in dataclasses.fields(Options)
    }
    assert {name: default.strip() for name, default in table.items()} == defaults


def test_the_default_ports_are_those_of_the_section():
    assert f":{Options.rest_api_port}/" in SECTION and f":{Options.port}" in SECTION
