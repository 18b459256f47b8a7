"""evaluate.py --show: episodes as text."""

import json

import numpy as np
import pytest

from dqn_tf.agent.dqn import DQN
from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.text.graphs import find_graph
from dqn_tf.evaluation.episodes import Rules, play
from dqn_tf.evaluation.watch import TextWatch
from dqn_tf.export.library import export_policy
from dqn_tf.support.digits import return_text
from dqn_tf.support.errors import UserError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An export of an agent that knows nothing."""
    directory = tmp_path_factory.mktemp("walks") / "GraphWalk-v0"
    config = presets.configure("dqn_tf/GraphWalk-v0", {"seed": 1, "hidden_units": (8,)})
    export_policy(DQN(config), directory)
    return directory


def test_the_manifest_names_the_tokens(model):
    manifest = json.loads((model / "1" / "assets.extra" / "dqn_tf.json").read_text())
    assert manifest["tokens"] == ["<pad>", *find_graph("1").nodes]
    assert manifest["action_meanings"] == manifest["tokens"][1:]
    assert manifest["spaces"]["categories"] == 41 and manifest["spaces"]["padding"] == 0


def test_the_first_episodes_are_printed_as_text(model, tmp_path, evaluate_py):
    file = tmp_path / "scores.json"
    words = (f"--model={model}", "--episodes=5", f"--json={file}")
    printed = evaluate_py(*words, "--show=2")
    shown = json.loads(file.read_text())
    assert len(shown["texts"]) == 2
    for number, text in enumerate(shown["texts"]):
        length = shown["lengths"][number]
        nodes = [int(word) for word in text.split()]
        assert len(nodes) == length + 1
        is_last = find_graph("1").edges[nodes[-2], nodes[-1]] and nodes[-1] == 0
        assert is_last == (shown["returns"][number] > -15)
        head = (
            f"episode {number + 1}, return {return_text(shown['returns'][number])}, {length} step"
        )
        assert head in printed and f"\n{text}" in printed
    evaluate_py(*words)
    alone = json.loads(file.read_text())
    assert alone["returns"] == shown["returns"] and "texts" not in alone


def test_every_command_in_a_maze_is_a_line():
    """The observation begins anew after each; the commands are the right ones from (5, 8)."""
    with registry.make_env("dqn_tf/TextMaze-v0") as env:
        checked = CheckedEnv(env, "The environment")
        number = env.unwrapped.number
        todo = [number[word] for word in ("move left . " * 2 + "move down . " * 3).split()]
        watch = TextWatch(env.unwrapped.tokens, env.unwrapped.get_action_meanings())
        starts = {seed: tuple(checked.reset(seed)[4:6]) for seed in range(300)}
        wanted = (number["5"], number["8"])
        seed = next(seed for seed, start in starts.items() if start == wanted)
        play(lambda observation, mask: np.array([todo.pop(0)]), [checked], [seed], watch=watch)
    assert watch.texts[0].split("\n") == [
        "goal 8 6 here 5 8 wall up down > move left .",
        "goal 8 6 here 5 7 wall up down > move left .",
        "goal 8 6 here 5 6 wall up > move down .",
        "goal 8 6 here 6 6 wall left right > move down .",
        "goal 8 6 here 7 6 wall left right > move down .",
        "goal 8 6 here 8 6 wall down left right >",
    ]


def test_what_was_chosen_stands_behind_an_arrow_where_it_is_no_token():
    config = presets.configure("dqn_tf/TextMaze-v0", {"env_kwargs": {"level": "choice"}})
    with registry.make_env(config) as env:
        checked = CheckedEnv(env, "The environment")
        watch = TextWatch(env.unwrapped.tokens, checked.action_meanings)
        play(lambda observation, mask: np.array([0]), [checked], [1], Rules(3), watch=watch)
    first, second, third, last = watch.texts[0].split("\n")
    name = checked.action_meanings[0]
    assert all(line.endswith(f" → {name}") for line in (first, second, third))
    assert first.startswith("goal 8 6 here") and "→" not in last


def test_a_film_of_an_environment_of_tokens_points_to_its_text(model, tmp_path, evaluate_py):
    with pytest.raises(UserError, match=r"has ansi\. It is one of tokens: --show=3 prints"):
        evaluate_py(f"--model={model}", f"--video={tmp_path / 'film.gif'}")


def test_an_environment_without_tokens_cannot_be_shown(models, evaluate_py):
    with pytest.raises(UserError, match=r"^--show=3: CartPole-v1 names no tokens"):
        evaluate_py(f"--model={models / 'CartPole-v1'}", "--show=3")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--model=x", "--show=-1"], r"^--show=-1: must be at least 0\.$"),
        (["--model=x", "--show=1", "--video=a.gif"], r"^--show and --video exclude each other"),
        (["--model=x", "--show=1", "--render"], r"^--show and --render exclude each other"),
        (["--compare", "a", "b", "--show=1"], r"^--show and --compare exclude each other"),
    ],
)
def test_a_wrong_flag_is_named(words, sentence, evaluate_py):
    with pytest.raises(UserError, match=sentence):
        evaluate_py(*words)
