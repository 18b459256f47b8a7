"""Texts on the page of --demo, in a headless Chromium: a chat with Helpdesk, walks of GraphWalk."""

import json

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="needs the extra [serving]")
from browser import Browser, binary
from demo_server import serving
from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.export.publish import export
from helpdesk_agent import publish_asking

pytestmark = pytest.mark.skipif(
    binary() is None, reason="there is no chromium; on Debian: apt-get install chromium"
)
LINES = "[...document.querySelectorAll('.line')].map((line) => line.lastChild.textContent)"
FINISHED = "[...document.querySelectorAll('.episode .hidden')].map((line) => line.textContent)"
FOCUS = "document.activeElement.id || document.activeElement.value"
# a chat that keeps what is said
CHAT = """const said = [];
    const chat = { clear() {}, say(who, text) { const line = { textContent: text };
      said.push(line); return line; } };"""


def press(browser: Browser, key: str, code: int) -> None:
    """A key that does something by itself, as Tab and Enter do."""
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key=key,
            code=key,
            windowsVirtualKeyCode=code,
            **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}),
        )


def write(browser: Browser, text: str) -> None:
    browser.call("Input.insertText", text=text)
    press(browser, "Enter", 13)


def tab_to(browser: Browser, name: str) -> None:
    for _ in range(40):
        if browser.value(FOCUS) == name:
            return
        press(browser, "Tab", 9)
    raise AssertionError(f"no Tab leads to {name}")


def test_a_dialogue_to_its_end_by_the_keyboard_alone(tmp_path):
    publish_asking(tmp_path)
    with serving(tmp_path, "--demo") as server, Browser() as browser:
        for size in ((1120, 760), (390, 800)):
            browser.look(*size, reduced_motion=True)
            browser.open(server.url)
            browser.until("document.getElementById('version')?.textContent === 'version 1'")
            browser.until("document.getElementById('game').textContent === 'dqn_tf/Helpdesk-v0'")
            assert browser.value("document.documentElement.scrollWidth") == size[0]
            a_dialogue(browser)
        browser.value("document.getElementById('play').click()")
        browser.value("document.querySelector('[name=speed][value=max]').click()")
        browser.until(f"{FINISHED}.length >= 12")
        endings = " ".join(browser.value(FINISHED)[1:])
        assert "Wrong answer in turn 2" in endings
        assert not browser.errors


def test_an_agent_that_is_told_its_choices_chats_too(tmp_path):
    config = DQNConfig(
        env="dqn_tf/Helpdesk-v0", choices="texts", max_choices=14, network="mlp", hidden_units=(4,)
    )
    agent = DQN(config)
    seen = np.zeros((1, *agent.spaces.observation_shape), np.int32)
    export(agent, tmp_path, seen, {"env": config.env} | registry.names(config))
    with serving(tmp_path, "--demo") as server, Browser() as browser:
        browser.open(server.url)
        browser.until("document.getElementById('game').textContent === 'dqn_tf/Helpdesk-v0'")
        browser.value("document.querySelector('[name=speed][value=max]').click()")
        browser.until(f"{FINISHED}.length >= 3")
        told = "[...document.querySelectorAll('.bar .bar-name')].map((name) => name.textContent)"
        plain = DQNConfig(env=config.env)
        assert browser.value(told) == registry.names(plain)["action_meanings"]
        assert not browser.errors


def a_dialogue(browser: Browser) -> None:
    tab_to(browser, "say")
    write(browser, "I cannot get on 😀 &amp; you?")
    browser.until(f"{LINES}.length === 2")
    complaint, question = browser.value(LINES)
    assert complaint == "I cannot get on 😀 &amp; you?" and question.endswith("refused?")
    chosen = "document.querySelector('.bar.chosen.greedy .bar-name').textContent"
    assert browser.value(chosen) == question, "the Q-values stand beside it"
    assert browser.value("document.querySelectorAll('.bar').length") == 12
    assert browser.value(FOCUS) == "say"
    write(browser, "It rejects what I type in.")
    browser.until("!document.getElementById('verdict').hidden")
    assert browser.value(f"{LINES}.at(-1)").startswith("Please set a new password")
    assert browser.value(FOCUS) == "right"
    press(browser, "Enter", 13)
    browser.until(f"{FINISHED}.length === 1")
    assert browser.value(FINISHED) == ["Episode 1: return 0.9, version 1. Right answer in turn 2."]
    assert browser.value("document.getElementById('return').value") == "0.9"
    assert browser.value(FOCUS) == "say"
    write(browser, "Hello?")  # the next dialogue
    browser.until(f"{LINES}.length === 2")
    assert browser.value(LINES)[0] == "Hello?"


def test_graph_walk_is_walked_and_keeps_to_the_rules(tmp_path):
    config = DQNConfig(env="dqn_tf/GraphWalk-v0", network="mlp", hidden_units=(4,))
    agent = DQN(config)
    names = {"env": config.env} | registry.names(config)
    export(agent, tmp_path, np.zeros((1, 16), np.int32), names)
    start = names["action_meanings"][2]
    with serving(tmp_path, "--demo") as server, Browser() as browser:
        browser.open(server.url)
        browser.until(f"{FINISHED}.length >= 1")  # by itself
        browser.value("document.getElementById('say').focus()")
        write(browser, "nowhere")
        browser.until(f"{LINES}.at(-1) === 'There is no way to begin in nowhere.'")
        write(browser, start)
        browser.until(f"{LINES}.length >= 4")
        tokens = np.zeros((1, 16), np.int32)
        tokens[0, 0] = 3
        best = names["action_meanings"][int(agent(tokens).numpy().argmax())]
        assert browser.value(LINES)[2:4][0] == start
        assert browser.value(LINES)[3].split(" → ")[0] == best
        same_walks(browser)
        same_dialogues(browser)
        assert not browser.errors


def same_walks(browser: Browser) -> None:
    """The page's GraphWalk does what Gymnasium's does."""
    env = gym.make("dqn_tf/GraphWalk-v0").unwrapped
    draw = np.random.default_rng(0)
    for start in range(1, 13):  # 0 is the goal
        env.reset(seed=0, options={"start": start})
        actions, told = [], []
        while not told or not told[-1][1]:
            # mostly along an edge
            edges = np.flatnonzero(env.graph.edges[env.written[-1] - 1])
            edges = edges[edges != env.graph.goal] if start % 2 else edges
            action = int(draw.choice(edges)) if draw.random() < 0.95 else int(draw.integers(40))
            _, reward, terminated, truncated, _ = env.step(action + 1)
            actions.append(action)
            told.append([reward, terminated or truncated])
        played = browser.value(f"""import('/page/graphwalk.js').then(async ({{ GraphWalk }}) => {{
            {CHAT}
            const walk = await GraphWalk.make({{}}, chat);
            walk.walk = [{json.dumps(env.graph.nodes[start])}];
            return {actions}.map((action) => {{
              const {{ reward, terminated }} = walk.step(action);
              return [reward, terminated];
            }});
        }})""")
        assert played == told


def same_dialogues(browser: Browser) -> None:
    """The page's Helpdesk tells and pays what Gymnasium's does, with the same sentences drawn."""
    env = gym.make("dqn_tf/Helpdesk-v0", split="test").unwrapped
    names = {"action_meanings": env.get_action_meanings()}
    for actions in ([8, 9, 1], [10, 10, 10, 10], [3], [11, 11, 8, 0]):
        env.draw = lambda texts: texts[0]
        _, info = env.reset(seed=sum(actions))
        env.possible = frozenset(range(8))
        issue, complaint = env.issue, info["text"]
        told = []
        for action in actions:
            _, reward, terminated, _, info = env.step(action)
            told.append([info["text"], reward, terminated])
        played = browser.value(f"""import('/page/helpdesk.js').then(async ({{ Helpdesk }}) => {{
            {CHAT}
            const desk = await Helpdesk.make({json.dumps(names)}, chat);
            if (!desk.canPlay) return null;
            desk.draw01 = () => 0;
            desk.reset();
            desk.issue = {issue};
            desk.text = {json.dumps(complaint)};
            const told = [];
            for (const action of {actions}) {{
              const {{ reward, terminated }} = await desk.step(action);
              told.push([desk.text, reward, terminated]);
            }}
            return told;
        }})""")
        assert played == told
