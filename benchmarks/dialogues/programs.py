"""Programs of the checkout, each on one thread."""

import subprocess
import sys

from benchmarks.common.processes import ROOT, environment, last_line
from dqn_tf.support.errors import UserError

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def run_program(program: str, *words: str) -> None:
    """Run a program of the checkout on one thread. Raises UserError if it fails."""
    done = subprocess.run(
        [sys.executable, str(ROOT / program), *words],
        capture_output=True,
        text=True,
        env=environment(dict.fromkeys(THREADS, "1")),
        check=False,
    )
    if done.returncode:
        raise UserError(f"{program} failed: {last_line(done.stderr)}")
