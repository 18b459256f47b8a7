"""docs/language.md: its tables are what the command prints, its sizes those of the spaces."""

import re
import shlex
from pathlib import Path

import pytest

from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.envs.applications import yardsticks
from dqn_tf.envs.text import graphs
from dqn_tf.envs.text.__main__ import parse, tables

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")


def test_yardsticks_are_what_the_command_prints():
    generated = re.findall("<!-- generated -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert [block.strip() for block in generated] == [tables(), yardsticks.tables()]


@pytest.mark.parametrize(
    "row", re.findall(r"^\| `(dqn_tf/\S+)`(, `level=\"choice\"`)? \|.*\|$", PAGE, re.MULTILINE)
)
def test_the_table_of_environments(row):
    env_id, level = row
    arguments = {"level": "choice"} if level else {}
    config = presets.configure(env_id, {"env_kwargs": arguments})
    spaces = registry.spaces(config)
    with registry.make_env(config) as env:
        sizes = [len(env.unwrapped.tokens), spaces.observation_shape[0], spaces.actions]
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{env_id}`{level} |"))
    assert [int(cell) for cell in line.split("|")[3:6]] == sizes


def test_the_example_is_a_graph(tmp_path):
    example = re.search("```json\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "city.json").write_text(example[1])
    graph = graphs.find_graph(str(tmp_path / "city.json"))
    assert (graph.nodes[graph.goal], graph.limit, graph.edges.sum()) == ("sea", 15, 3)


def test_the_commands_are_understood():
    commands = re.findall(r"^python -m dqn_tf\.envs\.text (--.*)$", PAGE, re.MULTILINE)
    given = [parse(["x", *shlex.split(words)]) for words in commands]
    assert [(flags.data, flags.env_kwargs) for flags in given] == [
        ("walks.npz", {"graph": "2"}),
        ("maze.npz", {}),
    ]


def test_few_walks_of_the_last_graph_arrive():
    walks = graphs.shipped_walks("4")
    goal = graphs.find_graph("4").goal + 1
    assert f"{int((walks[:, 1:] == goal).any(axis=1).sum())} walks of 8,000 arrive" in PAGE
