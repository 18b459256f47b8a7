"""Collectors: the local one, and those of a user's own, from the command line to the export."""

import contextlib

import numpy as np
import pytest

import oracles
from command_server import refusal, run
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.experience.collector import LocalCollector
from dqn_tf.support.errors import UserError
from dqn_tf.support.imports import import_named
from dqn_tf.training import trainer
from small_runs import report, resume_run, signal_at, small_run


class Constant:
    """A q-function that prefers action 1, and remembers the weights it was given."""

    def __init__(self):
        self.weights = []

    def q_values(self, observation, generator=None):
        return np.tile([0.0, 1.0], (len(observation), 1))

    def greedy_action(self, observation, mask=None, generator=None):
        return np.ones(len(observation), np.int64)

    def refresh(self, weights=None):
        self.weights.append(weights)


def make_local(seed=3, **overrides):
    config = oracles.make_config(env="CartPole-v1", num_envs=2, seed=seed, **overrides)
    generator = np.random.default_rng(0)
    return LocalCollector(config, registry.maker(config), Constant(), generator)


def test_a_block_is_a_function_of_seeds_draws_and_running_episodes():
    one, other = (
        make_local(updates_per_block=80, total_steps=500),
        make_local(updates_per_block=80, total_steps=500),
    )
    epsilon = np.full((40, 2), 0.7)
    first = one.collect(40, epsilon)
    assert first.env_ended.any() and 0 < first.action.mean() < 1
    for name, column in vars(other.collect(40, epsilon)).items():
        np.testing.assert_array_equal(column, getattr(first, name))
    assert not np.array_equal(
        make_local(4).collect(5, epsilon[:5]).observation, first.observation[:5]
    )


def test_a_restored_collector_goes_on_as_the_first():
    one, other = (
        make_local(updates_per_block=80, total_steps=500),
        make_local(updates_per_block=80, total_steps=500),
    )
    one.collect(40, np.full((40, 2), 0.5))
    values, arrays = one.state()
    assert other.restore(values, {name: array.copy() for name, array in arrays.items()}) == []
    other._generator.bit_generator.state = one._generator.bit_generator.state
    ahead = one.collect(20, np.full((20, 2), 0.5))
    for name, column in vars(other.collect(20, np.full((20, 2), 0.5))).items():
        np.testing.assert_array_equal(column, getattr(ahead, name))


def test_greedy_without_exploration_and_the_weights_are_handed_on():
    collector = make_local()
    assert (collector.collect(6, np.zeros((6, 2))).action == 1).all()
    collector.refresh(np.arange(3.0))
    np.testing.assert_array_equal(collector._q_function.weights[-1], [0.0, 1.0, 2.0])


# --- of a user's own --------------------------------------------------------------------------


def test_recording_changes_nothing_and_is_cut_at_a_resume(tmp_path):
    """Trained, stopped, resumed and exported, with every step in the file once."""
    path = tmp_path / "steps.txt"
    recorded = {"RECORDED_STEPS": str(path)}
    own = {"collector": "own_collector:Recording", "num_envs": 2}
    plain, whole, cut = (tmp_path / name for name in ("plain", "whole", "cut"))
    for directory, flags in ((plain, {"num_envs": 2}), (whole, own)):
        directory.mkdir()
        status, text = run(small_run(directory, **flags), directory, **recorded)
        assert status == 0, text
    assert report(whole)["weights_sha256"] == report(plain)["weights_sha256"]
    assert list((whole / "export").glob("*/saved_model.pb"))
    lines = path.read_text().splitlines()
    assert len(lines) == report(whole)["env_steps"] >= 400
    assert {line.split()[0] for line in lines} == {"0", "1"}
    assert sum(float(line.split()[2]) for line in lines) > 0

    path.unlink()
    cut.mkdir()
    status, text = run(small_run(cut, **own), cut, **recorded, **signal_at("training", 250))
    assert status == 143, text
    with path.open("a") as file:
        file.write("a line that no checkpoint knows of\n")
    status, text = run(resume_run(cut), cut, **recorded)
    assert status == 0, text
    assert report(cut)["weights_sha256"] == report(whole)["weights_sha256"]
    assert path.read_text().splitlines() == lines


def test_one_from_scratch_trains_resumes_exports_and_is_evaluated(tmp_path, evaluate_py):
    """It learns the corridor's way, and says at a resume that its episodes began anew."""
    flags = {
        "collector": "own_collector:LastFirst",
        "num_envs": 3,
        "env": "CartPole-v1",
        "replay_capacity": 2_000,
        "test_episodes": 5,
    }
    status, text = run(small_run(tmp_path, **flags), tmp_path)
    assert status == 0, text
    first = report(tmp_path)
    status, text = run(resume_run(tmp_path, total_steps=800), tmp_path)
    assert status == 0, text
    assert "warning: environment 0 did not repeat its running episode" in text
    assert report(tmp_path)["env_steps"] >= 800 > first["env_steps"]
    assert len(list((tmp_path / "export").glob("*/saved_model.pb"))) == 2
    assert "5 episodes" in evaluate_py(f"--model={tmp_path / 'export'}", "--episodes=5")


def test_one_from_scratch_learns_q_star():
    """On the two states of the pendulum, each episode cut after one step."""
    oracles.check_truncation_bootstraps(collector="own_collector:LastFirst")


# --- what can be wrong ------------------------------------------------------------------------


def test_a_state_with_a_name_of_the_runs_own_is_refused():
    config = oracles.make_config(collector="own_collector:Clashing")
    agent = oracles.make_agent(config, registry.spaces(config))
    engine = oracles.make_engine(config, registry.maker(config), agent)
    with pytest.raises(UserError, match=r"Clashing: its state has the name 'updates', which is"):
        engine.state()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing", "--collector=nothing: must be local or my_module:MyCollector"),
        ("no_module:Mine", "--collector=no_module:Mine: no module named 'no_module' can be"),
        ("own_collector:Mine", "--collector=own_collector:Mine: own_collector has nothing named"),
    ],
)
def test_a_name_that_leads_nowhere_is_refusal(name, sentence, tmp_path):
    assert sentence in refusal(small_run(tmp_path, collector=name), tmp_path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Lost", "raised ConnectionError: no simulator"),
        ("Deep", r"raised ValueError: reward has shape \[\d+, 1, 1\], not \[\d+, 1\]"),
    ],
)
def test_what_fails_while_it_collects_is_named(name, sentence):
    config = oracles.make_config(collector=f"own_collector:{name}", total_steps=50)
    (run,) = trainer.make_runs([config])
    with (
        contextlib.closing(run),
        pytest.raises(UserError, match=f"^--collector=own_collector:{name} {sentence}"),
    ):
        run.engine.run_block()


def test_one_that_cannot_be_made_is_a_sentence(tmp_path):
    sentence = refusal(small_run(tmp_path, collector="own_collector:broken"), tmp_path)
    assert "--collector=own_collector:broken raised RuntimeError: no such" in sentence


def test_the_graph_engine_has_none():
    with pytest.raises(UserError, match="--collector=a:B collects for --engine=host"):
        DQNConfig(engine="graph", collector="a:B")


def test_a_module_that_breaks_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "breaking_module.py").write_text("import not_there_at_all")
    (tmp_path / "dividing_module.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--network=breaking_module:A: no module named 'not_there"):
        import_named("network", "breaking_module:A")
    with pytest.raises(UserError, match="importing dividing_module failed: ZeroDivisionError"):
        import_named("network", "dividing_module:A")
    (tmp_path / "leaving_module.py").write_text("import sys; sys.exit(0)")
    with pytest.raises(UserError, match="importing leaving_module failed: SystemExit"):
        import_named("network", "leaving_module:A")
