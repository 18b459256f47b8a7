"""Texts of installed packages: which split each has, what they mean, and what is refused.

Most is tried on packages of the test's own, made as the real ones are.
"""

import importlib.util
import re

import pytest

from dqn_tf.envs.applications import film_titles, finance_headlines, news_alert, title_rec
from dqn_tf.envs.applications.news_alert import NewsAlert
from dqn_tf.envs.applications.package_data import in_places, package_file
from dqn_tf.envs.applications.title_rec import TitleRec
from dqn_tf.envs.applications.wordings import SPLITS, all_texts, of_split
from dqn_tf.support.errors import UserError

WORDS = {
    -1: "abyss bleak crash drown erode flood grief havoc insult jail knock loss",
    1: "award bloom cheer dream excel fresh gain hope ideal joy kind lucky",
}
FILMS = """item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq
1\tHaunted Mill, The\t1990\tHorror Thriller
2\tHaunted Mill 2, The\t1992\tHorror
3\tSmall Bears, Big Bears\t1994\tAnimation Children's
4\tLove at the Mill\t1995\tHorror Romance
5\thaunted mill 2, The\t1996\tHorror
6\tQuiet Years\t1997\tDrama
7\tRobbery, A\t1998\tCrime Drama"""


@pytest.fixture(autouse=True)
def read_anew():
    caches = (finance_headlines.headlines, film_titles.titles)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def lexicons(tmp_path, monkeypatch):
    """A package of this name with two lexicons, which must not be imported."""
    folder = tmp_path / "finvader"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    lines = [
        f"    table['{word}'] \t = {score * (0.5 if word in ('loss', 'joy') else 0.9)}"
        for score, words in WORDS.items()
        for word in words.split()
    ]
    lines += [
        "    table['crashed'] = -0.8",
        "    table['tepid'] = -0.1",
        "    table['two words'] = 1",
    ]
    text = "\n".join(["def lexicon1():", "    table = {}", *lines, "    return table"])
    (folder / "SentiBignomics.py").write_text(text)
    (folder / "Henry.py").write_text("table = {}\ntable['kind'] = -1.5")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def words_of(headline):
    """Its words of the lexicons, without those of patterns and subjects."""
    plain = " ".join([*finance_headlines.PATTERNS, *finance_headlines.SUBJECTS])
    known = set(re.findall(r"[a-z]+", plain.lower()))
    return [word for word in re.findall(r"[a-z]+", headline.lower()) if word not in known]


def test_headlines_have_two_words_of_their_kind_and_of_their_split(lexicons):
    sentences = finance_headlines.headlines()
    negative = set(WORDS[-1].split()) - {"loss"} | {"crashed", "kind"}
    other = set(WORDS[1].split()) - {"joy", "kind"}
    said = {}
    for split in SPLITS:
        of_one = of_split(sentences, news_alert.ENTRIES, split)
        for kind, allowed in (("negative", negative), ("other", other)):
            for headline in of_one[kind]:
                words = words_of(headline)
                assert len(words) == 2 and set(words) <= allowed, headline
        said[split] = {
            word[:5] for texts in of_one.values() for text in texts for word in words_of(text)
        }
    assert said["train"] and said["validation"] and said["test"]
    assert not said["train"] & said["test"] and not said["validation"] & said["test"]
    assert not said["train"] & said["validation"]


def test_a_file_that_is_no_lexicon_is_refused(lexicons):
    for text, sentence in (
        ("a = 1", "has no word with a score"),
        ("a[", "is no lexicon"),
        ("a['b'] = open('x')", "is no lexicon"),
    ):
        (lexicons / "Henry.py").write_text(text)
        with pytest.raises(UserError, match=rf"wordings=finvader: .*Henry.py {sentence}"):
            NewsAlert(wordings="finvader")
    (lexicons / "Henry.py").unlink()
    with pytest.raises(UserError, match="the installed package has no file .*Henry.py"):
        NewsAlert(wordings="finvader")


def test_a_film_counts_for_a_genre_if_it_has_no_other_of_the_five(tmp_path):
    path = tmp_path / "ml-100k.item"
    path.write_text(FILMS)
    assert film_titles.films(path) == [
        ["The Haunted Mill", "The Haunted Mill 2"],
        ["Small Bears, Big Bears"],
        [],
        [],
        ["A Robbery"],
    ]
    path.write_text("id\ttitle\n1\tx")
    with pytest.raises(UserError, match="has the columns id, title, and must have movie_title"):
        film_titles.films(path)


def test_texts_of_each_split_stand_where_files_have_them():
    texts = in_places({"train": list("abcde"), "validation": list("ABC"), "test": list("123")})
    assert texts == ["a", "b", "A", "1", "c", "d", "B", "2"]


def test_a_package_that_is_missing_or_in_another_language_is_a_sentence(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for env, package in ((NewsAlert, "finvader"), (TitleRec, "recbole")):
        with pytest.raises(UserError, match=f"^wordings={package} reads texts .* not installed"):
            env(wordings=package)
        with pytest.raises(UserError, match=f"^vocabulary={package} reads .* --no-deps {package}"):
            env(vocabulary=package)
        with pytest.raises(
            UserError, match=f'wordings={package} are English texts, and language="z'
        ):
            env(language="zh", wordings=package)


def require_installed(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed")


def test_the_real_headlines():
    require_installed("finvader")
    env = NewsAlert(wordings="finvader", split="test")
    known, unseen = (
        {word for text in all_texts(each.sentences) for word in words_of(text)}
        for each in (NewsAlert(wordings="finvader"), env)
    )
    assert len(unseen) > 200 and not known & unseen
    assert env.optimal_return() == NewsAlert().optimal_return()
    _, info = env.reset(seed=3)
    for _ in range(3):
        *_, info = env.step(0)
    assert " | ".join(message["content"] for message in info["messages"]) == info["text"]
    scores = finance_headlines.lexicon(package_file("finvader", "SentiBignomics.py"))
    scores |= finance_headlines.lexicon(package_file("finvader", "Henry.py"))
    for kind, sign in (("negative", -1), ("other", 1)):
        for headline in env.sentences[kind]:
            assert all(
                sign * scores[word] >= finance_headlines.LEAST for word in words_of(headline)
            )


def test_the_real_titles():
    require_installed("recbole")
    envs = {split: TitleRec(wordings="recbole", split=split, order="choices") for split in SPLITS}
    firsts = {
        split: {film_titles._first_word(t) for titles in env.sentences["titles"] for t in titles}
        for split, env in envs.items()
    }
    assert not firsts["train"] & firsts["test"] and not firsts["validation"] & firsts["test"]
    assert all(len(titles) >= 10 for titles in envs["test"].sentences["titles"])
    env = envs["train"]
    assert env.optimal_return() == TitleRec().optimal_return()
    _, info = env.reset(seed=1, options={"reader": 7})
    assert len(info["messages"]) == 5 and sorted(env.order) == list(range(5))
    for title, genre in zip(info["choices"], env.order, strict=True):
        assert title in env.sentences["titles"][genre] and title not in info["text"]
    *_, info = env.step(0)
    told = [message["content"] for message in info["messages"]]
    assert " ".join(told) == info["text"] and len(told) <= env.max_messages
    assert set(told) <= set(env.texts) and set(info["choices"]) <= set(env.texts)
    assert title_rec.read("recbole", "en")["genres"][4] == "crime films"
