"""Exports that evaluate.py plays, made once a process."""

import json
from pathlib import Path

import pytest

import noise_environment
from sample_agents import export_untrained

noise_environment.register()


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A directory of exports, one base directory an environment.

    CartPole has two versions, and `run` is a run directory that names the first.
    """
    base = tmp_path_factory.mktemp("saved_models")
    for env in ("Noise-v0", "Noise-image-v0"):
        export_untrained(env, base / env)
    first, _ = export_untrained("CartPole-v1", base / "CartPole-v1")
    export_untrained("CartPole-v1", base / "CartPole-v1", seed=3)
    (base / "run").mkdir()
    (base / "run" / "evaluation.json").write_text(json.dumps({"export": str(first)}))
    return base
