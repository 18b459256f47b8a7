"""The process: loads the models, opens the ports, polls for new versions, and drains at the end."""

import asyncio
import ipaddress
import logging
import signal
import sys
import threading
from pathlib import Path

import grpc

from dqn_tf.serving import config_files
from dqn_tf.serving.demo.page_files import DemoPages
from dqn_tf.serving.errors import ServingError, StartError
from dqn_tf.serving.grpc import server as grpc_server
from dqn_tf.serving.http.pages import PageLookup
from dqn_tf.serving.http.server import HttpServer
from dqn_tf.serving.metrics import Metrics
from dqn_tf.serving.models.manager import ModelManager
from dqn_tf.serving.models.runner import RequestObserver, SignatureRunner
from dqn_tf.serving.models.version_policy import ModelConfig
from dqn_tf.serving.options import Options
from dqn_tf.serving.request_log import RequestLog
from dqn_tf.serving.version_loader import VersionLoader

log = logging.getLogger("dqn_tf.serving")
DRAIN_SECONDS = 30  # that requests at work have to end once the server stops
# between two threads' turns: a version that loads must not hold up requests
THREAD_SWITCH_SECONDS = 0.001


def run(options: Options) -> int:
    """Serve until SIGTERM or SIGINT; return 0. Raises StartError."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    sys.setswitchinterval(THREAD_SWITCH_SECONDS)
    request_log = _request_log(options)
    try:
        server = Server(options, request_log)
        if options.demo:
            server.page_lookup = DemoPages(lambda: server.manager.models)
        return asyncio.run(server.serve())
    finally:
        if request_log is not None:
            request_log.close()


def _request_log(options: Options) -> RequestLog | None:
    if not options.log_requests:
        return None
    directory = Path(options.log_requests)
    try:
        return RequestLog(directory, options.log_requests_max_bytes, options.log_requests_sample)
    except OSError as error:
        raise StartError(
            f"--log_requests={options.log_requests} cannot be made a directory: {error.strerror}."
        ) from error


class Server:
    """One process's models and ports. `observer` sees requests, `page_lookup` finds pages."""

    def __init__(
        self,
        options: Options,
        observer: RequestObserver | None = None,
        page_lookup: PageLookup | None = None,
    ) -> None:
        self.options = options
        self.page_lookup = page_lookup
        self.metrics_path = None
        if options.monitoring_config_file:
            self.metrics_path = config_files.read_prometheus_path(options.monitoring_config_file)
        metrics = Metrics()
        retry_seconds = options.load_retries_interval_micros / 1e6
        load = VersionLoader(options, metrics).load
        self.manager = ModelManager(load, options.max_num_load_retries, retry_seconds)
        self.runner = SignatureRunner(self.manager, metrics, observer)
        self._stop = threading.Event()
        self._config_text = b""
        self._has_said_waiting = False

    async def serve(self) -> int:
        """Load, listen, and wait for a signal."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        stopping = asyncio.create_task(stopped.wait())
        loading = asyncio.create_task(asyncio.to_thread(self._load_models))
        await asyncio.wait([loading, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not stopped.is_set():
            loading.result()
            http, rpc = await self._listen()
            for poll in (self._poll_versions, self._poll_config):
                threading.Thread(target=poll, daemon=True).start()
            await stopping
            await _drain(http, rpc)
        self._stop.set()
        return 0

    def _load_models(self) -> None:
        """Return when every model answers. Raises StartError."""
        allow_unavailable = self.options.allow_version_labels_for_unavailable_models
        try:
            self.manager.configure(self._read_configs())
            if not allow_unavailable:
                # as TensorFlow Serving does, before any version is there
                self.manager.assign_labels(allow_unavailable=False)
            self.manager.wait(self._keep_waiting)
            self.manager.assign_labels(allow_unavailable)
        except ServingError as error:
            raise StartError(error.message) from error

    def _read_configs(self) -> list[ModelConfig]:
        options = self.options
        if not options.model_config_file:
            return [ModelConfig(options.model_name, options.model_base_path)]
        self._config_text = Path(options.model_config_file).read_bytes()
        return config_files.read_models(options.model_config_file)

    def _keep_waiting(self) -> bool:
        """Wait for one poll, and say so the first time; False if the server stops."""
        if not self._has_said_waiting:
            models = self.manager.models.items()
            names = [name for name, model in models if not model.available()]
            print("waiting for a version of", *names, flush=True)
            self._has_said_waiting = True
        return not self._stop.wait(max(self.options.file_system_poll_wait_seconds, 0.1))

    def _poll_versions(self) -> None:
        seconds = self.options.file_system_poll_wait_seconds
        while seconds and not self._stop.wait(seconds):
            try:
                self.manager.poll()
            except Exception:
                log.exception("looking for new versions failed")

    def _poll_config(self) -> None:
        seconds = self.options.model_config_file_poll_wait_seconds
        path = self.options.model_config_file
        while seconds and path and not self._stop.wait(seconds):
            try:
                if Path(path).read_bytes() != self._config_text:
                    self._reload_config()
            except (OSError, StartError, ServingError) as error:
                log.error("The configuration stays as it was: %s", error)

    def _reload_config(self) -> None:
        self.manager.configure(self._read_configs())
        self.manager.poll()
        self.manager.assign_labels(self.options.allow_version_labels_for_unavailable_models)

    async def _listen(self) -> tuple[HttpServer, grpc.Server | None]:
        """Open the ports, and print them. Raises StartError."""
        options = self.options
        for name, model in self.manager.models.items():
            versions = ", ".join(map(str, model.available()))
            print(f"serving {name} version {versions} from {model.config.base_path}", flush=True)
        rpc = None
        if options.port:
            try:
                rpc, port = grpc_server.start(self.runner, options)
            except OSError as error:
                raise StartError(
                    f"--port={options.port} on {options.host}: {error.strerror}"
                ) from error
            print(f"gRPC on {options.host}:{port}", flush=True)
        http = HttpServer(self.runner, options, self.metrics_path, self.page_lookup)
        if options.rest_api_port:
            try:
                port = await http.start(options.host, max(options.rest_api_port, 0))
            except OSError as error:
                raise StartError(
                    f"--rest_api_port={options.rest_api_port} on {options.host}: {error.strerror}"
                ) from error
            print(f"REST on http://{options.host}:{port}/v1/models/", flush=True)
            if self.page_lookup is not None:
                print(f"page on http://{options.host}:{port}/", flush=True)
        if not _is_local(options.host):
            print(
                f"warning: --host={options.host} can be reached from other machines, and nothing is"
                " authenticated",
                file=sys.stderr,
                flush=True,
            )
        return http, rpc


async def _drain(http: HttpServer, rpc: grpc.Server | None) -> None:
    """Close the ports, and wait until the requests at work have ended."""
    print("stopping: finishing the requests at work", flush=True)
    ended = rpc.stop(DRAIN_SECONDS) if rpc is not None else None
    await http.stop()
    if ended is not None:
        await asyncio.to_thread(ended.wait)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
