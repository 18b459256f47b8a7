"""The embedded server as a process, and small models for it."""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

ROOT = Path(__file__).resolve().parents[2]
REST = re.compile(r"REST on (http://127\.0\.0\.1:\d+)")


class RunningServer:
    """A running server: its `url`, its gRPC `address` if it has one, and what it says."""

    def __init__(self, process: subprocess.Popen, url: str, address: str | None) -> None:
        self.process, self.url, self.address = process, url, address

    def get(self, path: str) -> bytes:
        """The body of a page."""
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return reply.read()

    def predict(self, name: str, request_id: str = "", **body) -> dict:
        """The answer to one predict."""
        headers = {"X-Request-Id": request_id} if request_id else {}
        request = urllib.request.Request(
            f"{self.url}/v1/models/{name}:predict", json.dumps(body).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def stop(self) -> str:
        """Ends it as a supervisor would; what it said after its start, both streams."""
        self.process.terminate()
        text, _ = self.process.communicate(timeout=60)
        return text


@contextlib.contextmanager
def serving(base: Path, *words: str) -> Iterator[RunningServer]:
    """`python -m dqn_tf.serving` on a free HTTP port, as model `dqn`."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    command = [
        sys.executable,
        "-m",
        "dqn_tf.serving",
        f"--model_base_path={base}",
        "--model_name=dqn",
        "--rest_api_port=-1",
        "--port=0",
        "--file_system_poll_wait_seconds=0.1",
        *words,
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as process:
        try:
            lines = []
            url = None
            while url is None and (line := process.stdout.readline()):
                lines.append(line)
                match = REST.search(line)
                url = match and match[1]
            assert url, "".join(lines)
            address = re.search(r"gRPC on (\S+)", "".join(lines))
            yield RunningServer(process, url, address and address[1])
        finally:
            process.kill()


def publish(
    base: Path, version: int, shape: tuple[int, ...], dtype: tf.DType, q_values, actions: int
) -> Path:
    """A SavedModel with dqn_tf's serving_default, whose Q-values are `q_values(observation)`;
    renamed into place.
    """
    module = tf.Module()
    specification = tf.TensorSpec((None, *shape), dtype, name="observation")

    @tf.function(input_signature=[specification])
    def serving_default(observation):
        values = tf.ensure_shape(
            q_values(tf.ensure_shape(observation, specification.shape)), (None, actions)
        )
        return {"action": tf.argmax(values, axis=1), "q_values": values}

    module.serving_default = serving_default
    aside = base / f".tmp-{version}"
    tf.saved_model.save(module, str(aside), signatures={"serving_default": serving_default})
    return aside.rename(base / str(version))


def balance(observation: tf.Tensor, scale: float = 1.0) -> tf.Tensor:
    """Q-values whose greedy action holds CartPole's pole for all of an episode."""
    lean = scale * tf.linalg.matvec(observation, tf.constant([0.1, 0.3, 1.0, 0.6]))
    return tf.stack([10 - lean, 10 + lean], axis=1)


def manhattan(observation: tf.Tensor) -> tf.Tensor:
    """Minus the steps to the grid's goal after each move (up, down, left, right)."""
    row, column = observation // 3, observation % 3
    moves = [
        (tf.clip_by_value(row + down, 0, 2), tf.clip_by_value(column + right, 0, 2))
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1))
    ]
    return tf.stack([tf.cast(r + c - 4, tf.float32) for r, c in moves], axis=1)
