"""dqn_tf/Helpdesk-v0: what it pays, what is known, and the yardsticks against real dialogues."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from dqn_tf.envs.applications import helpdesk, wordings
from dqn_tf.envs.applications.helpdesk import Helpdesk
from dqn_tf.envs.applications.issue_beliefs import IssueBeliefs
from dqn_tf.support.errors import UserError

EXAMPLES = Path(__file__).parents[3] / "examples"


def play(env, seed, choose) -> float:
    """The return of a dialogue in which `choose` acts."""
    env.reset(seed=seed)
    total, is_over = 0.0, False
    while not is_over:
        _, reward, is_over, truncated, _ = env.step(choose())
        assert not truncated
        total += reward
    return total


def test_the_yardsticks():
    """By hand: 0.45 · 1 + 0.45 · 0.9 + 0.1 · 0.525, and 0.45 · 1 + 0.45 · 0 - 0.1 · 0.75."""
    beliefs = IssueBeliefs(4)
    assert beliefs.optimum() == pytest.approx(0.9075)
    assert beliefs.optimum_without_asking() == pytest.approx(0.375)
    # each turn answers with chance 2/3, and then pays -0.75, or asks
    random = sum((1 / 3) ** turn * (2 / 3 * -0.75 + 1 / 3 * -0.1) for turn in range(4))
    assert beliefs.at_random() == pytest.approx(random)
    assert Helpdesk("zh").optimal_return() == pytest.approx(0.9075)


def test_no_plan_of_questions_is_better():
    """Every order of at most three questions, then the best answer, over the eight issues."""
    best = {1: 1.0, 2: 0.0, 8: -0.75}  # of answering at once, by how many issues are possible
    for size in (2, 8):
        issues = range(size)
        for count in (1, 2, 3):
            for plan in itertools.permutations(range(4), count):
                total = 0.0
                for issue in issues:
                    asked = list(plan[: plan.index(issue // 2) + 1]) if issue // 2 in plan else plan
                    left = {i for i in issues if i // 2 not in plan}
                    found = issue // 2 in plan
                    answer = 1.0 if found else 2 / len(left) - 1
                    total += (answer - 0.1 * len(asked)) / size
                best[size] = max(best[size], total)
    assert 0.45 * best[1] + 0.45 * best[2] + 0.1 * best[8] == pytest.approx(0.9075)


@pytest.mark.parametrize("language, split", [("en", "train"), ("zh", "test")])
def test_dialogues_of_the_best_policy_return_the_optimum(language, split):
    env = Helpdesk(language, split)
    returns = [play(env, seed, env.best_action) for seed in range(4_000)]
    deviation = np.std(returns) / len(returns) ** 0.5
    assert np.mean(returns) == pytest.approx(0.9075, abs=3.5 * deviation)


def test_random_dialogues_return_what_the_table_says():
    env, generator = Helpdesk(), np.random.default_rng(0)
    returns = [play(env, seed, lambda: int(generator.integers(12))) for seed in range(4_000)]
    deviation = np.std(returns) / len(returns) ** 0.5
    assert np.mean(returns) == pytest.approx(env.beliefs.at_random(), abs=3.5 * deviation)


def test_a_dialogue():
    env = Helpdesk()
    seed = next(
        seed for seed in range(99) if env.reset(seed=seed) and env.possible == frozenset({4, 5})
    )
    _, info = env.reset(seed=seed)
    complaint = info["text"]
    assert complaint in env.sentences["ambiguous"][2]
    observation, reward, is_over, _, info = env.step(8 + 0)
    assert (reward, is_over, env.possible) == (-0.1, False, frozenset({4, 5}))
    question = env.sentences["questions"][0]
    assert info["text"].startswith(f"{complaint} > {question} < ")
    assert info["text"].split(" < ")[1] in env.sentences["neither"]
    _, reward, _, _, info = env.step(8 + 2)
    assert reward == -0.1 and env.possible == {env.issue}
    assert info["text"].split(" < ")[2] in env.sentences["reply"][env.issue]
    assert info["choices"][env.issue] == env.sentences["answers"][env.issue]
    tokens = [env.tokens[number] for number in env.observation() if number]
    assert tokens[: len(observation[observation > 0])] == [env.tokens[n] for n in observation if n]
    assert "<unk>" not in tokens and tokens.count(">") == 2
    assert env.step(env.issue)[1:4] == (1.0, True, False)
    env.reset(seed=seed)
    assert env.step(env.issue ^ 1)[1:4] == (-1.0, True, False)


def test_whoever_asks_four_times_has_lost_the_customer():
    env = Helpdesk()
    env.reset(seed=0)
    assert [env.step(8)[2] for _ in range(4)] == [False, False, False, True]


def test_other_sentences_with_the_tokens_of_ours(tmp_path):
    """A file is said; what its words are not among the tokens is unknown."""
    sentences = helpdesk.read(None, "en")
    sentences["vague"] = [f"Zyzzyva number {place}!" for place in range(4)]
    del sentences["answers"]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(sentences))
    env = Helpdesk(wordings=str(path), vocabulary="en", split="validation")
    assert env.tokens == Helpdesk().tokens
    assert env.observation_space == Helpdesk().observation_space
    assert env.get_action_meanings()[:8] == sentences["issues"]
    assert env.sentences["vague"] == ["Zyzzyva number 2!"]
    env.tell("Zyzzyva, help?")
    assert [env.tokens[number] for number in env.written] == ["<unk>", ",", "help", "?"]
    assert "zyzzyva" in Helpdesk(wordings=str(path)).tokens


def test_further_sentences_for_training_are_in_no_other_split(tmp_path):
    sentences = helpdesk.read(None, "en")
    further = [["Zyzzyva!"], *([f"Issue {issue}, I say."] for issue in range(1, 8))]
    sentences["training"] = {"reply": further, "vague": ["Hey, listen."]}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(sentences))
    said = {split: Helpdesk(wordings=str(path), split=split).sentences for split in wordings.SPLITS}
    ours = {split: Helpdesk(split=split).sentences for split in wordings.SPLITS}
    assert said["train"]["vague"] == [*ours["train"]["vague"], "Hey, listen."]
    assert said["train"]["reply"][0] == [*ours["train"]["reply"][0], "Zyzzyva!"]
    assert said["train"]["clear"] == ours["train"]["clear"]
    assert said["validation"] == ours["validation"]
    assert said["test"] == ours["test"]
    assert "zyzzyva" in Helpdesk(wordings=str(path), split="test").tokens


@pytest.mark.parametrize("language, name", [("en", "many"), ("zh", "many_zh")])
def test_the_examples_of_many_wordings_begin_with_ours(language, name):
    """So each sentence of ours keeps its place, and with it its split; reading refuses twins."""
    counts = {"clear": 32, "ambiguous": 32, "vague": 32, "reply": 12, "neither": 12}
    ours = helpdesk.read(None, language)
    many = helpdesk.read(str(EXAMPLES / f"helpdesk_{name}.json"), language)
    assert many.keys() == ours.keys() | {wordings.TRAINING}
    assert many[wordings.TRAINING].keys() == counts.keys()
    for entry, values in ours.items():
        if entry not in counts:
            assert many[entry] == values
            continue
        is_nested = helpdesk.ENTRIES[entry].has_lists
        pairs = zip(many[entry], values, strict=True) if is_nested else [(many[entry], values)]
        for more, first in pairs:
            assert more[: len(first)] == first
            assert len(more) == counts[entry]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"clear": None}, "the entry 'clear' is missing"),
        ({"vague": []}, r"vague is \[\], and must be a list of texts"),
        ({"vague": ["a", "b"]}, "vague has 2 texts, and must have at least 4"),
        ({"vague": ["a", "b", "c", "A "]}, "'A ' occurs twice"),
        ({"vague": "help"}, "vague is 'help', and must be a list of texts"),
        ({"vague": ["a", "b", "c", 4]}, "vague has 4, which is no text"),
        ({"reply": {}}, r"reply is \{\}, and must be a list of lists of texts"),
        ({"reply": [["a", "b", "c", "d"], 3]}, r"reply\[1\] is 3, and must be a list of texts"),
        ({"reply": [["a", "b", "c", "d"]]}, "reply has 1 entries; as there are 4 questions"),
        ({"mood": ["a"]}, "'mood' is no entry of it, which are issues, answers"),
        ({"training": ["a"]}, r"training is \['a'\], and must be an object of entries"),
        ({"training": {"issues": ["a"]}}, "training has 'issues', and can have clear, ambiguous"),
        ({"training": {"reply": [["a"]]}}, "training.reply has 1 lists, and reply 8"),
        ({"training": {"vague": ["Hi", "HI"]}}, "'HI' occurs twice"),
    ],
)
def test_bad_files_are_told_in_a_sentence(change, sentence, tmp_path):
    sentences = helpdesk.read(None, "en") | change
    sentences = {name: value for name, value in sentences.items() if value is not None}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(sentences))
    with pytest.raises(UserError, match=rf"^wordings=.*mine\.json: {sentence}"):
        Helpdesk(wordings=str(path))
