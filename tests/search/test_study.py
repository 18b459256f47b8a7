"""A study of dqn-search: pruning, repetition, resuming, stale trials and several workers.

Scores are made up here, so that what must happen can be counted; test_search_command.py trains.
"""

import inspect
import itertools
import json
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")

from dqn_tf.search import owners, storage, study, trials  # noqa: E402 (needs optuna)
from dqn_tf.support.errors import UserError  # noqa: E402
from made_up_search import Broke, make_plan, open_study, smooth, work  # noqa: E402

COMPLETE, PRUNED, FAIL, RUNNING, WAITING = (
    getattr(optuna.trial.TrialState, name)
    for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING")
)


def proposals(opened):
    """What the trials that have not failed tried, in order."""
    return [trial.params for trial in opened.trials if trial.state != FAIL]


def lower_by_luck(differences):
    """The exact one-sided p of the signed-rank test: how many of all signs are as low."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1  # no ties
    observed = ranks[np.array(differences) > 0].sum()
    signs = itertools.product((0, 1), repeat=len(differences))
    sums = [(ranks * np.array(row)).sum() for row in signs]
    return np.mean([value <= observed for value in sums])


def runs_by_hand(table, level):
    """How many seeds each trial runs, and which is the best, if it must stop by that test."""
    counts, best, value = [], None, -np.inf
    for row in table:
        count = len(row)
        for seeds in range(2, len(row)):
            if best is None:
                break
            p = lower_by_luck(row[:seeds] - best[:seeds])
            if p < level and row[:seeds].mean() < best.mean():
                count = seeds
                break
        counts.append(count)
        trimmed = np.sort(row)[len(row) // 4 : len(row) - len(row) // 4]
        if count == len(row) and trimmed.mean() > value:
            best, value = row, trimmed.mean()
    return counts


@pytest.mark.parametrize("level", [0.3, 0.1])
def test_bad_trials_stop_where_an_exact_test_by_hand_stops_them(level):
    table = np.random.default_rng(3).normal(size=(16, 5)) * 20 + np.linspace(0, 10, 16)[:, None]
    plan = make_plan(f"--trials={len(table)}", "--seeds=5", f"--prune_p={level}")
    opened = open_study(plan)

    def score(config, seeds, check):
        number = opened.trials[-1].number
        return [table[number][plan.seeds.index(seed)] for seed in seeds]

    work(plan, opened, score)
    counts = [len(trial.intermediate_values) for trial in opened.trials]
    expected = runs_by_hand(table, level)
    assert counts == expected
    assert (2 in counts) == (level > 0.25)  # two pairs have p = 1/4 at least
    for trial, row, count in zip(opened.trials, table, counts, strict=True):
        assert trial.state == (COMPLETE if count == 5 else PRUNED)
        if count == 5:  # the IQM of five: without the lowest and the highest
            assert trial.value == pytest.approx(np.sort(row)[1:4].mean())


def test_one_seed_repeats_the_same_search_and_another_does_not():
    tried = []
    for seed in (5, 5, 6):
        plan = make_plan("--trials=16", "--seeds=2", f"--seed={seed}")
        opened = open_study(plan)
        work(plan, opened)
        tried.append(proposals(opened))
    assert tried[0] == tried[1]
    assert tried[0][1:] != tried[2][1:]
    assert len({values["learning_rate"] for values in tried[0]}) == 16
    # the first trial is the preset
    assert tried[0][0] == {"learning_rate": plan.base.learning_rate, "n_step": plan.base.n_step}


def test_two_processes_never_draw_the_same_and_what_one_lost_is_drawn_again():
    plan = make_plan("--trials=9", "--seeds=1")
    alone = open_study(plan)
    drawn = [plan.space.propose(alone.ask()) for _ in range(6)]
    storage_of_all = optuna.storages.InMemoryStorage()
    opened, other = open_study(plan, storage_of_all), open_study(plan, storage_of_all)
    for _ in range(3):
        plan.space.propose(opened.ask())
    lost, going_on = opened.ask(), other.ask()
    assert [plan.space.propose(one) for one in (lost, going_on)] == drawn[3:5]
    opened.tell(lost, state=FAIL)
    anew, last = opened.ask(), other.ask()
    assert [plan.space.propose(one) for one in (anew, last)] == [drawn[3], drawn[5]]
    opened.tell(anew, state=FAIL)
    other.tell(going_on, state=FAIL)
    both = [plan.space.propose(one.ask()) for one in (other, opened)]
    assert both == drawn[3:5], "the first that is free"


def test_optuna_4_and_5_begin_alike_and_are_told_the_same():
    """The numbers below are those of Optuna 4.5 and of 5.0; later trials differ, see the docs."""
    plan = make_plan("--trials=10", "--seeds=1")
    opened = open_study(plan)
    work(plan, opened)
    tried = [(trial.params["learning_rate"], trial.params["n_step"]) for trial in opened.trials]
    random = [0.0083113, 0.000489714, 0.000273855, 0.000261834, 0.000190421, 0.000385683]
    later = [1.4017e-05, 0.000981271, 0.001331122]
    rates = [1e-2, *random, *later]
    assert [pytest.approx(rate, rel=1e-4) for rate, _ in tried] == rates
    assert [steps for _, steps in tried] == [3, 4, 1, 10, 2, 4, 4, 9, 2, 2]
    # what is not the same by default in both is given
    arguments = inspect.signature(optuna.samplers.TPESampler.__init__).parameters
    given = {"n_startup_trials", "n_ei_candidates", "multivariate", "group", "constant_liar"}
    assert given <= arguments.keys()


def dead_process():
    """Who a process was that has ended."""
    code = "from dqn_tf.search import owners; import json; print(json.dumps(owners.own()))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def test_a_search_killed_twice_goes_on_as_if_it_had_not_been(tmp_path):
    """In a journal, which has no heartbeat of Optuna's; test_search_command.py has SQLite."""
    plan = make_plan("--trials=12", "--seeds=1")
    whole = open_study(plan)
    work(plan, whole)
    place = f"journal:{tmp_path / 'study.log'}"
    ended = dead_process()
    for after in (4, 7):  # in the random trials, and in those of TPE

        class Killed(BaseException):
            pass

        opened = open_study(plan, storage.open_storage(place))
        runs = itertools.count()

        def score(config, seeds, check, runs=runs, after=after, error=Killed):
            if next(runs) == after:
                raise error
            return smooth(config, seeds, check)

        # SIGKILL leaves no time to tell the study anything
        opened.tell = lambda *words, tell=opened.tell, **more: (
            None
            if isinstance(words[0], optuna.Trial) and more["state"] == FAIL
            else tell(*words, **more)
        )
        with pytest.raises(Killed):
            work(plan, opened, score)
        del opened.tell
        (running,) = opened.get_trials(states=(RUNNING,))
        opened._storage.set_trial_user_attr(running._trial_id, owners.OWNER, ended)
        finished = {t.number: t.value for t in opened.trials if t.state.is_finished()}
    resumed = open_study(plan, storage.open_storage(place))
    said = work(plan, resumed)
    assert any("has failed: process" in sentence for sentence in said)
    assert not resumed.get_trials(states=(RUNNING, WAITING))
    assert {t.number: t.value for t in resumed.trials if t.number in finished} == finished
    assert proposals(resumed) == proposals(whole)
    assert study.best(resumed)[0].value == study.best(whole)[0].value


def test_who_runs_a_trial_no_more():
    now, here = time.time(), owners.own()
    other = here | {"host": "elsewhere", "boot": "another"}
    cases = {
        "this process": (here | {"alive": 0.0}, False),
        "a process that ended": (dead_process(), True),
        "another process with its number": (here | {"started": 1}, True),
        "another machine, heard of": (other | {"alive": now - 500}, False),
        "another machine, silent": (other | {"alive": now - 700}, True),
        "another container": (dead_process() | {"namespace": "pid:[1]", "alive": now}, False),
        "this machine before it was started anew": (
            here | {"boot": "before", "alive": now - 700},
            True,
        ),
        "nobody yet": (None, False),
    }
    assert here["host"] == socket.gethostname()
    opened = open_study(make_plan())
    for owner, _ in cases.values():
        trial = opened.ask()
        if owner is not None:
            trial.set_user_attr(owners.OWNER, owner)
    said = owners.StaleTrials(opened, stale_seconds=600).fail()
    states = [trial.state == FAIL for trial in opened.trials]
    assert dict(zip(cases, states, strict=True)) == {
        name: gone for name, (_, gone) in cases.items()
    }
    assert len(said) == sum(states)


def test_a_trial_without_a_name_is_timed_by_the_clock_of_who_looks(monkeypatch):
    """Optuna's own time of a trial is local, and machines may be in several zones."""
    opened = open_study(make_plan())
    trial = opened.ask()
    stale = owners.StaleTrials(opened, stale_seconds=600)
    now = time.monotonic()
    for later, is_over in ((0, False), (59, False), (61, True)):
        monkeypatch.setattr(owners.time, "monotonic", lambda later=later: now + later)
        assert bool(stale.fail()) == is_over
    assert opened.trials[trial.number].state == FAIL


@pytest.mark.parametrize("moment", ["while it is run", "when it is told"])
def test_who_was_taken_for_lost_says_so_and_goes_on(moment, monkeypatch):
    plan = make_plan("--trials=2", "--seeds=1")
    opened = open_study(plan)
    monkeypatch.setattr(owners, "BEAT_SECONDS", -1.0)

    def score(config, seeds, check):
        if len(opened.trials) == 1:
            opened.tell(0, state=FAIL)  # as another process does
        if moment == "while it is run":
            check()
        return smooth(config, seeds, lambda: None)

    said = work(plan, opened, score)
    assert said[0] == "trial 0 was taken for lost by another process; left out"
    assert [trial.state for trial in opened.trials] == [FAIL, COMPLETE, COMPLETE]


def test_several_workers_do_as_many_trials_as_are_wanted(tmp_path):
    plan = make_plan("--trials=6", "--seeds=1")
    place = str(tmp_path / "study.db")
    open_study(plan, storage.open_storage(place))

    def score(config, seeds, check):
        time.sleep(0.01)
        return smooth(config, seeds, check)

    workers = [
        threading.Thread(
            target=lambda: work(plan, study.open_study(plan, storage.open_storage(place)), score)
        )
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    made = open_study(plan, storage.open_storage(place)).trials
    assert study.counted(made, COMPLETE, PRUNED) == 6
    assert all(
        trial.state == FAIL and study.SURPLUS in trial.user_attrs
        for trial in made
        if trial.state not in (COMPLETE, PRUNED)
    )
    tried = [trial.params["learning_rate"] for trial in made if trial.state != FAIL]
    assert len(set(tried)) == len(tried)  # no two workers draw the same


def test_a_trial_that_another_process_began_just_before_the_last_one_is_left_out():
    plan = make_plan("--trials=1", "--seeds=1")
    opened = open_study(plan)
    ask, other = opened.ask, []

    def ask_too_late():
        opened.ask = ask
        other.append(ask())
        owners.heart(other[0])
        return ask()

    opened.ask = ask_too_late
    runs = []

    def score(config, seeds, check):
        runs.append(seeds)
        return [0.0]

    def say(sentence):
        assert sentence == "waiting for the last trials of other processes"
        opened.tell(other[0], 1.0)

    trials.Worker(plan, opened, trials.Training(score, Broke, lambda: None, say)).work()
    assert not runs
    assert [trial.state for trial in opened.trials] == [COMPLETE, FAIL]


def test_what_cannot_be_run_is_refused_with_its_reason_and_takes_no_trial_s_place():
    # a window of 2,000 steps is more than the warm-up fills
    plan = make_plan("--trials=6", "--seeds=2", "--range=batch_size=64,2000")
    opened = open_study(plan)
    work(plan, opened)
    refused = [trial for trial in opened.trials if study.REFUSED in trial.user_attrs]
    assert refused and all(trial.state == PRUNED for trial in refused)
    assert all("the first update needs a full batch" in t.user_attrs["refused"] for t in refused)
    assert study.counted(opened.trials, COMPLETE, PRUNED) == 6
    never = make_plan("--trials=2", "--seeds=2", "--range=batch_size=2000,3000")
    with pytest.raises(UserError, match="100 trials in a row could not be run"):
        work(never, open_study(never))


def test_processes_that_ask_at_the_same_moment_have_trials_of_their_own():
    """A queued trial is given to two of them, where the storage is SQLite."""
    plan = make_plan("--trials=6", "--seeds=2")
    storage_of_all = optuna.storages.InMemoryStorage()
    opened, other = open_study(plan, storage_of_all), open_study(plan, storage_of_all)
    assert not opened.get_trials(states=(WAITING,))
    both = [opened.ask(), other.ask()]
    proposed = [plan.config(plan.space.propose(trial)) for trial in both]
    assert [trial.number for trial in both] == [0, 1]
    assert [config == plan.config({}) for config in proposed] == [True, False]


def test_a_start_that_was_killed_is_tried_again():
    plan = make_plan("--trials=2", "--seeds=2")
    opened = open_study(plan)
    opened.tell(opened.ask(), state=FAIL)
    work(plan, opened)
    assert proposals(opened)[0] == plan.space.base_parameters()


def test_a_start_that_one_of_two_processes_lost_is_tried_again():
    plan = make_plan("--trials=6", "--seeds=2")
    storage_of_all = optuna.storages.InMemoryStorage()
    opened, other = open_study(plan, storage_of_all), open_study(plan, storage_of_all)
    lost, going_on = opened.ask(), other.ask()
    plan.space.propose(lost)
    assert plan.config(plan.space.propose(going_on)) != plan.config({})
    opened.tell(lost, state=FAIL)
    assert plan.config(plan.space.propose(opened.ask())) == plan.config({})
    # it is being tried
    assert plan.config(plan.space.propose(other.ask())) != plan.config({})


def test_what_takes_too_long_is_refused():
    """Steps for each update make no difference to the weights, noise makes them twice as many."""
    words = ("--trials=8", "--seeds=2", "--total_steps=30000", "--warmup_env_steps=1000")
    settings = ("--batch_size=64", "--hidden_units=64,64", "--env_steps_per_update=2")
    plan = make_plan(*words, *settings, "--range=noisy=true,false", "--most_work=1.5")
    weights = 4 * 64 + 64 * 64 + 64 * 2
    assert plan.work(plan.base) == 14_500 * 64 * weights
    opened = open_study(plan)
    work(plan, opened)
    (reason,) = {trial.user_attrs.get(study.REFUSED, "") for trial in opened.trials} - {""}
    assert "take 2.0 times the work" in reason and reason.endswith("--most_work=1.5.")
    assert not any(trial.params["noisy"] for trial in opened.trials if trial.state == COMPLETE)
    dear = make_plan(*words, *settings[:2], "--range=env_steps_per_update=0.5,2", "--most_work=0")
    opened = open_study(dear)
    work(dear, opened)
    assert not any(study.REFUSED in trial.user_attrs for trial in opened.trials)


def test_broken_learning_is_the_settings_fault_and_a_broken_environment_is_not():
    plan = make_plan("--trials=3", "--seeds=2")
    opened = open_study(plan)

    def breaks(config, seeds, check):
        if len(opened.trials) == 2:
            raise Broke("Learning broke at environment step 7.")
        return smooth(config, seeds, check)

    said = work(plan, opened, breaks)
    assert [trial.state for trial in opened.trials] == [COMPLETE, PRUNED, COMPLETE]
    assert "Learning broke at environment step 7." in said[1]

    def fails(config, seeds, check):
        raise UserError("The environment failed.")

    opened = open_study(plan)
    with pytest.raises(UserError, match="The environment failed"):
        work(plan, opened, fails)
    assert [trial.state for trial in opened.trials] == [FAIL]


def test_settings_that_end_with_an_error_come_no_more_than_three_times():
    plan = make_plan("--trials=3", "--seeds=1")
    opened = open_study(plan)
    bad = []

    def fails_on_one(config, seeds, check):
        if len(opened.get_trials(states=(COMPLETE,))) == 1:
            bad.append(config.learning_rate)
            if config.learning_rate == bad[0]:
                raise UserError("Such weights do not fit.")
        return smooth(config, seeds, check)

    for _ in range(3):
        with pytest.raises(UserError, match="do not fit"):
            work(plan, opened, fails_on_one)
    work(plan, opened, fails_on_one)
    assert len(opened.get_trials(states=(COMPLETE,))) == 3
    assert bad[:3] == [bad[0]] * 3 and bad[3] != bad[0]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--env=Acrobot-v1"], "it is of --env=CartPole-v1, and here --env is Acrobot-v1"),
        (["--gamma=0.9"], "--gamma is .* there, and 0.9 here"),
        (["--range=gamma=0.9,0.95"], "the range of --gamma is .* here"),
        (["--seeds=3"], "its trials have 2 seeds"),
        (["--seed=1"], "its trials have 2 seeds, the first"),
        (["--prune_p=0.1"], "--prune_p is 0.3 there, and 0.1 here"),
        (["--most_work=0"], "--most_work is 8.0 there, and 0.0 here"),
    ],
)
def test_a_study_of_another_search_is_one_sentence(words, part):
    storage_of_all = optuna.storages.InMemoryStorage()
    search = ("--seeds=2", "--study=a")
    open_study(make_plan(*search, only=False), storage_of_all)
    with pytest.raises(UserError, match=part):
        open_study(make_plan(*search, *words, only=False), storage_of_all)
    # more trials, another test and another number of processes are the same search
    more = ("--trials=99", "--test_seeds=3", "--processes=2", "--test_episodes=7")
    open_study(make_plan(*search, *more, only=False), storage_of_all)


def test_a_study_from_before_a_setting_goes_on():
    storage_of_all = optuna.storages.InMemoryStorage()
    words = ("--seeds=2", "--study=a")
    opened = open_study(make_plan(*words, only=False), storage_of_all)
    protocol = json.loads(json.dumps(opened.user_attrs[study.PROTOCOL]))
    del protocol["settings"]["munchausen_clip"]  # has its default
    protocol["settings"]["finalists"] = 9  # was among them once
    opened.set_user_attr(study.PROTOCOL, protocol)
    open_study(make_plan(*words, only=False), storage_of_all)
    del protocol["settings"]["learning_rate"]  # is the preset's here
    opened.set_user_attr(study.PROTOCOL, protocol)
    with pytest.raises(UserError, match="--learning_rate is .* there, and"):
        open_study(make_plan(*words, only=False), storage_of_all)


def test_a_study_from_before_the_limit_of_work_goes_on_without_one():
    storage_of_all = optuna.storages.InMemoryStorage()
    words = ("--seeds=2", "--study=a")
    opened = open_study(make_plan(*words, only=False), storage_of_all)
    protocol = dict(opened.user_attrs[study.PROTOCOL])
    del protocol["most_work"]
    opened.set_user_attr(study.PROTOCOL, protocol)
    with pytest.raises(UserError, match=r"--most_work is 0\.0 there, and 8\.0 here"):
        open_study(make_plan(*words, only=False), storage_of_all)
    open_study(make_plan(*words, "--most_work=0", only=False), storage_of_all)


def test_a_worn_process_becomes_a_new_one_that_goes_on_with_the_same_words(tmp_path):
    plan = make_plan("--trials=9", "--seeds=1")
    opened, whole = open_study(plan), open_study(plan)
    work(plan, whole)
    for _ in range(2):  # after four trials each
        begun = len(opened.trials)
        with pytest.raises(trials.Worn):
            work(plan, opened, is_worn=lambda begun=begun: len(opened.trials) >= max(1, begun) + 3)
    work(plan, opened)
    assert proposals(opened) == proposals(whole)
    script = tmp_path / "again.py"
    script.write_text(
        "import os, sys\nfrom dqn_tf.search.__main__ import restart\n"
        "life = int(os.environ.get('LIFE', 0))\nprint(life, os.getpid(), *sys.argv[1:])\n"
        "if life < 2:\n    os.environ['LIFE'] = str(life + 1)\n    restart()\n",
        encoding="utf-8",
    )
    words = [sys.executable, "-B", str(script), "--env=a b", "--part=trials:0/1"]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    lives = [line.split(" ", 2) for line in printed.splitlines()]
    assert [life for life, _, _ in lives] == ["0", "1", "2"]
    assert {rest for _, _, rest in lives} == {"--env=a b --part=trials:0/1"}
    assert len({pid for _, pid, _ in lives}) == 1  # whoever waits for it goes on waiting
