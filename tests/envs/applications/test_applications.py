"""What all applications keep to: spaces, seeds, splits, data of their own, and mistakes."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dqn_tf.config import presets
from dqn_tf.envs import applications, registry
from dqn_tf.envs.applications import wordings
from dqn_tf.envs.applications.vocabulary import split_text
from dqn_tf.envs.text.logged_play import logged_play
from dqn_tf.experience.logged.shares import load_all
from dqn_tf.support.errors import UserError

CASES = [(name, language) for name in applications.ENTRY_POINTS for language in ("en", "zh")]


@pytest.fixture(params=CASES, ids=lambda case: " ".join(case))
def case(request):
    return request.param


def make(case, **arguments):
    env_id, language = case
    return gym.make(env_id, language=language, **arguments).unwrapped


def episode(env, seed: int) -> list[tuple]:
    """All that a random player sees."""
    generator = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    seen = [(observation.tolist(), info["text"], info["choices"])]
    is_over = False
    while not is_over:
        action = int(generator.integers(env.action_space.n))
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append((observation.tolist(), info["text"], info["choices"], reward))
        is_over = terminated or truncated
    return seen


def test_gymnasium_finds_nothing_to_say_about_it(case):
    env = make(case)
    check_env(env, skip_render_check=True)
    config = presets.configure(case[0], {"env_kwargs": {"language": case[1]}})
    spaces = registry.spaces(config)
    assert spaces.observation_shape == env.observation_space.shape
    assert spaces.actions == env.action_space.n
    assert registry.names(config)["tokens"] == list(env.tokens)


def test_episodes_depend_on_the_seed_alone(case):
    env, other = make(case), make(case)
    episodes = [episode(env, seed) for seed in range(20)]
    assert episodes == [episode(other, seed) for seed in range(20)]
    assert len({str(seen) for seen in episodes}) > 10


def test_each_split_has_the_same_tokens_and_says_nothing_of_another(case):
    said = {}
    for split in wordings.SPLITS:
        env = make(case, split=split)
        said[split] = divided_texts(env)
        assert said[split]
        assert env.tokens == make(case).tokens
        assert env.observation_space == make(case).observation_space
    assert sum(map(len, said.values())) == len(set.union(*said.values()))
    assert len(said["train"]) > len(said["validation"])


def divided_texts(env) -> set[str]:
    module = __import__(type(env).__module__, fromlist=["ENTRIES"])
    names = [name for name, entry in module.ENTRIES.items() if entry.is_divided]
    return set(wordings.all_texts([env.sentences[name] for name in names]))


def test_tokens_are_those_of_the_text(case):
    """Everything that is said has its token, and nothing is cut off."""
    env = make(case, split="test", render_mode="ansi")
    for seed in range(20):
        for observation, text, choices, *_ in episode(env, seed):
            names = [env.tokens[number] for number in observation if number != env.padding]
            assert names == split_text(text, case[1])
            assert len(choices) == env.action_space.n
            assert all(isinstance(choice, str) and choice for choice in choices)
    assert env.render() == text + "\n"


def test_it_has_data_of_its_own(case):
    env = make(case)
    first, again = logged_play(env, 5, seed=1), logged_play(env, 5, seed=1)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    np.testing.assert_allclose(env.behaviour().sum(), 1.0)


@pytest.mark.parametrize("env_id", applications.ENTRY_POINTS)
def test_a_run_can_read_its_data(env_id):
    config = presets.configure(env_id, {})
    (only,) = load_all(["env"], registry.spaces(config), lambda: registry.corpus(config))
    data = only.episodes
    assert data.has_final.all() and data.propensity is not None


@pytest.mark.parametrize("env_id", applications.ENTRY_POINTS)
def test_mistakes_are_told_in_a_sentence(env_id, tmp_path):
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "list.json").write_text("[]")
    for arguments, sentence in (
        ({"language": "fr"}, "language='fr' is none of en, zh"),
        ({"language": 3}, "language=3 is none of en, zh"),
        ({"split": "all"}, "split='all' is none of train, validation, test"),
        ({"wordings": "nowhere.json"}, "wordings=nowhere.json: there is no such file"),
        ({"wordings": "~nobody77/w"}, "wordings=~nobody77/w: there is no such file"),
        ({"wordings": 7}, "wordings=7: must be the path of a JSON file"),
        ({"wordings": str(tmp_path / "text.json")}, "text.json is damaged: it is not JSON"),
        ({"wordings": str(tmp_path / "list.json")}, "damaged: it holds no JSON object"),
        ({"vocabulary": "nowhere.json"}, "^vocabulary=nowhere.json: there is no such file"),
        ({"vocabulary": 7}, "^vocabulary=7: must be the path of a JSON file"),
        ({"render_mode": "human"}, "renders as ansi, not as human"),
    ):
        with pytest.raises(UserError, match=sentence):
            gym.make(env_id, disable_env_checker=True, **arguments)
