"""What both READMEs and CONTRIBUTING.md tell people to type exists, and their code runs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from dqn_tf.evaluation import flags as evaluation_flags
from dqn_tf.export import flags as export_flags
from dqn_tf.record import flags as record_flags
from dqn_tf.search import flags as search_flags
from dqn_tf.serving import options as serving_options
from dqn_tf.training import flags as training_flags

ROOT = Path(__file__).parents[2]
README, CHINESE, CONTRIBUTING = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "README.zh-CN.md", "CONTRIBUTING.md")
)
PAGES = {"README.md": README, "README.zh-CN.md": CHINESE}
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README + CHINESE + CONTRIBUTING, re.DOTALL)
COMMANDS = [
    command.strip()
    for kind, block in BLOCKS
    if kind == "bash"
    for line in block.splitlines()
    for command in line.split("&&")
]


def known_flags() -> dict[str, set[str]]:
    """The flags of each script."""
    train, evaluate, export, serving, record, search = (flags.FlagValues() for _ in range(6))
    training_flags.define(train)
    evaluation_flags.define(evaluate)
    export_flags.define(export)
    serving_options.define(serving)
    record_flags.define(record)
    search_flags.define(search)
    return {
        "train.py": {*train, "verbose"},
        "evaluate.py": {*evaluate, "verbose"},
        "dqn_tf.export": {*export, "verbose"},
        "dqn_tf.serving": set(serving),
        "dqn_tf.record": {*record, "verbose"},
        "dqn_tf.search": {*search, "verbose"},
    }


@pytest.mark.parametrize(
    "command",
    [command for command in COMMANDS if command.startswith("python ") and ".py" in command],
)
def test_every_command_names_a_script_and_flags_that_exist(command):
    _, script, *words = shlex.split(command)
    assert (ROOT / script).is_file()
    for word in words:
        if word.startswith("--") and word != "--help":
            assert word[2:].partition("=")[0] in known_flags()[script], word


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if " -m " in command and "venv" not in command]
)
def test_every_command_names_a_module_that_exists(command):
    words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z_]+=\w+", word)]
    assert words[:2] == ["python", "-m"]
    path = ROOT / words[2].replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
    known = {
        "dqn_tf.doctor": "train.py",
        "dqn_tf.export": "dqn_tf.export",
        "dqn_tf.serving": "dqn_tf.serving",
        "dqn_tf.record": "dqn_tf.record",
        "dqn_tf.search": "dqn_tf.search",
    }
    if words[2] in known:
        for word in words[3:]:
            assert word.removeprefix("--").partition("=")[0] in known_flags()[known[words[2]]], word


def test_every_extra_exists():
    known = set(
        re.findall(r'^        "([\w-]+)": ', (ROOT / "setup.py").read_text(encoding="utf-8"), re.M)
    )
    named = re.findall(r"pip install -e '\.\[([\w,-]+)\]'", README)
    assert "test" in named and "tf-agents" in named
    assert {extra for each in named for extra in each.split(",")} <= known


@pytest.mark.parametrize("name", PAGES)
def test_flags_named_in_the_text_exist(name):
    known = set.union(*known_flags().values()) | {"help"}
    assert set(re.findall(r"`--(\w+)", PAGES[name])) <= known


@pytest.mark.parametrize("name", PAGES)
def test_the_two_commands_of_the_quick_start_stand_there(name):
    text = PAGES[name].splitlines()
    assert "pip install -e . && python train.py --env=CartPole-v1" in text
    assert "pip install -e '.[test]' && pytest" in text


@pytest.mark.parametrize("name", PAGES)
def test_what_it_links_to_is_there(name):
    text = re.sub(r"```.*?```", "", PAGES[name], flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target


def test_every_command_in_chinese_is_one_in_english():
    english, chinese = (
        {
            line
            for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
            for line in block.splitlines()
        }
        for page in (README, CHINESE)
    )
    assert chinese <= english


@pytest.mark.parametrize("name", PAGES)
def test_the_library_examples_run(name, tmp_path, monkeypatch):
    examples = re.findall(r"```python\n(.*?)```", PAGES[name], re.DOTALL)
    example = next(example for example in examples if "fit(" in example)
    generator = np.random.default_rng(0)
    observations = generator.normal(size=(200, 4)).astype(np.float32)
    transitions = {
        "observation": observations,
        "action": generator.integers(2, size=200).astype(np.int32),
        "reward": np.ones(200, np.float32),
        "discount": np.full(200, 0.99, np.float32),
        "next_observation": generator.normal(size=(200, 4)).astype(np.float32),
    }
    names = {"transitions": transitions, "observations": observations}
    exec(compile(example, name, "exec"), names)  # the project's own page, and only in a test
    assert names["q_values"].shape == (200, 2)
    assert int(names["agent"].updates.numpy()) > 0
    for example in examples:
        if "evaluate(" in example:
            monkeypatch.chdir(tmp_path)
            exec(compile(example, name, "exec"), names)
            assert names["actions"].shape == (200,) and len(names["scores"].returns) == 20
