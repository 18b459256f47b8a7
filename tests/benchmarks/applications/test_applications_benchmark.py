"""benchmarks.applications: its runs, what it learns from labels, and the arithmetic of its page."""

import contextlib
import re

import numpy as np
import pytest

from benchmark_helpers import ROOT, help_without
from benchmarks.applications import __main__ as command
from benchmarks.applications import experiments, page, records, run_one, scoring, yardsticks
from benchmarks.applications.experiments import BY_NAME, EXPERIMENTS, Q_VALUES, SPLITS
from benchmarks.common import experiments_command
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append, read
from dqn_tf.envs.applications import helpdesk, home_text, news_alert, title_rec
from dqn_tf.support.errors import UserError

RESULT = {
    "train": 0.9,
    "validation": -0.1,
    "test": -0.2,
    "train_success": None,
    "validation_success": None,
    "test_success": None,
    "seconds": 20.0,
    "cpu_seconds": 10.0,
    "updates": 9,
    "env_steps": 90,
}


@pytest.fixture(autouse=True)
def fewer_episodes(monkeypatch):
    monkeypatch.setattr(scoring, "STREAMS", 100)
    monkeypatch.setattr(scoring, "VISITS", 2)


def row(name="helpdesk", seed=1, **values) -> records.Row:
    """A run as the command would record it."""
    config = experiments.configure(BY_NAME[name], seed, {})
    return records.row(name, config, RESULT)._replace(**values)


def test_help_and_mistakes_come_without_tensorflow():
    assert "helpdesk_cloning" in help_without("applications", "tensorflow", "keras", "scipy")
    for words, sentence in (
        (["--env=CartPole-v1"], "--env is for train.py"),
        (["--experiments=chat"], "'chat' is none of"),
        (["--gamma=2"], "--gamma"),
    ):
        with pytest.raises(UserError, match=sentence):
            command.parse(["applications", *words])


def test_each_application_has_all_its_rows():
    for env in (helpdesk, news_alert, title_rec, home_text):
        own = [each for each in EXPERIMENTS if each.env == env.ENV_ID]
        assert own[0].aim is not None and own[0].settings == {}, "the preset as it is"
        assert {each.learns for each in own} >= {Q_VALUES, experiments.LOGGED, experiments.RIGHT}
    assert all(not set(each.seeds) & {100, 101, 102} for each in EXPERIMENTS)


def test_a_bag_of_words_learns_half_of_the_quests_and_no_more():
    """In a fraction of the preset's steps; words that it never saw it cannot read at all."""
    settings = {"total_steps": 6_000, "env_steps_per_update": 5.0, "epsilon_decay_env_steps": 3_000}
    result = run_one.run(experiments.configure(BY_NAME["home_bag"], 100, settings), Q_VALUES)
    assert result["env_steps"] >= 6_000 and result["updates"] >= 1_000
    assert 0.4 < result["train_success"] <= 0.5 and result["train"] <= 0.495 + 1e-9
    for split in SPLITS[1:]:
        assert -2.21 <= result[split] < 0.495 and 0 <= result[f"{split}_success"] <= 0.5


def test_a_classifier_that_is_told_learns_the_training_wordings(monkeypatch):
    monkeypatch.setattr(run_one.supervised.logged_play, "CORPUS_EPISODES", 500)
    settings = {"hidden_units": (64,), "offline_updates": 150}
    config = experiments.configure(BY_NAME["helpdesk_right"], 100, settings)
    result = run_one.run(config, experiments.RIGHT)
    assert 0.6 < result["train"] <= 0.9075 + 1e-9 and result["test"] < result["train"]
    assert result["updates"] == 150


def test_texts_of_news_are_classified_one_by_one():
    settings = {"network": "bag_of_words", "replay_unit": "transition", "offline_updates": 60}
    settings |= {"keep_bias": 0.0}
    config = experiments.configure(BY_NAME["news_meaning"], 100, settings)
    env = run_one.make_env(config)
    scored = scoring.score(run_one.supervised.meanings(config, env), env)
    assert scored.mean == pytest.approx(env.optimal_return()), "each training text is known"


def test_yardsticks():
    found = yardsticks.yardsticks()
    best = [next(iter(found[env.ENV_ID])) for env in (helpdesk, news_alert, title_rec, home_text)]
    np.testing.assert_allclose([each.mean for each in best], [0.9075, 0.467, 2.94, 0.99], atol=5e-3)
    assert [each.success for each in found[home_text.ENV_ID]][:2] == [1.0, 0.5]


def test_a_run_that_is_recorded_is_not_done_again(tmp_path, monkeypatch):
    orders = []

    @contextlib.contextmanager
    def worker_of(family):
        yield lambda order: orders.append(order) or RESULT

    monkeypatch.setattr(experiments_command, "worker_of", worker_of)
    words = [f"--results_dir={tmp_path}", f"--page={tmp_path / 'page.md'}"]
    words += ["--experiments=helpdesk,helpdesk_right", "--seeds=1,2"]
    for _ in range(2):
        command.main(command.parse(["applications", *words]))
    assert [order["learns"] for order in orders] == ["q_values", "right_actions"] * 2
    rows = read(tmp_path / records.FILE, records.Row)
    assert [each.seed for each in rows] == [1, 1, 2, 2], "a seed of all before the next seed"
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| DQN | 0.900 [0.900, 0.900] | -0.100" in text and "so far 2 of 5 seeds" in text


def test_the_page_says_what_is_missed(tmp_path):
    for each in (
        row(seed=1, train=0.9),
        row(seed=2, train=0.1),
        row(seed=2, train=0.8),
        row(seed=100, train=0.0),
        row("news", train=0.45, cpu_seconds=400.0),
        row("home", train=0.9, train_success=0.97, validation_success=0.1, test_success=0.2),
        row("home_cloning", train_success=1.0, validation_success=0.1, test_success=0.2),
        row("title")._replace(config_hash="another"),
    ):
        append(tmp_path / records.FILE, each)
    text = page.render(tmp_path)
    assert re.search(r"at least 0.87 on training wordings \*\*missed\*\*, 0.850 \[0.8", text)
    assert re.search(r"at least 0.44 .* \*\*met\*\*, 0.450 .* \*\*missed\*\*, 400", text)
    assert re.search(r"success of at least 98.0% .* \*\*missed\*\*, 97.0%, the least 97.0%", text)
    assert "| optimum | 0.907 | 0.907 | 0.907 | exact |" in text
    assert "3 further rows" in text and "`python train.py --env=dqn_tf/Helpdesk-v0" in text
    assert page.render(tmp_path / "nothing") == "Not measured yet.\n"


def test_the_page_in_the_project_is_what_its_records_give():
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    between = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert between == f"\n{page.render(RESULTS / 'applications')}\n", (
        "python -m benchmarks.applications --render_only"
    )
