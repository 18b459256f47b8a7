"""Processes that share a search: how the end of one is told, and who their parent is."""

import os
import sys

import pytest

from dqn_tf.search import processes
from dqn_tf.support.errors import UserError


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL, as the system does where"),
        ("import sys; sys.exit(1)", "ended with status 1; what it said stands above"),
    ],
)
def test_the_first_that_fails_is_told_and_not_those_that_are_ended_then(
    code, sentence, monkeypatch, tmp_path
):
    parent = f"import os; assert os.environ[{processes.PARENT!r}] == '{os.getpid()}'\n"
    waits = "import sys, time\nif '0/2' in sys.argv[-1]: time.sleep(100)\n"
    script = tmp_path / "search.py"
    script.write_text(f"{parent}{waits}{code}\n", encoding="utf-8")
    start = processes.subprocess.Popen
    monkeypatch.setattr(
        processes.subprocess,
        "Popen",
        lambda words, **more: start([sys.executable, str(script), *words[3:]], **more),
    )
    with pytest.raises(UserError, match=sentence):
        processes.run([], ["trials:0/2", "trials:1/2"], lambda: None)
