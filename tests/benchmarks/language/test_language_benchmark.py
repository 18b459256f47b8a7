"""benchmarks.language: the player of all starts, one run, and the arithmetic of its tables."""

import contextlib
import re

import numpy as np
import pytest

from benchmark_helpers import ROOT, help_without
from benchmarks.common import experiments_command
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append, read
from benchmarks.language import __main__ as command
from benchmarks.language import experiments, page, records, run_one, tasks, yardsticks
from benchmarks.language.experiments import BY_NAME, EXPERIMENTS
from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.envs.text import exact, maze, rewrite
from dqn_tf.support.errors import UserError

TINY = {
    "total_steps": 256,
    "warmup_env_steps": 64,
    "batch_size": 8,
    "num_envs": 8,
    "updates_per_block": 4,
    "network": "mlp",
    "hidden_units": (8,),
}


def row(name="maze_choice", seed=1, **values) -> records.Row:
    """A run as the command would record it."""
    result = {
        "score": -7.0,
        "success": 1.0,
        "starts": 25,
        "seconds": 20.0,
        "cpu_seconds": 10.0,
        "updates": 9,
        "env_steps": 90,
    }
    config = experiments.configure(BY_NAME[name], seed, {})
    return records.row(name, config, result)._replace(**values)


def maze_player(level):
    """The exact optimum's command in each cell, which it reads in the observation."""
    model = maze.choice_model()
    moves = exact.best_policy(model)[: len(maze.CELLS)].argmax(axis=1)
    number = {word: place for place, word in enumerate(maze.TOKENS)}

    def act(observations, _):
        actions = []
        for observation in observations:
            words = [maze.TOKENS[token] for token in observation if token]
            place = words.index("here")
            move = moves[maze.CELLS.index((int(words[place + 1]), int(words[place + 2])))]
            command = ("move", list(maze.MOVES)[move], ".")
            written = len(words) - words.index(">") - 1
            actions.append(move if level == "choice" else number[command[written]])
        return np.array(actions)

    return act


def rewrite_player(task):
    """The right answer, read in the observation."""

    def act(observations, _):
        actions = []
        for observation in observations:
            tokens = [token for token in observation.tolist() if token]
            sign = tokens.index(4)
            prompt = [token - 5 for token in tokens[1:sign]]
            answer = rewrite.right_answer(task, prompt, rewrite.LENGTH, rewrite.SYMBOLS)
            actions.append(5 + answer[len(tokens) - sign - 1])
        return np.array(actions)

    return act


@pytest.mark.parametrize("name", [each.name for each in EXPERIMENTS])
def test_the_known_best_player_scores_the_optimum(name):
    config = experiments.configure(BY_NAME[name], 1, {})
    make = registry.maker(config)
    env = make()
    if config.env == maze.ENV_ID:
        player = maze_player(config.env_kwargs.get("level", "token"))
    elif config.env == rewrite.ENV_ID:
        player = rewrite_player(config.env_kwargs.get("task", "reverse"))
    else:
        pytest.skip("its own tests have its players")
    scores = tasks.score(player, make, tasks.starts(env))
    np.testing.assert_allclose(scores.returns.mean(), env.unwrapped.optimal_return(), atol=1e-9)
    assert scores.succeeded.all()
    assert len(scores.returns) == (25 if config.env == maze.ENV_ID else tasks.PROMPTS)


def test_a_player_who_never_arrives_has_no_success():
    config = presets.configure(maze.ENV_ID, {"env_kwargs": {"level": "choice"}})
    make = registry.maker(config)
    scores = tasks.score(lambda seen, _: np.zeros(len(seen), int), make, tasks.starts(make()))
    assert not scores.succeeded.any() and (scores.returns == -maze.COMMANDS).all()


def test_the_prompts_are_always_the_same_and_no_two_alike():
    make = registry.maker(experiments.configure(BY_NAME["rewrite_copy"], 1, {}))
    first, again = (tasks.starts(make()) for _ in range(2))
    assert first == again
    assert len({tuple(start["prompt"]) for start in first}) == tasks.PROMPTS


def test_yardsticks():
    found = yardsticks.yardsticks()
    by_title = {each.title: each for each in found[maze.ENV_ID]}
    assert by_title["optimum"].score == pytest.approx(-6.84)
    by_title = {each.title: each for each in found[rewrite.ENV_ID]}
    cloning = by_title["cloning, sampled, paid by the token"]
    right = 0.5 + 0.5 / 12
    assert cloning.score == pytest.approx(right) and cloning.success == pytest.approx(right**8)


def test_help_and_mistakes_come_without_tensorflow():
    assert "maze_choice" in help_without("language", "tensorflow", "keras", "scipy")
    for words, sentence in (
        (["--env=CartPole-v1"], "--env is for train.py"),
        (["--experiments=walk"], "'walk' is none of"),
        (["--seeds=1,x"], "'x' is no whole number"),
        (["--gamma=2"], "--gamma"),
    ):
        with pytest.raises(UserError, match=sentence):
            command.parse(["language", *words])


def test_one_run_is_scored_over_all_starts():
    config = experiments.configure(BY_NAME["maze_choice"], 100, TINY)
    result = run_one.run(config)
    assert result["starts"] == 25 and -101 <= result["score"] <= -6.84
    assert 0 <= result["success"] <= 1 and result["env_steps"] == 256 and result["updates"] > 0


def test_a_run_that_is_recorded_is_not_done_again(tmp_path, monkeypatch):
    result = row()._asdict()

    @contextlib.contextmanager
    def worker_of(family):
        yield lambda order: result

    monkeypatch.setattr(experiments_command, "worker_of", worker_of)
    words = [
        f"--results_dir={tmp_path}",
        f"--page={tmp_path / 'page.md'}",
        "--experiments=maze_choice",
    ]
    options = command.parse(["language", *words, "--seeds=1,2"])
    command.main(options)
    monkeypatch.setattr(experiments_command, "worker_of", None)
    command.main(options)
    rows = read(tmp_path / records.FILE, records.Row)
    assert [(each.experiment, each.seed) for each in rows] == [
        ("maze_choice", 1),
        ("maze_choice", 2),
    ]
    assert "-7.00 [-7.00, -7.00]" in (tmp_path / "page.md").read_text(encoding="utf-8")


def test_the_page_says_what_is_missed(tmp_path):
    for each in (
        row(seed=1, score=-6.84),
        row(seed=2, score=-20.84, success=0.5),
        row(seed=2, score=-10.84, success=0.5),
        row(seed=100, score=0.0),
        row("maze_offline", score=-7.4, cpu_seconds=400.0),
        row("maze_offline", score=0.0)._replace(config_hash="another"),
    ):
        append(tmp_path / records.FILE, each)
    text = page.render(tmp_path)
    assert re.search(r"return of at least -7.0 \*\*missed\*\*, -8.84 .* \*\*met\*\*, 10\.", text)
    assert re.search(r"return of at least -7.5 \*\*met\*\*, -7.40 .* \*\*missed\*\*, 400\.", text)
    assert "| optimum | -6.84 | 100.0% | exact |" in text
    assert "75.0% [50.0%, 100.0%] | 2 |" in text and "3 further rows" in text


def test_the_page_in_the_project_is_what_its_records_give():
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    between = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert between == f"\n{page.render(RESULTS / 'language')}\n", (
        "python -m benchmarks.language --render_only"
    )


def test_reported_seeds_are_not_those_of_the_search():
    assert all(not set(each.seeds) & {100, 101} for each in EXPERIMENTS)
