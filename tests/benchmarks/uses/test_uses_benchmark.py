"""benchmarks.uses: what is best in each environment, a tiny run, and the table."""

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.common.flags import DOCS, RESULTS
from benchmarks.common.records import append
from benchmarks.uses import __main__ as command
from benchmarks.uses import exact_scores, grid_paths, page, records, run_one, yardsticks
from benchmarks.uses.experiments import BY_NAME, CELLS, LARGE, SMALL, configure
from benchmarks.uses.tables import table_of
from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.placement import job_placement, rules
from dqn_tf.evaluation.library import evaluate, greedy_policy

TINY = {"total_steps": 128, "warmup_env_steps": 64, "batch_size": 8, "hidden_units": (8,)}


def result(score: float) -> dict:
    """What a run would return."""
    costs = {"episodes": 10, "seconds": 2.0, "cpu_seconds": 1.0, "updates": 9, "env_steps": 90}
    yardsticks = {"optimum": 8.0, "at_random": -12.0, "others": {"a rule": 2.5}}
    return {"score": score, **costs, **yardsticks}


def played(env: gym.Env, choose, episodes: int) -> float:
    """The mean return of a policy over episodes of Gymnasium itself."""
    total = 0.0
    for seed in range(episodes):
        observation, _ = env.reset(seed=seed)
        is_over = False
        while not is_over:
            observation, reward, terminated, truncated, _ = env.step(choose(observation))
            total += float(reward)
            is_over = terminated or truncated
    return total / episodes


def test_tabular_optima_are_the_known_ones():
    cliff = yardsticks.of_table("CliffWalking-v1", {})
    assert cliff.optimum == -13 and cliff.at_random < -10_000
    assert yardsticks.of_table("Taxi-v4", {}).optimum == pytest.approx(7.93, abs=0.005)
    dry = yardsticks.of_table("FrozenLake-v1", {"is_slippery": False})
    assert dry.optimum == 1.0 and 0.01 < dry.at_random < 0.02
    still = gym.make("FrozenLake-v1")
    generator = np.random.default_rng(0)
    by_chance = played(still, lambda _: int(generator.integers(4)), 4_000)
    exact = yardsticks.of_table("FrozenLake-v1", {}).at_random
    assert by_chance == pytest.approx(exact, abs=4 * np.sqrt(exact / 4_000))


def test_blackjack_is_gymnasiums():
    exact = yardsticks.of_blackjack()
    env = gym.make("Blackjack-v1")
    hands, generator = 20_000, np.random.default_rng(0)
    near = pytest.approx
    assert played(env, lambda _: 0, hands) == near(exact.others["never hit"], abs=4 / hands**0.5)
    random = played(env, lambda _: int(generator.integers(2)), hands)
    assert random == near(exact.at_random, abs=4 / hands**0.5)
    assert exact.others["never hit"] < exact.optimum < 0


@pytest.mark.parametrize(
    ("name", "episodes"), [("frozen_lake", 4_000), ("blackjack", 5_000), ("placement", 2_000)]
)
def test_exact_scores_are_those_of_many_episodes(name, episodes):
    """Of an agent that has learned nothing."""
    experiment = BY_NAME[name]
    config = configure(experiment, 5, {"hidden_units": (8,)})
    agent = DQN(config)
    exact = experiment.exact_score(greedy_policy(agent))
    by_play = evaluate(agent, config, episodes=episodes)
    margin = 4 * by_play.returns.std() / np.sqrt(episodes)
    assert exact == pytest.approx(by_play.mean, abs=max(margin, 1e-6))


def test_exact_scores_of_known_policies():
    """The optimum where its actions are taken; masks are those of the environment."""
    table = table_of("CliffWalking-v1", {})
    along_the_cliff = np.full(48, 1)  # to the right
    along_the_cliff[36], along_the_cliff[35] = 0, 2  # up at first, down at last
    assert table.return_of(along_the_cliff) == table.optimum() == -13
    seen = []

    def act(states, masks):
        seen.append(masks)
        return masks.argmax(-1)

    never_arrives = exact_scores.of_table(act, "Taxi-v4", {})
    taxi = gym.make("Taxi-v4").unwrapped
    assert never_arrives == pytest.approx(-200)
    assert (seen[0] == [taxi.action_mask(state) for state in range(500)]).all()
    assert exact_scores.of_blackjack(lambda hands, _: np.zeros(len(hands), int)) == (
        pytest.approx(yardsticks.of_blackjack().others["never hit"])
    )


def test_the_best_way_through_a_grid_is_the_shortest():
    """By hand: three steps, a turn, three steps."""
    pytest.importorskip("minigrid")
    env = registry.maker(DQNConfig(env="minigrid:MiniGrid-Empty-6x6-v0", env_wrappers=CELLS))()
    env.reset(seed=0)
    most = env.unwrapped.max_steps
    assert grid_paths.best_return(env.unwrapped) == pytest.approx(1 - 0.9 * 7 / most)


def test_rules_read_the_observations():
    """What is read from an observation is what the environment has."""
    for sizes in (SMALL, LARGE):
        config = DQNConfig(env=job_placement.ENV_ID, env_kwargs=sizes)
        act = yardsticks._by_rule(rules.best_fit, sizes)
        env = job_placement.JobPlacement(**sizes)
        own = []
        seeds = range(20)
        for seed in seeds:
            observation, _ = env.reset(seed=seed)
            total, is_over = 0.0, False
            while not is_over:
                (action,) = act(observation[np.newaxis], None)
                assert action == rules.best_fit(env.job, env.machines)
                observation, reward, is_over, _, _ = env.step(action)
                total += reward
            own.append(total)
        assert evaluate(act, config, 20).mean == pytest.approx(np.mean(own), rel=0.2)


def test_a_run_is_what_train_py_does(tmp_path):
    for name, experiment in BY_NAME.items():
        config = configure(experiment, 3, {})
        assert (config.env, config.seed) == (experiment.env, 3), name
    config = configure(BY_NAME["taxi"], 3, TINY)
    done = run_one.run({"config": config.to_dict(), "experiment": "taxi"})
    assert done["env_steps"] >= 128 and done["score"] < 0 and done["episodes"] == 0
    append(tmp_path / records.FILE, records.row("taxi", config, done))
    assert page.render(tmp_path) == "Not measured yet.\n", "of other settings than the table's"


def test_the_table_says_how_much_is_missing(tmp_path):
    taxi = BY_NAME["taxi"]

    def line_with(*scores: tuple[int, float]) -> str:
        for seed, score in scores:
            config = configure(taxi, seed, {})
            append(tmp_path / records.FILE, records.row("taxi", config, result(score)))
        (line,) = [line for line in page.render(tmp_path).splitlines() if "Taxi" in line]
        return line

    few = line_with((1, -50.0), (1, 6.0), (2, 7.0))
    assert "| 6.00 | 8.00 | 18.8%, **not judged before 10 runs** | -12.00 | a rule 2.50 |" in few
    assert few.endswith("| 2 | 90 | 1 |")
    assert "| 6.00 | 8.00 | 13.7%, **missed** |" in line_with(
        *[(seed, 7.0) for seed in range(3, 11)]
    )
    better = line_with(*[(seed, 7.4) for seed in range(1, 11)])
    assert "| 7.40 | 8.00 | 7.5%, **met** |" in better


def test_the_command_offers_each_environment():
    options = command.parse(["uses", "--experiments=placement", "--seeds=1,2"])
    jobs = list(command.FAMILY.jobs(options))
    assert [job.runs[0].config.seed for job in jobs] == [1, 2]
    assert jobs[0].runs[0].config.total_steps == 50_000


def test_the_page_is_what_the_records_say():
    text = (DOCS / "uses.md").read_text(encoding="utf-8")
    shown = text.partition(page.BEGIN)[2].partition(page.END)[0]
    expected = page.render(RESULTS / "uses").strip()
    assert shown.strip() == expected, "python -m benchmarks.uses --render_only"
