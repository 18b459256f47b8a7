"""benchmarks.driving: what is counted, who drives, a tiny run of each system, and the table."""

import os

import pytest

from benchmarks.common.flags import DOCS, RESULTS
from benchmarks.common.processes import ask_elsewhere
from benchmarks.common.records import append
from benchmarks.driving import __main__ as command
from benchmarks.driving import drives, page, records
from benchmarks.driving.experiments import BY_NAME, SB3, SB3_PYTHON, configure
from dqn_tf.config import seeding
from dqn_tf.evaluation.episodes import DEFAULT_SEED
from dqn_tf.support.errors import UserError

TINY = {"total_steps": 300, "warmup_env_steps": 64, "batch_size": 8, "hidden_units": (8,)}


def order(name):
    """What a worker would be told, of a run that is soon over."""
    experiment = BY_NAME[name]
    config = configure(experiment, 3, TINY)
    seeds = seeding.episode_seeds(DEFAULT_SEED, seeding.TEST, 2)
    return {"system": experiment.system, "config": config.to_dict(), "episode_seeds": seeds}


def result(score, whole):
    """What a run would return."""
    costs = {"episodes": 100, "seconds": 2.0, "cpu_seconds": 1.0, "updates": 9, "env_steps": 90}
    return {"score": score, "whole": whole, "versions": "highway-env 1.10", **costs}


def test_drives_that_last_are_whole():
    found = drives.scores([20.0, 4.0, 6.0, 22.0], [30, 5, 9, 30])
    assert found == {"score": 13.0, "whole": 0.5, "episodes": 4}


def test_stable_baselines3_is_left_out_without_its_interpreter(monkeypatch):
    for python, most in (("", 2), ("/opt/sb3/bin/python", 3)):
        monkeypatch.setenv(SB3_PYTHON, python)
        jobs = list(command.FAMILY.jobs(command.parse(["driving", "--seeds=1"])))
        assert len(jobs) == most
        # all are told the same work, but for the block
        works = [job.order["config"] | {"updates_per_block": 0} for job in jobs]
        assert all(work == works[0] for work in works)
        assert all(len(job.order["episode_seeds"]) == 100 for job in jobs)
    monkeypatch.delenv(SB3_PYTHON)
    with pytest.raises(UserError, match="SB3_PYTHON is not set: name the interpreter"):
        ask_elsewhere("benchmarks.driving.sb3_worker", SB3_PYTHON, {})


def test_a_car_learns_and_is_scored():
    pytest.importorskip("highway_env", reason="highway-env is not installed")
    from benchmarks.driving import run_one

    done = run_one.run(order("blocks_of_1"))
    assert done["env_steps"] == 300 and done["updates"] == 300 - 64
    assert 0 < done["score"] < 30 and done["whole"] in (0.0, 0.5, 1.0)


@pytest.mark.skipif(not os.environ.get(SB3_PYTHON), reason=f"{SB3_PYTHON} is not set")
def test_stable_baselines3_does_the_same_work():
    done = ask_elsewhere("benchmarks.driving.sb3_worker", SB3_PYTHON, order(SB3))
    assert done["env_steps"] == 300 and abs(done["updates"] - (300 - 64)) <= 1
    assert 0 < done["score"] < 30 and "stable-baselines3" in done["versions"]


def test_the_table_compares_seed_by_seed(tmp_path):
    for name, scores in (("blocks_of_1", (22.0, 20.0, 21.0)), ("blocks_of_16", (17.0, 16.0))):
        for seed, score in enumerate(scores, 1):
            config = configure(BY_NAME[name], seed, {})
            append(tmp_path / records.FILE, records.row(name, config, result(score, 0.5)))
    text = page.render(tmp_path)
    assert "| dqn_tf, blocks of 16 updates | 16.50 [16.00, 17.00] | 16.00 | 0.50" in text
    assert (
        "dqn_tf, blocks of 16 updates less dqn_tf, `--updates_per_block=1`, seed by seed: -4.50"
        " [-5.00, -4.00] over 2 seeds." in text
    )
    assert "Stable-Baselines3" not in text


def test_the_page_is_what_the_records_say():
    text = (DOCS / "uses.md").read_text(encoding="utf-8")
    shown = text.partition(page.BEGIN)[2].partition(page.END)[0]
    expected = page.render(RESULTS / "driving").strip()
    assert shown.strip() == expected, "python -m benchmarks.driving --render_only"
