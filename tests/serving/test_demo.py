"""The page of --demo in a headless Chromium.

An agent plays to the end, is disturbed, and is replaced while it plays.
"""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("aiohttp", reason="needs the extra [serving]")
from browser import Browser, binary
from command_server import ROOT
from demo_server import balance, manhattan, publish, serving
from dqn_tf.envs import gridworld
from dqn_tf.serving.demo.page_files import HERE, DemoPages

needs_browser = pytest.mark.skipif(
    binary() is None, reason="there is no chromium; on Debian: apt-get install chromium"
)
SHIPPED = ROOT / "saved_models" / "CartPole-v1"
FINISHED = "[...document.querySelectorAll('.episode .hidden')].map((line) => line.textContent)"


def text(browser: Browser, name: str) -> str:
    return browser.value(f"document.getElementById('{name}').textContent")


def click(browser: Browser, selector: str) -> None:
    browser.value(f"document.querySelector({selector!r}).click()")


def last_return(browser: Browser, episodes: int) -> int:
    """Once so many have ended."""
    browser.until(f"{FINISHED}.length >= {episodes}")
    return int(re.search(r"return (\d+)", browser.value(FINISHED)[episodes - 1])[1])


def test_only_its_own_files_are_given_out():
    demo = DemoPages(lambda: ["two", "one"])
    status, kind, body = demo("/")
    assert status == 200 and kind.startswith("text/html") and b"<title>" in body
    assert demo("/?x=1") == demo("/") and json.loads(demo("/page/models.json")[2]) == {
        "models": ["one", "two"]
    }
    for path in (
        "/page/../demo.py",
        "/page/%2e%2e/demo.py",
        "/page/",
        "/page/index.html",
        "/demo.py",
        "//",
        "",
        "/page/nowhere.js",
    ):
        assert demo(path) is None, path
    for linked in re.findall(r'(?:src|href)="([^"]+)"', body.decode()):
        assert demo(linked) is not None, linked


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing_inline():
    for path in HERE.iterdir():
        content = path.read_text(encoding="utf-8")
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", content), path
        assert len(content.splitlines()) <= 300 and max(map(len, content.splitlines())) <= 150, path
    html = (HERE / "index.html").read_text(encoding="utf-8")
    assert "default-src 'self'" in html and not re.findall(
        r"<script[^>]*>[^<]|\son\w+=|style=", html
    )
    assert '"dqn_tf.serving.demo": ["page/*"]' in (ROOT / "setup.py").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
@pytest.mark.parametrize(
    ("signature", "names", "sentence"),
    [
        (
            {"dtype": "DT_INT32", "shape": [16], "actions": 2},
            {
                "tokens": ["<pad>", *map(str, range(12))],
                "action_meanings": ["yes", "no"],
                "spaces": {"padding": 3, "category_start": 3},
            },
            "takes texts of 16 tokens (DT_INT32), of 13: <pad>, 0, 1, 2, 3, 4, 5, 6, 7, … 11,"
            " with <pad> behind their end, and chooses among 2 actions: yes, no",
        ),
        (
            {"dtype": "DT_FLOAT", "shape": [8], "actions": 4},
            {"tokens": None, "action_meanings": ["too", "few"], "spaces": {"padding": None}},
            "takes observations of shape [8] (DT_FLOAT) and chooses among 4 actions",
        ),
        (
            {"dtype": "DT_INT64", "shape": [2], "actions": 1},
            {"tokens": ["a", "b"]},
            "takes texts of 2 tokens (DT_INT64), of 2: a, b, and chooses among 1 actions",
        ),
    ],
)
def test_what_cannot_be_played_is_told_by_its_names(signature, names, sentence):
    module = (HERE / "names.js").read_text(encoding="utf-8").replace("export ", "")
    call = f"console.log(told({json.dumps(signature)}, {json.dumps(names)}));"
    words = ["node", "--eval", module + call]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, sentence), done.stderr


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Version 1: the shipped agent; where none is shipped, a controller that balances the pole."""
    base = tmp_path_factory.mktemp("demo")
    if SHIPPED.is_dir():
        newest = max(
            (path for path in SHIPPED.iterdir() if path.name.isdigit()),
            key=lambda path: int(path.name),
        )
        (base / "1").symlink_to(newest)
    else:
        publish(base, 1, (4,), tf.float32, balance, 2)
    return base


@needs_browser
def test_it_plays_to_500_and_can_be_disturbed(models, generator):
    with serving(models, "--demo") as server, Browser() as browser:
        browser.open(server.url)
        browser.until("document.getElementById('step')?.value > 20")
        click(browser, "[name=speed][value=max]")
        assert last_return(browser, 1) == 500
        assert "Balanced for all 500 steps" in browser.value(FINISHED)[0]
        assert text(browser, "version") == "version 1"
        assert float(text(browser, "latency-last")) > 0 and float(text(browser, "latency-p50")) > 0
        assert int(text(browser, "answers").replace(",", "")) >= 500
        assert browser.value("document.title") == "dqn plays CartPole-v1"
        bars_show_the_greedy_action(browser)
        same_physics(browser, generator)
        can_be_disturbed(browser)
        can_be_paused_and_reset(browser)
        assert browser.value("document.querySelector('canvas').getAttribute('aria-label')")
        assert not browser.errors
        fits_a_telephone(browser, server.url)


def bars_show_the_greedy_action(browser: Browser) -> None:
    bars = browser.value(
        "[...document.querySelectorAll('.bar')].map((bar) =>"
        " [bar.querySelector('.bar-name').textContent, bar.querySelector('.bar-value').value,"
        " bar.className])"
    )
    assert [name for name, _, _ in bars] == ["push left", "push right"]
    q_values = [float(value.replace("−", "-")) for _, value, _ in bars]
    assert sum("greedy" in classes for _, _, classes in bars) == 1
    assert "greedy" in bars[int(np.argmax(q_values))][2] or q_values[0] == q_values[1]


def can_be_disturbed(browser: Browser) -> None:
    # more than the pole's weight can hold against within twelve degrees
    browser.set("push", "0.1")
    assert text(browser, "push-value") == "0.10 N"
    finished = browser.value(FINISHED + ".length")
    assert last_return(browser, finished + 2) < 500
    browser.set("push", "0")
    browser.set("epsilon", "1")
    finished = browser.value(FINISHED + ".length")
    assert last_return(browser, finished + 2) < 200, "random play"
    browser.until("document.getElementById('how').textContent === 'explores'")
    browser.set("epsilon", "0")


def can_be_paused_and_reset(browser: Browser) -> None:
    browser.value("document.activeElement.blur()")
    browser.press(" ")
    browser.press(" ", down=False)
    browser.until("document.getElementById('pause').textContent === 'Play'")
    # What is on its way may still arrive.
    paused, later = (
        browser.value(
            "new Promise((ready) => setTimeout(() =>"
            " ready(document.getElementById('answers').value), 300))"
        )
        for _ in range(2)
    )
    assert paused == later, "paused"
    browser.press("r")
    assert text(browser, "step") == "0" and text(browser, "return") == "0"
    click(browser, "#pause")
    browser.until("document.getElementById('answers').value !== " + json.dumps(later))


def fits_a_telephone(browser: Browser, url: str) -> None:
    browser.look(390, 800, reduced_motion=True)
    browser.open(url)
    browser.until(
        "document.getElementById('pause')?.textContent === 'Play' &&"
        " document.getElementById('version').textContent === 'version 1'"
    )
    assert browser.value("document.documentElement.scrollWidth") == 390, "it scrolls sideways"
    assert text(browser, "step") == "0", "nothing moves by itself where less motion is wanted"


def same_physics(browser: Browser, generator: np.random.Generator) -> None:
    """The page's CartPole does what Gymnasium's does: the same actions from the same states."""
    env = gym.make("CartPole-v1")
    for episode in range(5):
        env.reset(seed=episode)
        start = [float(part) for part in env.unwrapped.state]
        actions, states, ends = generator.integers(2, size=200).tolist(), [], []
        for action in actions:
            _, reward, terminated, _, _ = env.step(action)
            states.append(env.unwrapped.state.tolist())
            ends.append([reward, terminated])
            if terminated:
                break
        played = browser.value(f"""import('/page/cartpole.js').then(({{ CartPole }}) => {{
            const pole = new CartPole();
            pole.state = {start};
            return {actions[: len(states)]}.map((action) => {{
              const {{ reward, terminated }} = pole.step(action);
              return [pole.state, [reward, terminated]];
            }});
        }})""")
        np.testing.assert_allclose([state for state, _ in played], states, rtol=1e-12, atol=1e-14)
        assert [end for _, end in played] == ends and ends[-1] == [1.0, True]
    x, velocity, theta, omega, push = 0.3, -0.2, 0.15, 0.7, 0.09
    pushed = browser.value(f"""import('/page/cartpole.js').then(({{ CartPole }}) => {{
        const pole = new CartPole();
        pole.state = {[x, velocity, theta, omega]};
        pole.step(1, {push});
        return pole.state;
    }})""")
    # Lagrange's equations, with a horizontal force at the tip of a pole of length 1 and mass 0.1 on
    # a cart of mass 1.
    masses = [[1.1, 0.05 * np.cos(theta)], [0.05 * np.cos(theta), 4 / 3 * 0.1 * 0.5**2]]
    forces = [
        10 + push + 0.05 * omega**2 * np.sin(theta),
        0.05 * 9.8 * np.sin(theta) + push * np.cos(theta),
    ]
    acceleration, alpha = np.linalg.solve(masses, forces)
    expected = [
        x + 0.02 * velocity,
        velocity + 0.02 * acceleration,
        theta + 0.02 * omega,
        omega + 0.02 * alpha,
    ]
    np.testing.assert_allclose(pushed, expected, rtol=1e-12)


@needs_browser
def test_what_answers_changes_under_its_eyes(tmp_path):
    publish(tmp_path, 1, (4,), tf.float32, balance, 2)
    with serving(tmp_path, "--demo") as server, Browser() as browser:
        browser.open(server.url)
        browser.until("document.getElementById('step')?.value > 20")
        click(browser, "[name=speed][value=max]")
        last_return(browser, 1)
        # the worst there is
        publish(tmp_path, 2, (4,), tf.float32, lambda observation: balance(observation, -1.0), 2)
        browser.until("document.getElementById('version').textContent === 'version 2'")
        assert text(browser, "notice").startswith("Version 2 answers since")
        browser.until(f"{FINISHED}.at(-1).includes('version 2. Fell at step')")
        assert "versions/2:predict" in text(browser, "address")

        publish(tmp_path, 3, (), tf.int64, manhattan, 4)
        browser.until("document.getElementById('game').textContent === 'dqn_tf/GridWorld-v0'")
        browser.until(
            f"{FINISHED}.at(-1)?.includes('Reached the goal in 4 steps') ||"
            f" {FINISHED}.at(-1)?.includes('Reached the goal in 2 steps')"
        )
        assert browser.value("document.getElementById('push-row').hidden")
        moves = browser.value("""import('/page/gridworld.js').then(({ GridWorld }) => {
            const grid = new GridWorld();
            return grid.everyObservation.flatMap((state) => [0, 1, 2, 3].map((action) => {
              grid.state = state;
              const { reward, terminated } = grid.step(action);
              return [grid.state, reward, terminated];
            }));
        })""")
        assert [tuple(move) for move in moves] == [
            gridworld.transition(state, action) for state in range(9) for action in range(4)
        ]
        assert browser.value(
            "import('/page/gridworld.js').then(({ GridWorld }) => new GridWorld().observation)"
        ) == gridworld.state_of(*gridworld.START)

        publish(
            tmp_path,
            4,
            (84, 84, 4),
            tf.uint8,
            lambda pixels: tf.reduce_mean(tf.cast(pixels, tf.float32), axis=(1, 2))[:, :3],
            3,
        )
        browser.until(
            "document.getElementById('notice').textContent.includes('shape [84, 84, 4] (DT_UINT8)"
            " and chooses among 3 actions')"
        )
        assert browser.value("document.getElementById('main').hidden")
        publish(tmp_path, 5, (4,), tf.float32, balance, 2)
        browser.until(
            "document.getElementById('version').textContent === 'version 5' &&"
            " !document.getElementById('main').hidden"
        )
        browser.until("document.getElementById('step').value > 5")
        # of a version that has just gone
        unexpected = [error for error in browser.errors if "404" not in error]
        assert not unexpected
        server.process.kill(signal.SIGKILL)
        browser.until(
            "document.getElementById('notice').textContent === 'The server does not answer; asking"
            " again.'"
        )
