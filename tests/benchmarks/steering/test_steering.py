"""benchmarks.steering: judges, the reader, one tiny run, and its table."""

import itertools
import math

import numpy as np
import pytest

import tiny_language_model as tiny
from benchmark_helpers import ROOT, help_without
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append
from benchmarks.steering import __main__ as command
from benchmarks.steering import experiments, judges, learning, page, records, replies, run_one
from benchmarks.steering.experiments import EXPERIMENT, WAYS, Plan
from benchmarks.steering.network import States, compiled, make_agent
from benchmarks.steering.reading import Reader
from dqn_tf.support.errors import UserError

PLAN = Plan(rounds=2, replies=2, updates=3, choices=4, length=5, pool=16, scored=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a tiny random model."""
    for package in ("safetensors", "tokenizers"):
        pytest.importorskip(package, reason="the extra `language` is not installed")
    folder = tmp_path_factory.mktemp("model")
    tiny.write_hugging_face(folder)
    return str(folder)


@pytest.fixture(scope="module")
def parts(model):
    """A configuration, a reader of the tiny model, room for states, and who writes."""
    from dqn_tf.agent.networks.pretrained.trunk import LlamaTrunk
    from dqn_tf.language.model_files import open_model

    config = small(model)
    files = open_model(model)
    reader = Reader(LlamaTrunk(files))
    states = States(200, reader.trunk.shape.width + 1)
    writer = replies.Writer(reader, files.tokenizer, states, PLAN.choices, PLAN.length)
    return config, reader, states, writer


def small(model):
    overrides = {"language_model": model, "width": 8, "batch_size": 8}
    return experiments.configure(EXPERIMENT._replace(plan=PLAN), 100, overrides)


def row(way="beta_8", seed=1, **values) -> records.Row:
    """A way of a run as the command would record it."""
    measures = ("reward", "held_out", "kl", "perplexity")
    result = {f"{group}_{name}": 0.5 for group in ("new", "seen") for name in measures}
    result |= {
        "tokens": 11.5,
        "replies": 144,
        "learning_replies": 720,
        "learning_tokens": 9_000,
        "learning_cpu_seconds": 90.0,
        "updates": 750,
        "env_steps": 8_000,
        "seconds": 200.0,
        "cpu_seconds": 150.0,
        "example": " I am sorry.",
    }
    config = experiments.configure(EXPERIMENT, seed, {})
    return records.row(way, config, result | values)


def test_help_and_mistakes_come_without_tensorflow():
    assert "second judge" in help_without("steering", "tensorflow", "keras", "scipy")
    with pytest.raises(UserError, match="--env is for train.py"):
        command.parse(["steering", "--env=CartPole-v1"])


def test_a_seed_is_one_job_with_a_row_for_each_way():
    (job,) = command.FAMILY.jobs(command.parse(["steering", "--seeds=1"]))
    assert [run.name for run in job.runs] == [run.part for run in job.runs]
    assert len(job.runs) == len(WAYS) and job.order["seed"] == 1


@pytest.mark.parametrize(
    ("text", "paid", "held_out"),
    [
        ("", 0.0, 0.0),
        ("Sorry, sorry.", 0.4, 0.0),
        ("I am sorry, and I will refund you.", 1.0, 0.4 * 7 / 8),
        ("We are happy to help you today", 0.0, 1.0),
    ],
)
def test_the_judges_are_rules_of_words(text, paid, held_out):
    assert judges.paying(text) == pytest.approx(paid)
    assert judges.held_out(text) == pytest.approx(held_out)


def test_reading_token_by_token_is_reading_at_once(parts):
    _, reader, _, _ = parts
    tokens = np.random.default_rng(1).integers(3, 300, (2, 7))
    _, logits, memory = reader.read(tokens[:1, :4], reader.begin(1))
    logits = [np.repeat(logits.numpy(), 2, axis=0)]
    tokens[1, :4] = tokens[0, :4]
    memory = memory.repeated(2)
    for place in range(4, 7):
        _, found, memory = reader.read(tokens[:, place : place + 1], memory)
        logits.append(found.numpy())
    weights = tiny.arrays(tiny.TINY, reader.trunk.shape.vocabulary)
    for row in range(2):
        expected = tiny.logits(weights, tiny.TINY, tokens[row].tolist())[0][3:]
        assert np.stack(logits, axis=1)[row] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_what_is_written_becomes_transitions_that_pay_the_judgement(parts, monkeypatch):
    config, reader, states, writer = parts
    monkeypatch.setattr(judges, "paying", lambda text: len(text) / 10)
    agent = make_agent(config, reader, states, PLAN.choices)
    policy = learning.steered(compiled(agent), 2.0)
    written = writer.write("The card", 3, policy, np.random.default_rng(0))
    columns = learning.transitions(written, 1.0)
    assert len(columns["action"]) == sum(len(reply.steps) for reply in written)
    start = 0
    for reply in written:
        stop = start + len(reply.steps)
        assert columns["reward"][start:stop].sum() == pytest.approx(len(reply.texts[-1]) / 10)
        assert columns["discount"][start:stop].tolist() == [1.0] * (len(reply.steps) - 1) + [0.0]
        following = columns["observation"][start + 1 : stop]
        assert (columns["next_observation"][start : stop - 1] == following).all()
        start = stop
    # π · exp(2 Q), and its divergence, from what was observed
    q_values = agent(columns["observation"]).numpy()
    steps = [step for reply in written for step in reply.steps]
    for step, q_row in zip(steps, q_values, strict=True):
        weights = np.exp(step.log_chances) * np.exp(2.0 * q_row)
        chances = weights / weights.sum()
        divergence = (chances * np.log(chances / np.exp(step.log_chances))).sum()
        assert step.divergence == pytest.approx(divergence, abs=1e-5)


def test_the_agent_learns_which_token_pays(parts):
    _, reader, _, _ = parts
    config = small(parts[0].language_model)
    states = States(2, reader.trunk.shape.width + 1)
    states.add(np.random.default_rng(0).standard_normal((2, reader.trunk.shape.width + 1)))
    agent = make_agent(config, reader, states, PLAN.choices)
    generator = np.random.default_rng(0)
    rows, actions = generator.integers(2, size=400), generator.integers(4, size=400)
    tokens = np.array([[5, 6, 7, 8], [8, 7, 6, 5]])
    observation = np.concatenate([rows[:, np.newaxis], tokens[rows]], axis=1).astype(np.int32)
    taken = tokens[rows, actions]
    columns = {
        "observation": observation,
        "action": actions.astype(np.int32),
        "reward": (taken == 7).astype(np.float32),  # wherever it stands
        "discount": np.zeros(400, np.float32),
        "next_observation": observation,
    }
    batches = generator.integers(400, size=(300, 32))
    agent.learn({name: column[batches] for name, column in columns.items()}, 300)
    seen = np.concatenate([[[0], [1]], tokens], axis=1).astype(np.int32)
    assert agent(seen).numpy() == pytest.approx((tokens == 7).astype(float), abs=0.15)
    greedy = learning.steered(compiled(agent), experiments.ALWAYS, is_greedy=True)
    assert greedy(seen[:, 0], tokens, np.zeros((2, 4)))[:, 1:3].tolist() == [[0, 1], [1, 0]]


def test_the_best_of_some_is_the_mean_over_all_draws():
    generator = np.random.default_rng(0)
    scores = [run_one.Score(r, *generator.random(3)) for r in (0.4, 0.0, 1.0, 0.8, 0.2)]
    for count in (1, 2, 3):
        best = [max(drawn) for drawn in itertools.combinations(scores, count)]
        found = run_one.mean_of_best(scores, count)
        assert found[:2] == pytest.approx(np.mean(best, axis=0)[:2])
    assert found.kl == pytest.approx(math.log(3) - 2 / 3)
    equal = [run_one.Score(1.0, held_out, 0.0, 0.0) for held_out in (0.0, 0.5, 1.0)]
    assert run_one.mean_of_best(equal, 2).held_out == pytest.approx(0.5)


def test_one_run_scores_every_way(model, monkeypatch):
    monkeypatch.setattr(learning, "SEEN", ("The card!",))
    monkeypatch.setattr(run_one, "GROUPS", {"seen": ("The card!",), "new": ("The parcel!",)})
    result = run_one.run(small(model))
    assert list(result) == [way.name for way in WAYS]
    for way in WAYS:
        made = records.row(way.name, small(model), result[way.name])
        assert 0.0 <= made.new_reward <= 1.0 and made.new_perplexity > 1.0
        assert made.updates == 6 and made.learning_replies == 4
        assert 1.0 <= made.tokens / way.best_of <= PLAN.length
    assert result["model"]["new_kl"] == pytest.approx(0.0, abs=1e-6)
    assert result["q"]["new_kl"] > 0.0


def test_the_page_says_what_a_gain_costs(tmp_path):
    append(tmp_path / records.FILE, row("best_4", seed=1, new_reward=0.7, tokens=44.0))
    append(tmp_path / records.FILE, row("best_4", seed=2, new_reward=0.4, tokens=46.0))
    append(tmp_path / records.FILE, row("q", seed=100))
    text = page.render(tmp_path)
    assert "| best of 4 | 0.550 [0.400, 0.700] | 0.500 [0.500, 0.500] | at most 0.50 |" in text
    assert "| 45 | 240 replies | 0.500 | 2 of 5 |" in text and "Q within" not in text
    assert page.render(tmp_path / "nothing") == "Not measured yet.\n"


def test_the_page_in_the_project_is_what_its_records_give():
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    between = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert between == f"\n{page.render(RESULTS / 'steering')}\n", (
        "python -m benchmarks.steering --render_only"
    )
