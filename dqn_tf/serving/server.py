"""The process: loads the models, opens the ports, polls for new versions, and drains at the end."""

import asyncio
import contextlib
import ctypes
import dataclasses
import gc
import ipaddress
import logging
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from dqn_tf.serving import config_files
from dqn_tf.serving.demo.page_files import DemoPages
from dqn_tf.serving.errors import ServingError, StartError, to_serving_error
from dqn_tf.serving.grpc.server import GrpcServer
from dqn_tf.serving.http.pages import PageLookup
from dqn_tf.serving.http.server import HttpServer
from dqn_tf.serving.metrics import Metrics
from dqn_tf.serving.models import loading
from dqn_tf.serving.models.manager import ModelManager
from dqn_tf.serving.models.runner import RequestObserver, SignatureRunner
from dqn_tf.serving.models.version_policy import ModelConfig
from dqn_tf.serving.options import Options
from dqn_tf.serving.request_log import RequestLog
from dqn_tf.serving.version_loader import VersionLoader
from dqn_tf.serving.workload import Workload

log = logging.getLogger("dqn_tf.serving")
DRAIN_SECONDS = 30  # that requests at work, and the request log, have once the server stops
QUIET_SECONDS = 60  # between two lines of the log that say the same
DESCRIPTORS = 4096  # that are wanted
OWN_DESCRIPTORS = 128  # that are not for connections: files, libraries, pipes
MALLOC_MMAP_THRESHOLD = -3  # of mallopt
LARGE_ALLOCATION = 1 << 20  # bytes


def run(options: Options) -> int:
    """Serve until SIGTERM or SIGINT; return 0. Raises StartError."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    _return_large_memory()
    options = _limit_connections(options)
    loading.start_threads(options)
    request_log = _request_log(options)
    drain = Drain()
    try:
        server = Server(options, request_log)
        if options.demo:
            server.page_lookup = DemoPages(lambda: list(server.manager.models))
        return asyncio.run(server.serve(drain))
    finally:
        if request_log is not None:
            request_log.close(drain.seconds_left())


class Drain:
    """One patience for everything that has to end once the server stops."""

    def __init__(self) -> None:
        self._end: float | None = None
        self.is_hurried = False

    def begin(self, now: float) -> None:
        """Start the time."""
        self._end = now + DRAIN_SECONDS

    def seconds_left(self) -> float:
        """Return the time that is left; all of it before `begin`, none once hurried."""
        if self.is_hurried:
            return 0.0
        if self._end is None:
            return DRAIN_SECONDS
        return max(0.0, self._end - time.monotonic())


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
        self.workload = Workload(options.max_request_bytes)
        self._stop = threading.Event()
        self._config_text = b""
        self._config_error = ""
        self._has_said_waiting = False

    async def serve(self, drain: Drain) -> int:
        """Load, listen, and wait for a signal. Raises StartError."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_LoopErrors())
        stopping, hurrying = asyncio.Event(), asyncio.Event()

        def stop() -> None:
            (hurrying if stopping.is_set() else stopping).set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        stopped = asyncio.create_task(stopping.wait())
        loaded = _in_daemon(self._load_models)
        await asyncio.wait([loaded, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not stopping.is_set():
            loaded.result()
            # Looking through TensorFlow's objects for garbage takes half a second, and all wait.
            gc.freeze()
            http, rpc = await self._listen()
            for poll in (self._poll_versions, self._poll_config):
                threading.Thread(target=poll, daemon=True).start()
            await stopped
            await _drain(http, rpc, drain, hurrying)
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

    def _read_configs(self, again: bool = False) -> list[ModelConfig]:
        options = self.options
        if not options.model_config_file:
            return [ModelConfig(options.model_name, options.model_base_path)]
        try:
            self._config_text = Path(options.model_config_file).read_bytes()
        except OSError as error:
            raise StartError(
                f"--model_config_file={options.model_config_file} cannot be read: {error.strerror}"
            ) from error
        return config_files.read_models(options.model_config_file, again)

    def _keep_waiting(self) -> bool:
        """Wait for one poll, and say so the first time; False if the server stops."""
        if not self._has_said_waiting:
            for name, model in self.manager.models.items():
                if not model.available():
                    print(f"waiting for a version of {name} {_where(model.config)}", flush=True)
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
            problem = ""
            try:
                if Path(path).read_bytes() != self._config_text:
                    self.manager.configure(self._read_configs(again=True))
                    self.manager.poll()
            except Exception as error:
                problem = to_serving_error(error).message
                if isinstance(error, OSError):
                    problem = f"{path} cannot be read: {error.strerror}"
            if problem and problem != self._config_error:  # not at every poll
                log.error("The configuration stays as it was: %s", problem)
            self._config_error = problem

    async def _listen(self) -> tuple[HttpServer, GrpcServer | None]:
        """Open the ports, and print them. Raises StartError."""
        options = self.options
        host = f"[{options.host}]" if ":" in options.host else options.host
        for name, model in self.manager.models.items():
            versions = ", ".join(map(str, model.available()))
            print(f"serving {name} version {versions} from {model.config.base_path}", flush=True)
        rpc = None
        if options.port:
            rpc = GrpcServer(self.runner, options, self.workload)
            with _naming("port", options):
                port = rpc.start(options.host, max(options.port, 0))
            print(f"gRPC on {host}:{port}", flush=True)
        http = HttpServer(self.runner, options, self.workload, self.metrics_path, self.page_lookup)
        if options.rest_api_port:
            with _naming("rest_api_port", options):
                port = await http.start(options.host, max(options.rest_api_port, 0))
            print(f"REST on http://{host}:{port}/v1/models/", flush=True)
            if self.page_lookup is not None:
                print(f"page on http://{host}:{port}/", flush=True)
        if not _is_local(options.host):
            print(
                f"warning: --host={options.host} can be reached from other machines, and nothing is"
                " authenticated",
                file=sys.stderr,
                flush=True,
            )
        return http, rpc


async def _drain(
    http: HttpServer, rpc: GrpcServer | None, drain: Drain, hurrying: asyncio.Event
) -> None:
    """Close the ports, and wait until the requests at work have ended, but not for ever."""
    drain.begin(time.monotonic())
    print("stopping: finishing the requests at work", flush=True)
    ended = rpc.stop(DRAIN_SECONDS) if rpc is not None else threading.Event()
    if rpc is None:
        ended.set()
    hurried = asyncio.create_task(hurrying.wait())
    finished = asyncio.create_task(http.stop())
    rpc_finished = _in_daemon(lambda: ended.wait(DRAIN_SECONDS + 1))
    everything = asyncio.gather(finished, asyncio.shield(rpc_finished), return_exceptions=True)
    # what is cancelled below has an error that nobody asks for
    everything.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    first: list[asyncio.Future[Any]] = [everything, hurried]
    await asyncio.wait(first, timeout=drain.seconds_left(), return_when=asyncio.FIRST_COMPLETED)
    drain.is_hurried = hurrying.is_set()
    if not everything.done():
        print("stopping: some requests are cut off", flush=True)
        everything.cancel()
        http.abort()
        if rpc is not None:
            rpc.stop(0)
    hurried.cancel()


def _in_daemon(work: Any) -> "asyncio.Future[Any]":
    """Run `work` in a thread that does not keep the process alive."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def finish(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def target() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=target, daemon=True).start()
    return future


@contextlib.contextmanager
def _naming(flag: str, options: Options) -> Any:
    """Turn the error of an address into a StartError that names the flags."""
    try:
        yield
    except (OSError, UnicodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartError(
            f"--{flag}={getattr(options, flag)} on --host={options.host}: {reason}"
        ) from error


def _limit_connections(options: Options) -> Options:
    """Allow this process more descriptors, and lower --max_connections to what there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY:
        return options
    room = max(1, (soft - OWN_DESCRIPTORS) // 2)  # for each of the two ports
    return dataclasses.replace(options, max_connections=min(options.max_connections, room))


def _return_large_memory() -> None:
    """Make glibc give large blocks back when they are freed.

    It would keep blocks of up to 32 MB once one was freed, and the process would only grow.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(MALLOC_MMAP_THRESHOLD, LARGE_ALLOCATION)


def _request_log(options: Options) -> RequestLog | None:
    if not options.log_requests:
        return None
    directory = Path(options.log_requests)
    try:
        return RequestLog(directory, options.log_requests_max_bytes, options.log_requests_sample)
    except OSError as error:
        raise StartError(
            f"--log_requests={options.log_requests} cannot be made a directory, or written to:"
            f" {error.strerror}."
        ) from error


def _where(config: ModelConfig) -> str:
    """Say where versions are looked for, and what is wrong with the place."""
    path = Path(config.base_path)
    try:
        return f"in {path}, which {_what_it_is(path)}"
    except OSError as error:
        return f"in {path}, which cannot be read: {error.strerror}"


def _what_it_is(path: Path) -> str:
    """Say what a place without versions is. Raises OSError if it cannot be looked at."""
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        return "cannot be read"
    if not path.exists():
        return "is not there yet"
    if (path / "saved_model.pb").is_file():
        return f"is a version itself: give the directory around it, {path.parent}"
    if not path.is_dir():
        return "is no directory"
    return "has no directory with a number for a name"


class _LoopErrors:
    """Logs what the event loop could not do in one line, and the same not every second."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def __call__(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        text = f"{context.get('message')}: {context.get('exception')}"
        if time.monotonic() >= self._said.get(text, 0.0):
            self._said[text] = time.monotonic() + QUIET_SECONDS
            log.error("%s", text)


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
