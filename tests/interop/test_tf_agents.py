"""TF-Agents needs Keras 2, and which Keras a process uses is settled before its first import:

tf_agents_checks.py runs in one of its own.
"""

import importlib
import importlib.util
import re

import pytest
import tensorflow as tf

from command_server import ROOT, SUPPORT, interpreter, refusal
from dqn_tf import interop
from dqn_tf.support.errors import UserError

needs_tf_agents = pytest.mark.skipif(
    importlib.util.find_spec("tf_agents") is None or importlib.util.find_spec("tf_keras") is None,
    reason=(
        "TF-Agents is not installed: there is none for Python 3.12 and newer; on 3.11, pip install"
        " -e '.[tf-agents]'"
    ),
)


def pretend_installed(monkeypatch, installed: dict[str, bool]) -> None:
    """Which modules Python thinks it can find; TensorFlow asks about others."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: (
            (find("json") if installed[name] else None) if name in installed else find(name, *rest)
        ),
    )


@needs_tf_agents
def test_the_checks_pass_under_keras_2():
    done = interpreter(
        "-m",
        "pytest",
        "-n0",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        SUPPORT / "tf_agents_checks.py",
        cwd=ROOT,
        TF_USE_LEGACY_KERAS="1",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # none skipped
    assert re.fullmatch(
        r"\d\d passed(, \d+ warnings?)? in .*", done.stdout.strip().splitlines()[-1]
    ), done.stdout


@needs_tf_agents
def test_without_the_variable_the_mend_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    with pytest.raises(UserError, match="Keras 3.*TF_USE_LEGACY_KERAS=1 python"):
        importlib.import_module("dqn_tf.interop.tf_agents")
    sentence = refusal([], tmp_path, "benchmarks.parity", TF_USE_LEGACY_KERAS="0")
    assert "TF_USE_LEGACY_KERAS=1 python" in sentence


def test_the_variable_set_too_late_is_no_help(monkeypatch):
    """This process has Keras 3 from its first look at tf.keras on."""
    assert not tf.keras.Model.__module__.startswith("tf_keras")
    pretend_installed(monkeypatch, {"tf_agents": True, "tf_keras": True})
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    with pytest.raises(UserError, match="before Python starts"):
        interop.load_tf_agents()


@pytest.mark.parametrize(
    "missing, named",
    [
        (["tf_agents"], "^tf-agents must"),
        (["tf_keras"], "^tf-keras must"),
        (["tf_agents", "tf_keras"], "^tf-agents and tf-keras must"),
    ],
    ids=str,
)
def test_without_the_packages_the_extra_is_named(monkeypatch, missing, named):
    pretend_installed(
        monkeypatch, {name: name not in missing for name in ("tf_agents", "tf_keras")}
    )
    with pytest.raises(UserError, match=named + r".*\.\[tf-agents\]"):
        interop.load_tf_agents()
