"""find_export.py: what --model may name, and what is never opened."""

import pickle
import sys
from pathlib import Path

import pytest

from dqn_tf.evaluation.find_export import find_export
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
    assert "--resume=" in sentence(tmp_path / "run") and "has not finished" in sentence(
        tmp_path / "run"
    )
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
    with pytest.raises(UserError, match="refused: evaluate.py loads SavedModels only"):
        evaluate_py(f"--model={model}")
    assert not dead.exists() and str(model) not in OPENED
