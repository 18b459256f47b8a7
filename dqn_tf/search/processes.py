"""Processes of this machine that share a search's work, and end with the one that started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from dqn_tf.support.errors import UserError

POLL_SECONDS = 0.2
PATIENCE = 60.0  # seconds in which a process ends its block and says goodbye
# the threads of NumPy and of TensorFlow
PARENT = "DQN_TF_SEARCH_PARENT"  # the variable with the process that waits for the others
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def run(argv: Sequence[str], parts: Sequence[str], check: Callable[[], None]) -> None:
    """Run the command once for each part, with the flags `argv`, and wait for all of them.

    Raises UserError if one fails, after the others have been ended too, and what `check` raises.
    """
    threads = str(max(1, (os.cpu_count() or 1) // len(parts)))
    environ = dict.fromkeys(THREADS, threads) | dict(os.environ) | {PARENT: str(os.getpid())}
    children: list[subprocess.Popen] = []
    failed: list[int] = []  # before the others were ended
    try:
        for part in parts:
            words = [sys.executable, "-m", "dqn_tf.search", *argv, f"--part={part}"]
            # Ctrl-C goes to all processes of a terminal, and `_end` would be the second signal
            children.append(subprocess.Popen(words, env=environ, start_new_session=True))
        while not failed and any(child.poll() is None for child in children):
            check()
            failed = [child.returncode for child in children if child.poll()]
            time.sleep(POLL_SECONDS)
    finally:
        _end(children)
    failed = failed or [child.returncode for child in children if child.returncode]
    if failed:
        raise UserError(
            f"A process of the search {_how(failed[0])}; what it said stands above. The same"
            " command goes on."
        )


def _how(status: int) -> str:
    """Say how a process ended."""
    if status >= 0:
        return f"ended with status {status}"
    name = signal.Signals(-status).name
    why = ", as the system does where memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{why}"


def _end(children: Sequence[subprocess.Popen]) -> None:
    running = [child for child in children if child.poll() is None]
    for child in running:
        child.terminate()
    for child in running:
        try:
            child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
