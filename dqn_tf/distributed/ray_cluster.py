"""The Ray that workers run on: one of this process's own, or a cluster that exists."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support.errors import UserError, describe_error

MISSING = "needs Ray, which is not installed. Type: pip install 'dqn_tf[distributed]'"
CONNECT_SECONDS = 5.0
STARTS = 2  # Ray gives up after 15 to 30 s where a machine is busy; the files are read by then
LEAST_OBJECTS = 128 * 2**20  # bytes; Ray takes no less than 75 MiB
AUTOMATIC = "auto"


@dataclasses.dataclass
class RayCluster:
    """A Ray that this process is connected to.

    Attributes:
      ray: the package, connected.
      is_own: whether this process started it, so that nobody else uses it.
      is_to_end: whether the last user of it is to end the connection.
      users: how many have connected and not yet disconnected.
    """

    ray: Any
    is_own: bool
    is_to_end: bool
    users: int = 1

    def disconnect(self) -> None:
        """Undo one `connect`; with the last one, a Ray that this process started ends."""
        global _connected
        self.users -= 1
        if self.users == 0:
            _connected = None
            if self.is_to_end:
                self.ray.shutdown()


_connected: RayCluster | None = None


def require_usable(config: DQNConfig) -> None:
    """Raise UserError if there is no Ray, or nothing at the address. Ray is not imported yet."""
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"--workers={config.workers} {MISSING}")
    address = config.ray_address
    if not address or address == AUTOMATIC:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(
            f"--ray_address={address}: must be host:port, such as 10.0.0.1:6379, which `ray start"
            " --head` tells, or auto."
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(
            f"--ray_address={address}: nothing answers there ({error}). `ray start --head` on that"
            " machine starts a cluster and tells its address."
        ) from error


def connect(config: DQNConfig, object_bytes: int) -> RayCluster:
    """Return Ray, ready for workers; `disconnect` once for each call.

    `object_bytes` are what workers and this process hand to each other at a time. A Ray that this
    process is connected to already is used as it is. Raises UserError.
    """
    global _connected
    if _connected is not None:
        _connected.users += 1
        return _connected
    require_usable(config)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of GPUs
    if not config.ray_address:
        # Whoever reaches Ray's ports can run programs. So they are to be this machine's alone, for
        # which Ray has no argument: it is what it does on systems that it has no clusters on.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray

        is_initialized = ray.is_initialized()
    except Exception as error:  # a broken installation, or another module of that name
        raise UserError(f"--workers: Ray cannot be used: {describe_error(error)}") from error
    if is_initialized:
        _connected = RayCluster(ray, is_own=False, is_to_end=False)
        return _connected
    options: dict[str, Any] = {"address": config.ray_address or "local"}
    if not config.ray_address:
        options |= {
            "num_cpus": config.workers,
            "object_store_memory": max(LEAST_OBJECTS, 4 * object_bytes),
            "include_dashboard": False,
        }
    for attempt in range(STARTS):
        try:
            with _own_signals(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
            break
        except Exception as error:
            ray.shutdown()
            if attempt < STARTS - 1:
                continue
            where = f"--ray_address={config.ray_address}" if config.ray_address else "--workers"
            raise UserError(f"{where}: Ray cannot be used: {describe_error(error)}") from error
    _connected = RayCluster(ray, is_own=not config.ray_address, is_to_end=True)
    return _connected


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's handlers: Ray would set one for SIGTERM.

    What is started meanwhile lives on when the terminal is closed, so that this process can end it
    after its checkpoint.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])  # children inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in zip(numbers, handlers, strict=True):
            if handler is not None:
                signal.signal(number, handler)
