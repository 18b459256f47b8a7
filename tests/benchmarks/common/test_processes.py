"""benchmarks.common.processes: orders to a program, its answers, and its ends."""

import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks.common import machine
from benchmarks.common.processes import ROOT, Child
from dqn_tf.support.errors import UserError

PROGRAM = """
import os, sys, time
from benchmarks.common.processes import Orders
from dqn_tf.support.errors import UserError

def carry_out(order):
    print("a library speaks", flush=True)
    if "exit" in order:
        print("the reason", file=sys.stderr)
        sys.exit(order["exit"])
    if "error" in order:
        raise UserError(order["error"])
    time.sleep(order.get("sleep", 0))
    return order | {"argument": sys.argv[1], "variable": os.environ["VARIABLE"]}

Orders().carry_out(carry_out)
sys.exit(int(sys.argv[1] == "ends badly"))
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A function that starts PROGRAM with one argument."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda argument="word": Child("program", argument, variables={"VARIABLE": "set"})


def test_orders_are_answered_one_after_the_other(start):
    with start() as child:
        for number in range(3):
            answer = {"number": number, "argument": "word", "variable": "set"}
            assert child.ask({"number": number}) == answer
        child.send({"number": 3})
        child.send({"number": 4})
        assert [child.receive(20)["number"] for _ in range(2)] == [3, 4]
        child.finish()
    assert child.process.returncode == 0


def test_a_user_error_is_an_answer(start):
    with start() as child:
        assert child.ask({"error": "--env=What: no."}) == {"error": "--env=What: no."}
        assert child.ask({"number": 1})["number"] == 1


def test_an_end_is_a_sentence_with_the_last_line_of_stderr(start):
    with start() as child:
        with pytest.raises(UserError, match="program ended with status 3: the reason"):
            child.ask({"exit": 3})
        with pytest.raises(UserError, match="program ended with status 3"):
            child.ask({"number": 1})
    with start("ends badly") as child:
        child.ask({})
        with pytest.raises(UserError, match="program ended with status 1: a library speaks"):
            child.finish()


def test_silence_is_an_error_and_stop_ends_whatever_runs(start):
    began = time.monotonic()
    with start() as child:
        child.ask({})
        with pytest.raises(UserError, match="program gave no answer for 0 s"):
            child.ask({"sleep": 200}, seconds=0.1)
    assert child.process.returncode == -15 and time.monotonic() - began < 60


@pytest.mark.skipif(machine.cores() < 2, reason="one core is the same as any")
def test_a_pinned_program_keeps_to_its_cores(tmp_path, monkeypatch):
    (tmp_path / "pinned.py").write_text(
        "from benchmarks.common import machine\nprint(machine.cores())\n", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = machine.cores()
    with Child("pinned", cpus=frozenset([0])) as child:
        assert child.line(60) == "1"
    assert machine.cores() == before


def test_peak_memory_is_this_processs_own():
    """What a parent held is not counted: Linux hands `ru_maxrss` down."""
    block = np.ones(100 * 2**20, np.uint8)
    program = "from benchmarks.common import machine; print(machine.peak_rss_mib())"
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 1 < float(process.stdout) < 100 < len(block) / 2**20 + 1 < machine.peak_rss_mib()
