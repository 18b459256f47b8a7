"""The embedded server as a process, and small models for it."""

import contextlib
import json
import re
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from command_server import Command, start

REST = re.compile(r"REST on (http://127\.0\.0\.1:\d+)/")


class RunningServer:
    """A running server: its `url`, its gRPC `address` if it has one, and what it says."""

    def __init__(self, process: Command, url: str, address: str | None) -> None:
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
        """Ends it as a supervisor would; all that it said, both streams."""
        self.process.kill(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.process.text
        return self.process.text


@contextlib.contextmanager
def serving(base: Path, *words: str) -> Iterator[RunningServer]:
    """`python -m dqn_tf.serving` on a free HTTP port, as model `dqn`."""
    flags = [
        f"--model_base_path={base}",
        "--model_name=dqn",
        "--rest_api_port=-1",
        "--port=0",
        "--file_system_poll_wait_seconds=0.1",
        *words,
    ]
    process = start(flags, base, "dqn_tf.serving")
    try:
        process.wait_for(text="/v1/models/\n")  # the end of that line
        url = REST.search(process.text)
        address = re.search(r"gRPC on (\S+)", process.text)
        assert url, process.text
        yield RunningServer(process, url[1], address and address[1])
    finally:
        if process.poll() is None:
            process.kill(signal.SIGKILL)
            process.wait()


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
