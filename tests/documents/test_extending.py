"""docs/extending.md: each recipe's files are written and its commands typed."""

import re
import shlex
import shutil
import urllib.request
from pathlib import Path

import pytest

import command_server
from benchmarks.serving.server import Server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
FILE = re.compile(r"^`([\w/]+\.py)`\n\n```python\n(.*?)```", re.MULTILINE | re.DOTALL)
SMALL = [
    "--test_episodes=2",
    "--evaluation_episodes=2",
    "--seed=1",
    "--run_dir=run",
    "--warmup_env_steps=100",
    "--batch_size=16",
]
STEPS = 400  # in place of those of the page


def write_files(directory: Path, text: str) -> list[Path]:
    """Writes the files that the text shows below the directory."""
    paths = []
    for name, code in FILE.findall(text):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
        paths.append(path)
    return paths


def commands(text: str) -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def run(program: str, words: list[str], directory: Path, xla: bool = False) -> str:
    """Types `python program words` in the directory; returns what it prints."""
    status, text = command_server.run(words, directory, program, xla=xla, PYTHONPATH=str(directory))
    assert status == 0, text
    return text


@pytest.fixture
def directory(tmp_path) -> Path:
    """Holds every file of the page that is not in dqn_tf."""
    for text in RECIPES.values():
        if "dqn_tf/serving/http" not in text:
            write_files(tmp_path, text)
    return tmp_path


@pytest.mark.parametrize("recipe", [name for name, text in RECIPES.items() if "train.py" in text])
def test_a_recipe_trains_and_its_export_is_evaluated(recipe, directory):
    for python, program, *words in commands(RECIPES[recipe]):
        assert python == "python"
        if program == "-m":
            program, *words = words
        if program == "train.py":
            words = [word.replace("steps=2000", f"steps={STEPS}") for word in words] + SMALL
        # XLA has to take what the page's own torsos and losses are made of
        printed = run(program, words, directory, xla=recipe in ("A torso", "A loss"))
    if recipe == "A source of experience":
        counts = re.search(r"Actions taken: \[(\d+), (\d+)\]", printed)
        assert counts and int(counts[1]) + int(counts[2]) == STEPS
    if recipe == "A loss":
        header = (directory / "run" / "metrics.csv").read_text(encoding="utf-8").splitlines()[0]
        assert header.endswith(",conservative")
    evaluated = run("evaluate.py", ["--model=run", "--episodes=2"], directory)
    assert "interval" in evaluated


def test_a_torso_says_what_it_cannot_read(directory):
    words = ["--env=CartPole-v1", "--network=gru_torso:GRUTorso"]
    sentence = command_server.refusal(words, directory, PYTHONPATH=str(directory))
    assert "it reads observations [T, values], not [4]" in sentence


def test_the_servers_recipe_numbers_the_replies(tmp_path, monkeypatch):
    """In a copy of the package, with the file added and the line put in its place."""
    text = RECIPES["A feature of the server"]
    shutil.copytree(ROOT / "dqn_tf", tmp_path / "dqn_tf")
    (path,) = write_files(tmp_path, text)
    place = re.search(r"after `([^`]+)`", text)[1]
    line = re.search(r":\n\n```python\n(api = [^\n]+)\n```", text)[1]
    server = tmp_path / "dqn_tf" / "serving" / "http" / "server.py"
    source = server.read_text(encoding="utf-8")
    assert source.count(f"        {place}\n") == 1
    module = ".".join(path.relative_to(tmp_path).with_suffix("").parts)
    name = re.search(r"def (with_\w+)", path.read_text(encoding="utf-8"))[1]
    source = source.replace(f"        {place}\n", f"        {place}\n        {line}\n")
    server.write_text(f"from {module} import {name}\n{source}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # where `python -m` looks first
    models = ROOT / "saved_models" / "CartPole-v1"
    with Server(models, "off", {"rest"}, frozenset()) as running:
        url = f"http://127.0.0.1:{running.ports['rest']}/v1/models/dqn"
        for number in (1, 2):
            with urllib.request.urlopen(url, timeout=30) as reply:
                assert reply.headers["X-Request-Number"] == str(number)


def test_each_file_of_ones_own_is_short():
    for text in RECIPES.values():
        for name, code in FILE.findall(text):
            assert len(code.splitlines()) < 60, name
