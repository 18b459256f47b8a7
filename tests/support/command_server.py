"""Runs the project's commands without five seconds of importing TensorFlow each time.

Run as a script, this file is a server: it imports TensorFlow, executes nothing in it, and forks
once per request; the child becomes the command, with its own working directory, output and
environment variables. Forking is safe as long as no TensorFlow operation has run before. Imported,
it is the client: `start` and `run`.

The updates of the host engine and the blocks of the graph engine are traced, but compiled by XLA
only where a test asks for it: compiling takes longer than all of a run of a few hundred steps. What
XLA makes of them is asked in process (tests/agent, tests/engines, test_resume_switches.py), and by
the runs of test_extending.py and of test_graph_engine.py.
"""

import atexit
import functools
import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import forked_processes

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = ROOT / "tests" / "support"
PATIENCE = 120  # seconds; every command here takes a few
# what a run of train.py imports, at its beginning and for its final score
PRELOADED = ("dqn_tf.training.trainer", "dqn_tf.engines.graph.program", "scipy.stats")


class Command:
    """A running or finished command."""

    def __init__(self, pid: int, output: Path) -> None:
        self.pid = pid
        self.output = output
        self._status = Path(f"{output}.status")  # the server writes it when the command has ended

    @property
    def text(self) -> str:
        """All that it has written so far, to stdout and stderr."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        if not self._status.exists():
            return None
        return int(self._status.read_text(encoding="ascii"))

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit status; minus the signal's number if one killed it."""
        deadline = time.monotonic() + patience
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"no end after {patience} s:\n{self.text}")
            time.sleep(0.01)
        return status

    def wait_for(self, *, text: str = "", path: Path | None = None) -> None:
        """Returns once it has written that text or made that path; fails if it ends before."""
        deadline = time.monotonic() + PATIENCE
        while not ((text and text in self.text) or (path is not None and path.exists())):
            assert not self._status.exists(), f"ended before {text or path}:\n{self.text}"
            assert time.monotonic() < deadline, f"no {text or path}:\n{self.text}"
            time.sleep(0.005)

    def kill(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.pid, number)


def start(
    words: list[str],
    cwd: Path,
    program: str = "train.py",
    *,
    xla: bool = False,
    outputs: tuple[Path, Path] | None = None,
    **environ: str,
) -> Command:
    """Starts `program words` in directory `cwd`.

    The program is a file, from the project's own directory, or a module as of `python -m`. With
    `xla` its updates are compiled as a user's are. `outputs` are the files that hold what it writes
    to stdout and stderr, if not one in `cwd` is to hold both. `environ` is added to its environment
    variables; what PYTHONPATH names is searched first, and NOT_INSTALLED=a,b makes it believe that
    modules a and b are not. Processes that a benchmark starts are forked from it.
    """
    output, errors = outputs or [Path(cwd) / f".output-{time.monotonic_ns()}"] * 2
    output.touch()
    request = {
        "program": program,
        "words": [str(word) for word in words],
        "cwd": str(cwd),
        "output": str(output),
        "errors": str(errors),
        "xla": xla,
        "environ": environ,
    }
    server = _server()
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return Command(int(server.stdout.readline()), output)


def run(
    words: list[str], cwd: Path, program: str = "train.py", *, xla: bool = False, **environ: str
) -> tuple[int, str]:
    """Runs `program words` to its end: exit status, and all that it wrote."""
    command = start(words, cwd, program, xla=xla, **environ)
    return command.wait(), command.text


def complete(
    words: list[str], cwd: Path, program: str, **environ: str
) -> subprocess.CompletedProcess:
    """Runs `program words` to its end; what it wrote to stdout and stderr is kept apart."""
    with tempfile.TemporaryDirectory(prefix="dqn_tf-") as aside:
        outputs = Path(aside) / "stdout", Path(aside) / "stderr"
        status = start(words, cwd, program, outputs=outputs, **environ).wait(2 * PATIENCE)
        texts = [path.read_text(encoding="utf-8") for path in outputs]
    return subprocess.CompletedProcess([program, *words], status, *texts)


def refusal(words: list[str], cwd: Path, program: str = "train.py", **environ: str) -> str:
    """The sentence of a command that must end with status 1 and that one line of error, without a
    traceback.
    """
    status, text = run(words, cwd, program, **environ)
    assert status == 1, text
    assert "Traceback" not in text, text
    *_, last = text.strip().splitlines()
    assert last.startswith("error: ") and text.count("error: ") == 1, text
    return last


def interpreter(
    *words: str, cwd: Path, patience: float = PATIENCE, **environ: str
) -> subprocess.CompletedProcess:
    """A Python interpreter of its own, for what a forked child cannot show."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env=_environment() | environ,
        text=True,
        capture_output=True,
        timeout=patience,
        check=False,
    )


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), str(SUPPORT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


_running: list[subprocess.Popen] = []


def _server() -> subprocess.Popen:
    if not _running:
        server = subprocess.Popen(
            [sys.executable, __file__],
            env=_environment(),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        atexit.register(server.terminate)
        _running.append(server)
    return _running[0]


def _serve() -> None:
    import importlib

    from dqn_tf.support import tensorflow_loading

    with tensorflow_loading.uncollected():
        tensorflow_loading.load_tensorflow()
        for module in PRELOADED:
            importlib.import_module(module)
        _prepare()
    gc.freeze()  # a child looks for garbage in its own objects only

    pending = bytearray()
    children: dict[int, tuple[int, str]] = {}  # process descriptor: process id, output
    while True:
        ready, _, _ = select.select([0, *children], [], [])
        for descriptor in set(ready) - {0}:
            pid, output = children.pop(descriptor)
            os.close(descriptor)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            aside = Path(f"{output}.status.tmp")
            aside.write_text(str(status), encoding="ascii")
            aside.rename(f"{output}.status")
        if 0 not in ready:
            continue
        received = os.read(0, 1 << 16)
        if not received:
            return
        pending += received
        while b"\n" in pending:
            line, _, rest = bytes(pending).partition(b"\n")
            pending = bytearray(rest)
            request = json.loads(line)
            pid = os.fork()
            if pid == 0:
                os._exit(_become(request))
            children[os.pidfd_open(pid)] = pid, request["output"]
            os.write(1, f"{pid}\n".encode())


def _prepare() -> None:
    """Has AutoGraph read the loop of updates, as each run would; no operation is executed."""
    import tensorflow as tf

    from dqn_tf.agent.program import UpdateProgram

    tf.autograph.to_graph(UpdateProgram.block, recursive=False)


def _become(request: dict) -> int:
    """The command itself, in the forked child; returns its exit status."""
    with (
        open(request["output"], "a", encoding="utf-8") as output,
        open(request["errors"], "a", encoding="utf-8") as errors,
        open(os.devnull, encoding="ascii") as nothing,
    ):
        for target, file in enumerate((nothing, output, errors)):
            os.dup2(file.fileno(), target)
    os.environ.update(request["environ"])
    sys.path[:0] = filter(None, request["environ"].get("PYTHONPATH", "").split(os.pathsep))
    if not request["xla"]:
        _leave_out_xla()
    for module in filter(None, os.environ.get("NOT_INSTALLED", "").split(",")):
        sys.modules[module] = None
    os.chdir(request["cwd"])
    if request["program"].startswith("benchmarks."):
        forked_processes.fork_children(_status)
    return _status(request["program"], request["words"])


def _status(program: str, words: list[str]) -> int:
    """Runs the program as the main module to its end; returns its exit status."""
    try:
        _execute(program, words)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _leave_out_xla() -> None:
    """Has the engines' programs traced only, in this process."""
    for name in ("dqn_tf.agent.program", "dqn_tf.engines.graph.program"):  # loaded before the fork
        module = sys.modules[name]
        module.compile_loops = functools.partial(_traced, module.compile_loops)


def _traced(compile_loops: Callable, program: Callable, jit_compile: bool) -> Callable:
    return compile_loops(program, False)


def _execute(program: str, words: list[str]) -> None:
    """Runs the program as the main module, with these words behind its name."""
    if program.endswith(".py") or os.path.isabs(program):
        sys.argv = [str(ROOT / program), *words]
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        sys.argv = [program, *words]
        sys.path.insert(0, "")  # as of `python -m`: the working directory
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _serve()
