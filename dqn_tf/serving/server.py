"""The process: loads the models, opens the ports, polls for new versions, and drains when it is told to stop."""

import asyncio
import ipaddress
import logging
import signal
import sys
import threading
from pathlib import Path

from dqn_tf.serving import loading
from dqn_tf.serving.demo import Demo
from dqn_tf.serving.errors import StartError
from dqn_tf.serving.manager import Manager, Served
from dqn_tf.serving.options import Options
from dqn_tf.serving.request_log import RequestLog
from dqn_tf.serving.rest import Rest

log = logging.getLogger("dqn_tf.serving")
QUICKLY = 0.001  # seconds between two threads' turns: a version that loads must not hold up requests


def run(options: Options) -> int:
    """Serves until SIGTERM or SIGINT; returns 0. Raises StartError."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    sys.setswitchinterval(QUICKLY)
    return asyncio.run(Server(options).serve())


class Server:
    """One process's models and ports."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.manager = Manager(lambda name, version, path: loading.load(name, version, path, options), options.max_num_load_retries,
                               options.load_retries_interval_micros / 1e6)
        self._stop = threading.Event()
        self.recorder = _recorder(options)
        self.pages = Demo(lambda: self.manager.models) if options.demo else None

    async def serve(self) -> int:
        """Loads, listens, and waits for a signal."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        stopping = asyncio.create_task(stopped.wait())
        self.manager.configure([Served(self.options.model_name, self.options.model_base_path)])
        starting = asyncio.create_task(self._load_all())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            polling = threading.Thread(target=self._poll, daemon=True)
            rest = Rest(self.manager, self.options, self.recorder, self.pages)
            await self._listen(rest)
            polling.start()
            await stopping
            print("stopping: finishing the requests at work", flush=True)
            await rest.stop()
        self._stop.set()
        starting.cancel()
        if self.recorder is not None:
            self.recorder.close()
        return 0

    async def _load_all(self) -> None:
        """Looks until every model answers. Raises StartError for a version that cannot be loaded."""
        waiting = False
        while True:
            await asyncio.to_thread(self.manager.poll)
            for model in self.manager.models.values():
                for entry in model.entries.values():
                    if entry.error is not None:
                        raise StartError(f"{model.served.name} version {entry.version} cannot be loaded: {entry.error.message}")
            empty = [model.served.base_path for model in self.manager.models.values() if not model.available()]
            if not empty:
                return
            if not waiting:
                print(f"waiting for a version in {', '.join(empty)}", flush=True)
            waiting = True
            await asyncio.sleep(max(self.options.file_system_poll_wait_seconds, 0.1))

    def _poll(self) -> None:
        while self.options.file_system_poll_wait_seconds and not self._stop.wait(self.options.file_system_poll_wait_seconds):
            try:
                self.manager.poll()
            except Exception:
                log.exception("looking for new versions failed")

    async def _listen(self, rest: Rest) -> None:
        host, port = self.options.host, self.options.rest_api_port
        for name, model in self.manager.models.items():
            print(f"serving {name} version {', '.join(map(str, model.available()))} from {model.served.base_path}", flush=True)
        if port:
            try:
                bound = await rest.start(host, max(port, 0))
            except OSError as error:
                raise StartError(f"--rest_api_port={port} on {host}: {error.strerror}") from error
            print(f"REST on http://{host}:{bound}/v1/models/", flush=True)
            if self.pages is not None:
                print(f"page on http://{host}:{bound}/", flush=True)
        if not _is_local(host):
            print(f"warning: --host={host} can be reached from other machines, and nothing is authenticated", file=sys.stderr, flush=True)


def _recorder(options: Options) -> RequestLog | None:
    if not options.log_requests:
        return None
    try:
        return RequestLog(Path(options.log_requests), options.log_requests_max_bytes, options.log_requests_sample)
    except OSError as error:
        raise StartError(f"--log_requests={options.log_requests} cannot be made a directory: {error.strerror}.") from error


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
