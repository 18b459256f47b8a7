"""What a search says of its winner: luck and gain as counted by hand, and settings to use."""

import dataclasses
import json
import shlex

import numpy as np
import pytest

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")

from dqn_tf.config import presets  # noqa: E402 (needs optuna)
from dqn_tf.config.dqn_config import DQNConfig  # noqa: E402
from dqn_tf.config.preset import Preset  # noqa: E402
from dqn_tf.evaluation.statistics import difference_interval, iqm  # noqa: E402
from dqn_tf.search import fresh, report, trial_files, winner  # noqa: E402
from dqn_tf.search.trials import Training  # noqa: E402
from dqn_tf.support.digits import return_text  # noqa: E402
from dqn_tf.support.errors import UserError  # noqa: E402
from dqn_tf.training.flags import parse_training_flags  # noqa: E402
from made_up_search import Broke, make_plan, open_study, smooth, work  # noqa: E402


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A finished search: its plan and study, and what its test found."""
    output = tmp_path_factory.mktemp("output")
    words = ("--trials=14", "--seeds=4", "--test_seeds=8", "--range=batch_size=64,128,2000")
    plan = make_plan(*words, f"--output_dir={output}")
    opened = open_study(plan)
    work(plan, opened)
    runs = []

    def test(config, seeds, check):
        runs.append((config.learning_rate, *seeds))
        (seed,) = seeds
        return [smooth(config, seeds, check)[0] - 10 + seed % 5]

    training = Training(test, Broke, lambda: None, lambda said: None)
    parts = fresh.missing(plan, opened)
    fresh.run(parts[:3], opened, training)
    # killed here, it goes on with what is missing
    assert len(fresh.missing(plan, opened)) == len(parts) - 3
    for number in range(2):  # as two processes do
        todo = fresh.missing(plan, opened, number, 2)
        fresh.run(todo, opened, training)
    assert len(runs) == len(set(runs)) == len(parts)
    return plan, opened, list(fresh.results(plan, opened))


def test_the_best_three_and_the_start_are_tested_on_seeds_that_no_trial_has_seen(searched):
    plan, opened, results = searched
    assert not set(plan.seeds) & set(plan.test_seeds)
    assert len(set(plan.seeds)) == 4 and len(set(plan.test_seeds)) == 8
    values = {t.number: t.value for t in opened.trials if t.state.name == "COMPLETE"}
    by_value = sorted(values, key=lambda number: -values[number])[:3]
    assert [one.candidate.number for one in results][:3] == by_value
    assert [one.candidate.is_start for one in results].count(True) == 1
    for one in results:
        assert len(one.scores) == 8
        if one.candidate.number is not None:
            parameters = opened.trials[one.candidate.number].params
            assert one.candidate.config.n_step == parameters["n_step"]
            rate = one.candidate.config.learning_rate
            assert rate == pytest.approx(parameters["learning_rate"], rel=5e-3)
            assert rate == float(f"{rate:.3g}")  # a number that can be typed


def test_shrinkage_and_gain_are_those_counted_by_hand(searched):
    plan, _, results = searched
    for one in results:
        if not one.candidate.seen:
            continue
        # IQM of 4 and of 8 values: without the lowest and the highest quarter
        by_hand = np.sort(one.candidate.seen)[1:3].mean() - np.sort(one.scores)[2:6].mean()
        lost = report.shrinkage(one, plan)
        assert lost.value == pytest.approx(by_hand)
        assert lost.low <= lost.value <= lost.high
    best = report.choose(results)
    assert best.candidate.number is not None
    assert np.sort(best.scores)[2:6].mean() == max(np.sort(r.scores)[2:6].mean() for r in results)
    start = next(one for one in results if one.candidate.is_start)
    gain = np.mean(best.scores - start.scores)
    text = report.text(results, plan)
    if not best.candidate.is_start:
        assert f"search began with: {return_text(gain)} [" in text
    mean_lost = np.mean(
        [report.shrinkage(one, plan).value for one in results if one.candidate.seen]
    )
    assert mean_lost > 0 and f"was {return_text(mean_lost)} too high on average" in text
    lucky = [one._replace(scores=one.scores + 1000) for one in results]
    assert "was no higher than the test" in report.text(lucky, plan)


def test_where_the_best_trial_is_worse_the_start_is_kept(searched, tmp_path):
    plan, _, results = searched
    plan = plan._replace(output_dir=tmp_path)
    start = next(one for one in results if one.candidate.is_start)
    alone = start._replace(candidate=start.candidate._replace(number=None, seen=()))
    trial = next(one for one in results if not one.candidate.is_start)
    worse = trial._replace(scores=start.scores - 5 - np.arange(8) % 3)
    assert report.choose([worse, alone]) is alone
    text = report.text([worse, alone], plan)
    assert "Winner: the start. No trial was better than the settings that the search" in text
    assert winner.command(alone.candidate.config) in text
    report.write([worse, alone], plan)
    written = json.loads((tmp_path / "winner.json").read_text(encoding="utf-8"))
    assert (written["trial"], written["shrinkage"]) == (None, None)
    hardly = trial._replace(scores=start.scores - np.arange(8) % 2 + np.arange(8) % 3)
    assert report.choose([hardly, alone]) is hardly


def test_a_test_that_plays_otherwise_than_the_search_tells_nothing_of_luck(searched):
    plan, _, results = searched
    base = dataclasses.replace(plan.base, test_epsilon=0.05)
    plan = plan._replace(space=dataclasses.replace(plan.space, base=base))
    assert not any(report.shrinkage(one, plan) for one in results)
    text = report.text(results, plan)
    assert "test, 8 fresh seeds, epsilon 0.05" in text and "lucky" not in text


def test_equal_settings_are_tested_once(searched):
    plan, opened, _ = searched
    copied = open_study(plan)
    copied.add_trials(opened.get_trials())
    first = fresh.best(opened)[0]
    for value in (1e6, 1e7):
        again = optuna.trial.create_trial(
            params=first.params,
            distributions=first.distributions,
            value=value,
            user_attrs={fresh.SCORES: [value] * 4},
        )
        copied.add_trial(again)
    own, found = fresh.candidates(plan, opened), fresh.candidates(plan, copied)
    assert [one.config for one in found] == [one.config for one in own]
    assert found[0].number == len(opened.trials) + 1, "the better one of equals"


def test_the_interval_of_a_difference_is_that_of_all_resamples():
    """Of two and two values there are 16 pairs of resamples, each as likely as any other."""
    first, second = np.array([1.0, 5.0]), np.array([0.0, 2.0])
    means = [np.mean([a, b]) for a in first for b in first]
    others = [np.mean([a, b]) for a in second for b in second]
    every = np.sort([a - b for a in means for b in others])
    low, high = difference_interval(first, second, np.mean)
    assert (low, high) == (every[0], every[-1])  # each of them has 1 / 16, above 2.5 %
    generator = np.random.default_rng(1)
    first, second = generator.normal(3, 1, 40), generator.normal(1, 1, 30)
    low, high = difference_interval(first, second, iqm)
    assert 1.2 < low < float(iqm(first) - iqm(second)) < high < 2.8


def test_the_command_and_the_preset_are_the_winner_s_settings(searched):
    plan, _, results = searched
    config = report.choose(results).candidate.config
    preset = report.write(results, plan).read_text(encoding="utf-8")
    summary = json.loads((plan.output_dir / "winner.json").read_text(encoding="utf-8"))
    assert DQNConfig.from_dict(summary["config"]) == config
    assert same(config, of_command(summary["command"]))
    (entry,) = eval(f"{{{preset}}}", {"Preset": Preset}).values()
    assert "as the IQM of 8 runs" in entry.claim
    assert same(config, of_preset(config.env, entry))


@pytest.mark.parametrize(
    "config",
    [
        DQNConfig(env="CartPole-v1", engine="graph"),  # the preset has much to be undone
        DQNConfig(env="LunarLander-v3", distribution="quantile", hidden_units=(64,), n_step=5),
        presets.configure("Acrobot-v1", {"double": False, "env_kwargs": {"a": 'b "c"'}}),
    ],
)
def test_any_settings_are_typed_so_that_train_py_has_them(config):
    assert same(config, of_command(winner.command(config)))
    claim = 'said "so" \\ here'
    (entry,) = eval(f"{{{winner.snippet(config, claim)}}}", {"Preset": Preset}).values()
    assert entry.claim == claim
    assert same(config, of_preset(config.env, entry))


def of_preset(env, preset):
    """The settings of a run that has all of the preset."""
    values = preset.plain | preset.recommended
    return dataclasses.replace(DQNConfig(env=env), **values)


def of_command(command):
    """The settings that train.py has with this command."""
    _, script, *words = shlex.split(command)
    overrides = parse_training_flags([script, *words]).overrides
    return presets.configure(overrides["env"], overrides)


def same(config, other):
    """Whether a run learns the same with both: a rate that ends where it begins is constant."""
    values = winner.differing(config, other)
    values.pop("engine", None)  # a preset leaves it to the run
    if values.get("learning_rate_end", 0) is None:
        values.pop("learning_rate_end")
        assert other.learning_rate_end == config.learning_rate
    return not values


def test_the_table_has_every_trial(searched):
    plan, opened, _ = searched
    lines = trial_files.write_table(plan, opened).read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(opened.trials) + 1
    refused = [line for line in lines if ",refused," in line]
    assert refused and all("the first update needs a full batch" in line for line in refused)
    header = lines[0].split(",")
    assert header[:3] == ["trial", "state", "value"] and header[-3:] == [
        one.name for one in plan.space.dimensions
    ]
    first = dict(zip(header, lines[1].split(","), strict=True))
    assert float(first["learning_rate"]) == plan.base.learning_rate


def test_history_and_importances_are_drawn(searched):
    plan, opened, _ = searched
    assert trial_files.draw(plan, opened) == []
    for name in (trial_files.HISTORY, trial_files.IMPORTANCES):
        assert (plan.output_dir / name).read_bytes().startswith(b"\x89PNG")
    few = make_plan("--trials=1", f"--output_dir={plan.output_dir}")
    (sentence,) = trial_files.draw(few, open_study(few))
    assert "needs 4 complete trials" in sentence


def test_broken_learning_in_the_test_is_no_winner(searched):
    plan, _, results = searched
    broken = [one._replace(broke="Learning broke.") for one in results]
    assert report.choose(broken) is None
    assert "no winner" in report.text(broken, plan)
    assert issubclass(Broke, UserError)
