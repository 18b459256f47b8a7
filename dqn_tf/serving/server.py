"""The process:

loads the models, opens the ports, polls for new versions, and drains when it is told to stop.
"""

import asyncio
import ipaddress
import logging
import signal
import sys
import threading
import time
from pathlib import Path

import grpc

from dqn_tf.serving import config_files
from dqn_tf.serving.demo.page_files import Demo
from dqn_tf.serving.errors import ServingError, StartError
from dqn_tf.serving.grpc import services, warmup
from dqn_tf.serving.http.server import Pages, Rest
from dqn_tf.serving.metrics import Metrics
from dqn_tf.serving.models import loading
from dqn_tf.serving.models.batching import Batcher, Batching
from dqn_tf.serving.models.loaded_model import Loaded
from dqn_tf.serving.models.manager import Manager, alone
from dqn_tf.serving.models.runner import Engine, Recorder
from dqn_tf.serving.models.version_policy import ModelConfig
from dqn_tf.serving.options import Options
from dqn_tf.serving.request_log import RequestLog

log = logging.getLogger("dqn_tf.serving")
BATCHING = "batching_params.pbtxt"
PATIENCE = 30  # seconds that requests at work have to end once the server stops
# seconds between two threads' turns: a version that loads must not hold up requests
QUICKLY = 0.001


def run(options: Options) -> int:
    """Serves until SIGTERM or SIGINT; returns 0. Raises StartError."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    sys.setswitchinterval(QUICKLY)
    recorder = _recorder(options)
    try:
        server = Server(options, recorder)
        if options.demo:
            server.pages = Demo(lambda: server.manager.models)
        return asyncio.run(server.serve())
    finally:
        if recorder is not None:
            recorder.close()


def _recorder(options: Options) -> RequestLog | None:
    if not options.log_requests:
        return None
    try:
        return RequestLog(
            Path(options.log_requests), options.log_requests_max_bytes, options.log_requests_sample
        )
    except OSError as error:
        raise StartError(
            f"--log_requests={options.log_requests} cannot be made a directory: {error.strerror}."
        ) from error


class Server:
    """One process's models and ports. `recorder` and `pages` as in engine.py and rest.py."""

    def __init__(
        self, options: Options, recorder: Recorder | None = None, pages: Pages | None = None
    ) -> None:
        self.options, self.pages = options, pages
        self.metrics_path = (
            config_files.prometheus_path(options.monitoring_config_file)
            if options.monitoring_config_file
            else None
        )
        self.manager = Manager(
            self._load, options.max_num_load_retries, options.load_retries_interval_micros / 1e6
        )
        self.engine = Engine(self.manager, Metrics(), recorder)
        file = options.batching_parameters_file
        self.batching = (
            config_files.batching(file, "batching_parameters_file") if file else Batching()
        )
        self._stop = threading.Event()
        self._config_text = b""

    async def serve(self) -> int:
        """Loads, listens, and waits for a signal."""
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        stopping, starting = (
            asyncio.create_task(stopped.wait()),
            asyncio.create_task(asyncio.to_thread(self._start)),
        )
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not stopped.is_set():
            starting.result()
            rest, rpc = await self._listen()
            for look in (self._poll, self._poll_config):
                threading.Thread(target=look, daemon=True).start()
            await stopping
            print("stopping: finishing the requests at work", flush=True)
            done = rpc.stop(PATIENCE) if rpc is not None else None
            await rest.stop()
            if done is not None:
                await asyncio.to_thread(done.wait)
        self._stop.set()
        return 0

    def _start(self) -> None:
        """Returns when every model answers. Raises StartError."""
        try:
            self.manager.configure(self._configured())
            if not self.options.allow_version_labels_for_unavailable_models:
                # as TensorFlow Serving does, before any version is there
                self.manager.assign_labels(to_any=False)
            self.manager.wait(self._patient)
            self.manager.assign_labels(self.options.allow_version_labels_for_unavailable_models)
        except ServingError as error:
            raise StartError(error.message) from error

    def _configured(self) -> list[ModelConfig]:
        options = self.options
        if not options.model_config_file:
            return [ModelConfig(options.model_name, options.model_base_path)]
        self._config_text = Path(options.model_config_file).read_bytes()
        return config_files.models(options.model_config_file)

    def _patient(self) -> bool:
        """Waits for one poll; says once that it does."""
        if not self._waiting:
            print(
                "waiting for a version of",
                *(name for name, model in self.manager.models.items() if not model.available()),
                flush=True,
            )
        self._waiting = True
        return not self._stop.wait(max(self.options.file_system_poll_wait_seconds, 0.1))

    _waiting = False

    def _load(self, name: str, version: int, path: Path) -> Loaded:
        """The version, warm."""
        loaded = loading.load(name, version, path, self.options)
        try:
            if self.options.enable_model_warmup:
                self._warm(loaded, path)
            if self.options.enable_batching:
                own = path / BATCHING
                read = self.options.enable_per_model_batching_params and own.is_file()
                loaded.batcher = Batcher(
                    config_files.batching(own, "enable_per_model_batching_params")
                    if read
                    else self.batching
                )
        except BaseException:
            loaded.close()
            raise
        return loaded

    def _warm(self, loaded: Loaded, path: Path) -> None:
        started, status = time.perf_counter(), "OK"
        aside = Engine(self.manager, Metrics())  # neither counted, nor recorded, nor batched
        try:
            warmup.run(path, aside, alone(loaded), self.options.enable_signature_method_name_check)
        except ServingError as error:
            status = error.code
            raise
        finally:
            self.engine.metrics.warmup(
                loaded.name, str(path), status, time.perf_counter() - started
            )

    def _poll(self) -> None:
        while self.options.file_system_poll_wait_seconds and not self._stop.wait(
            self.options.file_system_poll_wait_seconds
        ):
            try:
                self.manager.poll()
            except Exception:
                log.exception("looking for new versions failed")

    def _poll_config(self) -> None:
        wait = self.options.model_config_file_poll_wait_seconds
        while wait and self.options.model_config_file and not self._stop.wait(wait):
            try:
                if Path(self.options.model_config_file).read_bytes() != self._config_text:
                    self.manager.configure(self._configured())
                    self.manager.poll()
                    self.manager.assign_labels(
                        self.options.allow_version_labels_for_unavailable_models
                    )
            except (OSError, StartError, ServingError) as error:
                log.error("The configuration stays as it was: %s", error)

    async def _listen(self) -> tuple[Rest, grpc.Server | None]:
        """Opens the ports, and says so."""
        options, rest, rpc = (
            self.options,
            Rest(self.engine, self.options, self.metrics_path, self.pages),
            None,
        )
        for name, model in self.manager.models.items():
            print(
                f"serving {name} version {', '.join(map(str, model.available()))} from"
                f" {model.served.base_path}",
                flush=True,
            )
        if options.port:
            try:
                rpc, port = services.start(self.engine, options)
            except OSError as error:
                raise StartError(
                    f"--port={options.port} on {options.host}: {error.strerror}"
                ) from error
            print(f"gRPC on {options.host}:{port}", flush=True)
        if options.rest_api_port:
            try:
                port = await rest.start(options.host, max(options.rest_api_port, 0))
            except OSError as error:
                raise StartError(
                    f"--rest_api_port={options.rest_api_port} on {options.host}: {error.strerror}"
                ) from error
            print(f"REST on http://{options.host}:{port}/v1/models/", flush=True)
            if self.pages is not None:
                print(f"page on http://{options.host}:{port}/", flush=True)
        if not _is_local(options.host):
            print(
                f"warning: --host={options.host} can be reached from other machines, and nothing is"
                " authenticated",
                file=sys.stderr,
                flush=True,
            )
        return rest, rpc


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
