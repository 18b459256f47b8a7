"""Customers who write to the embedded server over REST, by the signature `text` or `messages`."""

import csv
import http.client
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from benchmarks.serving.server import MODEL

PATH = f"/v1/models/{MODEL}:predict"
METADATA = f"/v1/models/{MODEL}/metadata"
TEXT, MESSAGES = "text", "messages"
SECONDS = 60  # of patience for one answer
COLUMNS = ("id", "reward", "end", "action", "propensity")
# bodies that no customer should send, each answered or refused in a sentence
ODD_TEXTS = (
    *(
        "",
        "quux frobnicate",
        "👩🏽\u200d🚀",
        "我的网络断了。",
        "é\u0000İẞ",
        "x" * 10_000,
        "login " * 2_000,
    ),
)
ODD_INSTANCES: tuple[Any, ...] = (*ODD_TEXTS, 7, None, ["a", "b"], {"txt": "a"})


class Dialogues(NamedTuple):
    """What came of dialogues: returns in the order of their seeds, and each answer's time."""

    returns: list[float]
    milliseconds: list[float]


class Line:
    """A connection that is kept; `milliseconds` are the times of all answers.

    A model that reads message by message is told the messages of a dialogue, any other its text.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        self.milliseconds: list[float] = []
        self._connection.request("GET", METADATA)
        told = json.loads(self._connection.getresponse().read())
        self._reads_messages = MESSAGES in told["metadata"]["signature_def"]["signature_def"]

    def ask(
        self, instance: Any, name: str = "", signature: str = TEXT
    ) -> tuple[int, dict[str, Any]]:
        """Return status and answer of one request with the id `name`."""
        body = json.dumps({"signature_name": signature, "instances": [instance]})
        headers = {"X-Request-Id": name} if name else {}
        begin = time.perf_counter()
        self._connection.request("POST", PATH, body, headers)
        reply = self._connection.getresponse()
        content = reply.read()
        self.milliseconds.append(1e3 * (time.perf_counter() - begin))
        return reply.status, json.loads(content)

    def action(self, info: dict[str, Any], name: str = "") -> int:
        """Return the agent's action for what an environment tells."""
        if self._reads_messages:
            said = {key: [one[key] for one in info["messages"]] for key in ("role", "content")}
            status, answer = self.ask(said, name, MESSAGES)
        else:
            status, answer = self.ask(info["text"], name)
        assert status == 200, answer
        return int(answer["predictions"][0]["action"])


def converse(
    port: int, env: gym.Env, seeds: Sequence[int], epsilon: float = 0.0, rewards: Path | None = None
) -> Dialogues:
    """Hold a dialogue for each seed; write what each request led to.

    With probability `epsilon` any action is taken in place of the agent's.
    """
    line = Line(port)
    generator = np.random.default_rng(list(seeds)[:8])
    returns: list[float] = []
    rows: list[tuple[Any, ...]] = []
    for seed in seeds:
        _, info = env.reset(seed=seed)
        total, is_over = 0.0, False
        while not is_over:
            name = f"{seed}-{len(rows)}"
            greedy = line.action(info, name)
            actions = int(env.action_space.n)  # type: ignore[attr-defined]
            explores = generator.random() < epsilon
            action = int(generator.integers(actions)) if explores else greedy
            propensity = epsilon / actions + (1.0 - epsilon) * (action == greedy)
            _, reward, terminated, truncated, info = env.step(action)
            is_over = terminated or truncated
            end = "terminated" * terminated or "truncated" * truncated
            rows.append((name, reward, end, action, propensity))
            total += float(reward)
        returns.append(total)
    if rewards is not None:
        with rewards.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    return Dialogues(returns, line.milliseconds)


def pester(port: int, rounds: int) -> list[float]:
    """Send what no customer should, many times; return each answer's milliseconds.

    An answer is one, or a refusal in one sentence.
    """
    line = Line(port)
    for number in range(rounds * len(ODD_INSTANCES)):
        instance = ODD_INSTANCES[number % len(ODD_INSTANCES)]
        status, answer = line.ask(instance)
        is_refused = status == 400 and "\n" not in answer["error"]
        assert is_refused or (status == 200 and isinstance(instance, str)), (status, answer)
    return line.milliseconds
