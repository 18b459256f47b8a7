"""Minari data sets: read as they were written, without losses, or refused in a sentence."""

import json
import shutil
import tracemalloc

import gymnasium as gym
import numpy as np
import pytest

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged import minari_data, sources
from dqn_tf.experience.logged.summary import summarize
from dqn_tf.record import __main__ as command
from dqn_tf.record import flags as record_flags
from dqn_tf.support.errors import UserError

minari = pytest.importorskip("minari")
h5py = pytest.importorskip("h5py")

VECTORS = Spaces((2,), "float32", 3, action_start=5, masked=True)
PICTURES = Spaces((48, 40, 3), "uint8", 2)
NAME = "worlds/masked-v0"

# Minari's advice on what a data set should say of its author
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """Where Minari keeps its data sets."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def record(*words):
    with pytest.raises(SystemExit) as end:
        command.main(record_flags.parse(["record", *map(str, words)]))
    assert end.value.code == 0


@pytest.mark.parametrize("env", ["Masked-v0", "MaskedInfo-v0"])
def test_the_same_episodes_as_npz_and_as_minari_are_the_same_data(tmp_path, root, env):
    words = [f"--env=recorded_worlds:{env}", "--steps=60", "--seed=4"]
    record(*words, f"--output=minari:{NAME}")
    record(*words, f"--output={tmp_path / 'a.npz'}")
    expected = sources.load(str(tmp_path / "a.npz"), VECTORS)
    for spec in (f"minari:{NAME}", str(root / NAME), str(root / NAME / "data")):
        episodes = sources.load(spec, VECTORS)
        assert episodes.source == spec
        assert episodes.digest == expected.digest
        assert (episodes.final_observation == expected.final_observation).all()


def test_pictures_are_kept_byte_by_byte(tmp_path):
    words = ["--env=recorded_worlds:NoisePictures-v0", "--episodes=4"]
    record(*words, "--output=minari:noise-v0")
    record(*words, f"--output={tmp_path / 'a.npz'}")
    expected = sources.load(str(tmp_path / "a.npz"), PICTURES)
    episodes = sources.load("minari:noise-v0", PICTURES)
    assert episodes.digest == expected.digest
    assert not episodes.notes


def buffers(observations, count=2, steps=2, **others):
    """Episodes as Minari's own users make them."""
    ends = np.arange(steps) == steps - 1
    columns = {
        "observations": observations,
        "actions": np.zeros(steps, np.int64),
        "rewards": np.ones(steps),
        "terminations": ends & False,
        "truncations": ends,
        "infos": {},
    } | others
    return [minari.data_collector.EpisodeBuffer(**columns) for _ in range(count)]


def create(name, episodes, space, actions=None, **options):
    """A data set as somebody else may have made it."""
    return minari.create_dataset_from_buffers(
        name,
        episodes,
        observation_space=space,
        action_space=actions or gym.spaces.Discrete(2),
        **options,
    )


PICTURE_SPACE = gym.spaces.Box(0, 255, (48, 40, 3), np.uint8)


def test_jpeg_pictures_are_said_to_be(generator):
    pictures = generator.integers(0, 256, (3, 48, 40, 3), np.uint8)
    create("jpeg-v0", buffers(pictures), PICTURE_SPACE)
    episodes = sources.load("minari:jpeg-v0", PICTURES)
    assert "stored as JPEG" in summarize(episodes, PICTURES)


def test_pictures_are_read_without_a_second_copy():
    episodes = buffers(np.ones((21, 48, 40, 3), np.uint8), count=80, steps=20)
    create("many-v0", episodes, PICTURE_SPACE, jpeg_encoding=False)
    del episodes
    tracemalloc.start()
    try:
        loaded = sources.load("minari:many-v0", PICTURES)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = loaded.observation.nbytes + loaded.final_observation.nbytes
    assert loaded.count == 80
    assert peak < 1.3 * size


def test_float64_spaces_are_rounded_as_the_environment_is():
    space = gym.spaces.Box(-1, 1, (2,), np.float64)
    create("wide-v0", buffers(np.full((3, 2), 0.1)), space)
    episodes = sources.load("minari:wide-v0", Spaces((2,), "float32", 2))
    assert (episodes.observation == np.float32(0.1)).all()
    assert (episodes.final_observation == np.float32(0.1)).all()


SPACE = gym.spaces.Box(-1, 1, (2,), np.float32)
SPACES = Spaces((2,), "float32", 2)
ZEROS = np.zeros((3, 2), np.float32)


def broken(**changes):
    return buffers(ZEROS, **changes)


def sentence(spec, spaces=SPACES):
    with pytest.raises(UserError) as caught:
        sources.load(str(spec), spaces)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("episodes", "expected"),
    [
        (
            broken(rewards=np.array([1, np.nan])),
            ", episode 0, step 1, column reward: nan is no finite float32",
        ),
        (
            [*broken(count=1), *broken(count=1, actions=np.array([1, 2]))],
            ", episode 1, step 1, column action: 2 is no action",
        ),
        (
            broken(terminations=np.array([True, False])),
            ", episode 0, step 0, column terminated: true, and its episode goes on",
        ),
        (
            buffers(np.zeros((2, 2), np.float32)),
            ", episode 0, column observation: it has 1 rows for 2 actions; a Minari episode has",
        ),
        (
            [*broken(count=1), *broken(count=1, infos={"propensity": np.ones(2)})],
            ": some of its episodes have a column propensity, and episode 0 has none.",
        ),
        (
            [*broken(count=1, infos={"propensity": np.ones(2)}), *broken(count=1)],
            ": some of its episodes have a column propensity, and episode 1 has none.",
        ),
        (
            buffers(np.zeros((3, 5), np.float32)),
            ", column observation: its rows have shape [5], and must have [2].",
        ),
        (
            broken(infos={"propensity": np.array([0.5, 0.0])}),
            ", episode 0, step 1, column propensity: 0.0 must be above 0",
        ),
    ],
)
def test_what_is_wrong_in_an_episode(episodes, expected):
    create("bad-v0", episodes, SPACE)
    assert sentence("minari:bad-v0").startswith(f"minari:bad-v0{expected}")


@pytest.mark.parametrize(
    ("spaces", "expected"),
    [
        (Spaces((3,), "float32", 2), "observation_shape (2,) for (3,)."),
        (Spaces((2,), "uint8", 2), "observation_dtype float32 for uint8."),
        (Spaces((2,), "float32", 4), "actions 2 for 4."),
        (Spaces((2,), "float32", 2, action_start=1), "action_start 0 for 1."),
        (Spaces((), "int64", 2, categories=4), "observation_shape (2,) for ()"),
    ],
)
def test_another_environments_data_set(spaces, expected):
    create("other-v0", broken(), SPACE)
    told = sentence("minari:other-v0", spaces)
    assert told.startswith(
        f"minari:other-v0 was recorded in another environment than --env: {expected}"
    )


def test_a_masked_environment_needs_masks():
    create("plain-v0", broken(), SPACE)
    told = sentence("minari:plain-v0", Spaces((2,), "float32", 2, masked=True))
    assert told.startswith("minari:plain-v0 has no column action_mask")


def test_continuous_actions_are_refused():
    actions = gym.spaces.Box(-1, 1, (1,), np.float32)
    create("arm-v0", broken(actions=np.zeros((2, 1), np.float32)), SPACE, actions)
    assert sentence("minari:arm-v0").startswith("minari:arm-v0: DQN needs a Discrete action space")


def test_no_such_data_set(root):
    told = sentence("minari:nowhere-v0")
    assert told == (
        f"--data=minari:nowhere-v0: there is no such data set in {root / 'nowhere-v0'}. To download"
        " one, type: minari download nowhere-v0"
    )
    assert sentence("minari:").endswith("minari download ID")


@pytest.mark.parametrize("missing", ["minari", "h5py"])
def test_minari_is_not_installed(monkeypatch, missing):
    find_spec = minari_data.importlib.util.find_spec
    monkeypatch.setattr(
        minari_data.importlib.util,
        "find_spec",
        lambda name: None if name == missing else find_spec(name),
    )
    assert sentence("minari:any-v0") == (
        f"Minari data sets need {missing}, which is not installed. Type: pip install"
        " 'dqn_tf[minari]'"
    )


def test_damaged_data_sets(root):
    create("whole-v0", broken(), SPACE)
    data = root / "whole-v0" / "data"
    metadata = json.loads((data / "metadata.json").read_text())
    for name, change in (("more", 5), ("fewer", 3)):
        shutil.copytree(root / "whole-v0", root / name)
        changed = json.dumps(metadata | {"total_steps": change})
        (root / name / "data" / "metadata.json").write_text(changed)
        assert "is damaged: its metadata.json says" in sentence(root / name)
    hdf5 = data / "main_data.hdf5"
    content = hdf5.read_bytes()
    hdf5.write_bytes(content[: len(content) // 2])
    assert "whole-v0/data cannot be read: OSError" in sentence(data)
    hdf5.write_bytes(content)
    (data / "metadata.json").write_text("{}")
    assert "whole-v0/data cannot be read: " in sentence(data)


def test_an_existing_data_set_is_never_written_over():
    create("there-v0", broken(), SPACE)
    flags = record_flags.parse(["record", "--env=CartPole-v1", "--output=minari:there-v0"])
    with pytest.raises(UserError, match=r"--output=minari:there-v0: there is such a data set"):
        command.prepare(flags)
