"""Jobs on machines: the environment, the rules, and the optimum against brute force."""

import functools
import itertools

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.placement import exact, picture, rules
from dqn_tf.envs.placement.job_placement import ENV_ID, JobPlacement
from dqn_tf.envs.placement.jobs import KINDS, fits, place
from dqn_tf.support.errors import UserError

SMALL = {"machines": 2, "cores": 4, "memory": 4, "jobs": 3}


def by_brute_force(machines: tuple, jobs: int, value_of=max) -> float:
    """The mean return, over every job and every action, nothing remembered or sorted."""
    if not jobs:
        return 0.0
    total = 0.0
    for kind in KINDS:
        returns = [by_brute_force(machines, jobs - 1, value_of)]
        for number, free in enumerate(machines):
            if fits(kind, free):
                left = with_job(machines, number, kind)
                returns.append(kind.value + by_brute_force(left, jobs - 1, value_of))
        total += kind.chance * value_of(returns)
    return total


def by_rule(rule, machines: tuple, jobs: int) -> float:
    """The mean return of a rule that sees machines in their order."""

    @functools.cache
    def value(machines: tuple, jobs: int) -> float:
        if not jobs:
            return 0.0
        total = 0.0
        for kind in KINDS:
            number = rule(kind, machines)
            if number == len(machines):
                total += kind.chance * value(machines, jobs - 1)
            else:
                after = value(with_job(machines, number, kind), jobs - 1)
                total += kind.chance * (kind.value + after)
        return total

    return value(machines, jobs)


def with_job(machines: tuple, number: int, kind) -> tuple:
    return (*machines[:number], place(kind, machines[number]), *machines[number + 1 :])


def played(rule, jobs, env: JobPlacement) -> float:
    """The return of a rule where just these jobs arrive."""
    env.reset(seed=0)
    total = 0.0
    for kind in jobs:
        env.job = kind
        total += env.step(rule(kind, env.machines))[1]
    return total


@pytest.mark.parametrize("sizes", [(1, 4, 4, 4), (2, 4, 4, 3), (2, 3, 5, 4), (3, 4, 2, 3)], ids=str)
def test_the_optimum_is_that_of_brute_force(sizes):
    machines, cores, memory, jobs = sizes
    expected = by_brute_force(((cores, memory),) * machines, jobs)
    assert exact.optimum(*sizes) == pytest.approx(expected, abs=1e-12)
    expected = by_brute_force(((cores, memory),) * machines, jobs, np.mean)
    assert exact.return_at_random(*sizes) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", rules.RULES)
def test_a_rules_return_is_the_mean_over_all_episodes(name):
    env, rule = JobPlacement(**SMALL), rules.RULES[name]
    expected = sum(
        np.prod([kind.chance for kind in jobs]) * played(rule, jobs, env)
        for jobs in itertools.product(KINDS, repeat=SMALL["jobs"])
    )
    assert exact.rule_return(rule, *SMALL.values()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sizes", [(3, 4, 4, 12), (2, 6, 6, 10)], ids=str)
@pytest.mark.parametrize("name", rules.RULES)
def test_a_rule_sees_the_machines_in_their_order(name, sizes):
    machines, cores, memory, jobs = sizes
    rule = rules.RULES[name]
    expected = by_rule(rule, ((cores, memory),) * machines, jobs)
    assert exact.rule_return(rule, *sizes) == pytest.approx(expected, abs=1e-12)


def test_any_number_of_jobs():
    # in the end one training run has found its place, which is worth 8
    assert exact.optimum(1, 4, 4, 500) == pytest.approx(8.0)


def test_the_rules_choose_as_they_say():
    web, cache, batch, training = KINDS
    machines = [(1, 4), (4, 4), (2, 2)]
    assert [rules.first_fit(kind, machines) for kind in KINDS] == [0, 0, 1, 1]
    assert [rules.best_fit(kind, machines) for kind in KINDS] == [2, 0, 1, 1]
    assert rules.first_fit(training, machines[::2]) == rules.best_fit(training, machines[::2]) == 2
    assert (web.chance + cache.chance + batch.chance + training.chance) == pytest.approx(1.0)


def test_turning_jobs_away_is_worth_something():
    sizes = (3, 4, 4, 12)
    best = max(exact.rule_return(rule, *sizes) for rule in rules.RULES.values())
    assert exact.optimum(*sizes) > best + 3.0, "or there would be nothing to learn"


def test_it_is_an_environment_of_gymnasium_and_its_masks_are_right():
    check_env(JobPlacement(), skip_render_check=True)
    env = registry.make_env(DQNConfig(env=ENV_ID))
    generator = np.random.default_rng(0)
    for seed in range(20):
        observation, info = env.reset(seed=seed)
        steps, ended = 0, False
        while not ended:
            mask = info["action_mask"]
            inner = env.unwrapped
            assert mask.tolist() == [fits(inner.job, free) for free in inner.machines] + [True]
            assert env.observation_space.contains(observation)
            before = inner.job.value
            action = int(generator.choice(np.flatnonzero(mask)))
            observation, reward, ended, truncated, info = env.step(action)
            assert reward == (before if action < len(inner.machines) else 0.0) and not truncated
            steps += 1
        assert steps == inner.jobs and observation[-1] == 0.0


def test_an_observation_by_hand():
    env = JobPlacement(machines=2, cores=4, memory=8, jobs=4)
    env.reset(seed=0)
    env.machines = [(1, 8), (4, 2)]
    env.job, env.left = KINDS[1], 3
    observation = env.observation()
    np.testing.assert_allclose(observation, [0.25, 1.0, 1.0, 0.25, 0.25, 0.375, 0.25, 0.75])
    env.render_mode = "ansi"
    lines = env.render().splitlines()
    assert lines[0] == "machine 1   cores ###.   GB ........"
    assert lines[2] == "cache: cores 1, GB 3, worth 2; 3 to come"


def test_the_picture_shows_what_is_taken_and_asked_for():
    env = JobPlacement(machines=2, cores=4, memory=8, jobs=4, render_mode="rgb_array")
    env.reset(seed=0)
    env.machines = [(1, 8), (4, 2)]
    env.job, env.left = KINDS[1], 3

    def shares() -> list[float]:
        image = env.render()
        assert image.shape == (60 * 2 + 72, 216, 3) and image.dtype == np.uint8
        bars = [image[top + 12, 12:204] for row in (12, 72, 132) for top in (row, row + 24)]
        colored = [(bar != picture.FREE).any(-1) & (bar != picture.PAPER).any(-1) for bar in bars]
        return [float(np.mean(cells)) for cells in colored]

    # cores and GB of both machines, then of the job
    np.testing.assert_allclose(shares(), [3 / 4, 0, 0, 6 / 8, 1 / 4, 3 / 8], atol=0.04)
    env.left = 0
    assert shares()[-2:] == [0.0, 0.0]


def test_a_job_larger_than_a_machine_and_very_large_machines_are_drawn():
    image = picture.draw([(1, 1)], (1, 1), KINDS[-1])
    assert (image[84, 14:204] == picture.JOB_ORANGE).all()
    assert picture.draw([(10**9, 10**9)], (10**9, 10**9), None).shape == (132, 216, 3)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"machines": 0}, "machines is 0, and must be a whole number"),
        ({"jobs": 2.5}, "jobs is 2.5"),
        ({"cores": True}, "cores is True"),
        ({"memory": "4"}, "memory is '4'"),
        ({"render_mode": "human"}, "renders as ansi or rgb_array, not as human"),
    ],
    ids=str,
)
def test_wrong_sizes_are_refused_in_a_sentence(sizes, said):
    with pytest.raises(UserError, match=said):
        JobPlacement(**sizes)


def test_a_machine_without_room_is_refused():
    env = JobPlacement()
    env.reset(seed=0)
    env.machines[1] = (0, 0)
    with pytest.raises(UserError, match=r"machine 1 has no room for a "):
        env.step(1)
