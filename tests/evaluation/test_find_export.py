"""find_export.py: what --model may name, and what is never opened."""

import json
import pickle
import sys
from pathlib import Path

import pytest

from dqn_tf.evaluation.find_export import default_directory, find_export, require_same_env
from dqn_tf.export.publish import published_versions
from dqn_tf.serving.models import version_policy
from dqn_tf.support.errors import UserError

OPENED = []  # every file that this process opened, from here on
sys.addaudithook(
    lambda event, arguments: OPENED.append(str(arguments[0])) if event == "open" else None
)


def tree(base, *versions):
    for version in versions:
        (base / version).mkdir(parents=True)
        (base / version / "saved_model.pb").touch()
    return base


def test_a_base_directory_stands_for_its_highest_whole_version(tmp_path):
    base = tree(tmp_path, "2", "10", "9", "latest", "1²")
    (base / "11" / "variables").mkdir(parents=True)  # an export that never came to its end
    version = find_export(str(base))
    assert version.path == base / "10" and version.number == 10 and version.manifest == {}
    assert find_export(f"{base}/").path == base / "10"


def test_links_and_numbers_are_read_as_a_server_reads_them(tmp_path):
    base = tree(tmp_path / "base", "5", str(2**63), "20260101120000123456")
    elsewhere = tree(tmp_path / "elsewhere", "2", "cart")
    (base / "6").symlink_to(elsewhere / "2")
    (base / "newest").symlink_to(base / "5")
    assert find_export(str(base)).path == base / "6" and find_export(str(base)).number == 6
    assert find_export(str(base / "newest")).number == 5
    (base / "7").symlink_to(elsewhere / "cart")
    assert find_export(str(base)).path == base / "7"
    numbers = version_policy.find_versions(str(base))
    assert numbers is not None and sorted(numbers) == [5, 6, 7]
    assert published_versions(base) == [5, 6, 7]


def test_one_version_stands_for_itself(tmp_path):
    assert find_export(str(tree(tmp_path, "2", "3") / "2")).number == 2
    assert find_export(str(tree(tmp_path, "named") / "named")).number is None


def test_a_run_directory_stands_for_its_export(models):
    version = find_export(str(models / "run"))
    assert version.path == models / "CartPole-v1" / "1" and version.manifest["env"] == "CartPole-v1"


def test_what_holds_no_model_is_named(tmp_path):
    def sentence(path):
        with pytest.raises(UserError) as error:
            find_export(str(path))
        return str(error.value)

    assert sentence(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: there is no such directory."
    assert "holds no SavedModel: no saved_model.pb and no numbered version" in sentence(tmp_path)
    tree(tmp_path / "saved_models" / "Pong-v5", "1")
    assert f"Did you mean {tmp_path / 'saved_models' / 'Pong-v5'}?" in sentence(
        tmp_path / "saved_models"
    )
    (tmp_path / "saved_models" / "Pong-v5" / "1" / "saved_model.pb").unlink()
    assert "holds no SavedModel" in sentence(tmp_path / "saved_models" / "Pong-v5")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    begun = tmp_path / "just begun"
    begun.mkdir()
    (begun / "metrics.csv").write_text("")
    for path, typed in ((tmp_path / "run", f"{tmp_path}/run"), (begun, f"'{begun}'")):
        assert "has not finished" in sentence(path)
        assert sentence(path).endswith(f"--resume={typed}")
    for content, expected in (
        ('{"export": "/nowhere/3"}', "names the export /nowhere/3, and no SavedModel is there"),
        ('{"env": "x"}', "names no export"),
        ("[]", "holds no JSON object"),
        ('{"exp', "it is not JSON"),
    ):
        (tmp_path / "run" / "evaluation.json").write_text(content)
        assert expected in sentence(tmp_path / "run")


class Canary:
    """Unpickled, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "name", ["model.pkl", "model.h5", "model.keras", "model.zip", "saved_model.pb"]
)
def test_a_file_is_refused_without_being_opened(name, tmp_path, evaluate_py):
    dead, model = tmp_path / "dead", tmp_path / name
    model.write_bytes(pickle.dumps(Canary(dead)))
    pickle.loads(model.read_bytes())
    assert dead.exists()  # the canary is one
    dead.unlink()
    OPENED.clear()
    with pytest.raises(UserError, match="refused: only SavedModels are loaded"):
        evaluate_py(f"--model={model}")
    assert not dead.exists() and str(model) not in OPENED


def project(base, weights="a" * 64):
    """A project in `base`: a run in runs/r whose export is saved/X/1, as train.py leaves them."""
    version = tree(base / "saved" / "X", "1") / "1"
    write(version / "assets.extra" / "dqn_tf.json", {"env": "X-v0", "weights_sha256": weights})
    report = {"export": str(version), "weights_sha256": weights, "best": None}
    write(base / "runs" / "r" / "evaluation.json", report)
    write(base / "runs" / "r" / "config.json", {"run_dir": str(base / "runs" / "r")})
    return version


def write(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")


def test_a_moved_project_finds_its_own_exports(tmp_path):
    project(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert find_export(tmp_path / "new" / "runs" / "r").path == tmp_path / "new" / "saved/X/1"
    project(tmp_path / "old", "b" * 64)  # another project, at the recorded place
    assert find_export(tmp_path / "new" / "runs" / "r").path == tmp_path / "new" / "saved/X/1"


def test_a_run_that_was_moved_alone_finds_its_export_where_it_was(tmp_path):
    version = project(tmp_path)
    (tmp_path / "runs" / "r").rename(tmp_path / "mine")
    assert find_export(tmp_path / "mine").path == version
    write(version / "assets.extra" / "dqn_tf.json", {"weights_sha256": "c" * 64})
    with pytest.raises(UserError, match="no SavedModel is there with the weights of this run"):
        find_export(tmp_path / "mine")


def test_home_directories_are_known(tmp_path, monkeypatch):
    tree(tmp_path / "models", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_export("~/models").path == tmp_path / "models" / "1"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"env": 3}, "env is 3, and must be a text"),
        ({"env_steps": "9"}, 'env_steps is "9", and must be a whole number'),
        ({"spaces": []}, r"spaces is \[\], and must be an object"),
        ({"spaces": {"action_start": "1"}}, 'action_start is "1", and must be a whole number'),
        ({"config": 1}, "config is 1, and must be an object"),
        ({"action_meanings": True}, "action_meanings is true, and must be a list"),
        ({"observation_range": [0]}, "observation_range is .*, and must be an object"),
    ],
)
def test_a_manifest_with_a_wrong_type_is_named(tmp_path, entry, said):
    version = tree(tmp_path, "1") / "1"
    write(version / "assets.extra" / "dqn_tf.json", {"score": None} | entry)
    with pytest.raises(UserError, match=rf"dqn_tf\.json is damaged: {said}"):
        find_export(tmp_path)


def test_json_that_is_nested_for_ever_is_damaged(tmp_path):
    path = tree(tmp_path, "1") / "1" / "assets.extra" / "dqn_tf.json"
    path.parent.mkdir()
    path.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(UserError, match="is damaged: it is not JSON"):
        find_export(tmp_path)


def test_a_directory_holds_versions_for_one_environment(tmp_path):
    require_same_env(tmp_path / "nowhere", "a_pkg/Grid-v0")
    require_same_env(tree(tmp_path, "1"), "a_pkg/Grid-v0")  # it does not say what it plays
    write(tree(tmp_path, "2") / "2" / "assets.extra" / "dqn_tf.json", {"env": "a_pkg/Grid-v0"})
    require_same_env(tmp_path, "a_pkg/Grid-v0")
    spaces = {"categories": 16, "actions": 4}
    require_same_env(tmp_path, "a_pkg/Grid-v0", spaces)
    about = {"env": "a_pkg/Grid-v0", "spaces": spaces}
    write(tmp_path / "2" / "assets.extra" / "dqn_tf.json", about)
    require_same_env(tmp_path, "a_pkg/Grid-v0", spaces | {"of a later version": 1})
    with pytest.raises(UserError, match="Grid-v0 with categories 16 for 64, .* give this one"):
        require_same_env(tmp_path, "a_pkg/Grid-v0", spaces | {"categories": 64})
    here = tmp_path.with_name(f"{tmp_path.name}-2")
    assert default_directory(tmp_path, "a_pkg/Grid-v0", spaces) == tmp_path
    assert default_directory(tmp_path, "a_pkg/Grid-v0", spaces | {"categories": 64}) == here
    assert default_directory(tmp_path, "b_pkg/Grid-v0", {"categories": 64}) == tmp_path
    with pytest.raises(UserError, match="for a_pkg/Grid-v0, .* give b_pkg/Grid-v0 another"):
        require_same_env(tmp_path, "b_pkg/Grid-v0")
