"""The embedded server as a process of its own, and what its REST port says of it."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.common import machine
from benchmarks.common.processes import Child

MODEL = "dqn"
SECONDS_TO_START = 150
PORT_LINES = {
    "rest": re.compile(r"REST on http://127\.0\.0\.1:(\d+)"),
    "grpc": re.compile(r"gRPC on 127\.0\.0\.1:(\d+)"),
}


class Server(Child):
    """A running `python -m dqn_tf.serving` on free ports; `ports` has them by transport.

    `more` are further flags. REST is always there, for its status.
    """

    def __init__(
        self, base: Path, batching: str, transports: set[str], cpus: frozenset[int], *more: str
    ) -> None:
        words = [
            f"--model_base_path={base}",
            f"--model_name={MODEL}",
            "--rest_api_port=-1",
            f"--port={-1 if 'grpc' in transports else 0}",
            "--file_system_poll_wait_seconds=0.2",
            *more,
        ]
        if batching == "on":
            words.append("--enable_batching")
        super().__init__("dqn_tf.serving", *words, cpus=cpus)
        self.ports: dict[str, int] = {}
        try:
            self._read_ports(transports | {"rest"})
        except BaseException:
            self.__exit__()
            raise

    def _read_ports(self, transports: set[str]) -> None:
        """Wait until the server has said all its ports."""
        while not self.ports.keys() >= transports:
            line = self.line(SECONDS_TO_START)
            for transport, pattern in PORT_LINES.items():
                port = pattern.search(line)
                if port:
                    self.ports[transport] = int(port[1])

    def rss_mib(self) -> float:
        """Read the memory that it holds now, in MiB; NaN where there is no /proc."""
        rss = machine.status_mib(self.process.pid, "VmRSS")
        return float("nan") if rss is None else rss

    def is_available(self, version: int) -> bool:
        """Ask whether this version is AVAILABLE."""
        try:
            status = self._get(f"/versions/{version}")["model_version_status"][0]
        except urllib.error.HTTPError:
            return False
        return status["state"] == "AVAILABLE"

    def observation_shape(self) -> list[int]:
        """Ask for the shape of one observation."""
        signatures = self._get("/metadata")["metadata"]["signature_def"]["signature_def"]
        shape = signatures["serving_default"]["inputs"]["observation"]["tensor_shape"]
        return [int(dimension["size"]) for dimension in shape["dim"][1:]]

    def _get(self, path: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.ports['rest']}/v1/models/{MODEL}{path}"
        with urllib.request.urlopen(url, timeout=SECONDS_TO_START) as reply:
            return json.load(reply)
