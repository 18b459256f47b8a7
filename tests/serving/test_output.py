"""The server without anybody who reads its output, started from a notebook's environment."""

import functools
import os
import socket
import subprocess
import sys

import server_process
import signature_zoo
from server_process import ROOT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_it_serves_though_nobody_reads_what_it_prints(tmp_path):
    signature_zoo.save_small(tmp_path / "models" / "1", 100.0)
    reading, writing = os.pipe()
    os.close(reading)
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "dqn_tf.serving"),
            *("--port=0", f"--rest_api_port={port}", "--model_base_path=~/models"),
        ],
        stdout=writing,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
        | {"KERAS_BACKEND": "torch", "MPLBACKEND": "nowhere"},
        cwd=tmp_path,
        preexec_fn=functools.partial(os.close, 2),
    )
    os.close(writing)
    server = server_process.Address("127.0.0.1", port, None)

    def answers() -> bool:
        assert process.poll() is None
        try:
            return server.states("default") == {1: "AVAILABLE"}
        except ConnectionError:
            return False

    try:
        server_process.wait(answers, "an answer")
        process.terminate()
        assert process.wait(server_process.PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
