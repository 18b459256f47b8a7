"""What a wheel holds, the commands it installs, and the names that `dqn_tf` itself has."""

import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dqn_tf
from command_server import ROOT, complete

COMMANDS = {
    "dqn-train",
    "dqn-evaluate",
    "dqn-export",
    "dqn-serve",
    "dqn-doctor",
    "dqn-record",
    "dqn-track",
    "dqn-search",
}


def sources(suffix: str = "") -> set[str]:
    """The files of the package, of one kind or all, as paths in the wheel."""
    return {
        str(path.relative_to(ROOT))
        for path in (ROOT / "dqn_tf").rglob(f"*{suffix}")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_package(tmp_path):
    """Python, the demo's page and the mark that the package is typed; nothing else."""
    pytest.importorskip("setuptools")
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "setup.py", "-q"),
            *("egg_info", "--egg-base", tmp_path, "build_py", "--build-lib", tmp_path / "lib"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = {
        str(path.relative_to(tmp_path / "lib"))
        for path in (tmp_path / "lib").rglob("*")
        if path.is_file()
    }
    assert built == sources()
    assert {"dqn_tf/py.typed", "dqn_tf/serving/demo/page/index.html"} <= built


def entry_points() -> dict[str, str]:
    """The console scripts of setup.py: name → module:function."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    return dict(re.findall(r'^ +"(dqn-\w+)=([\w.]+:\w+)",$', text, re.MULTILINE))


def test_every_command_is_a_function_of_the_package():
    assert set(entry_points()) == COMMANDS
    for place in entry_points().values():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_console_script_answers_by_its_name(name, tmp_path):
    """As pip writes it: a file of that name that calls the function."""
    module, _, function = entry_points()[name].partition(":")
    script = tmp_path / name
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from {module} import {function}\nsys.exit({function}())\n",
        encoding="utf-8",
    )
    for words, status in ((["--help"], 0), (["--gama=1"], 1)):
        done = complete(words, tmp_path, str(script))
        assert done.returncode == status and "Traceback" not in done.stderr, done.stderr
        if status == 0:
            assert done.stdout.startswith(f"{name} ") and "python" not in done.stdout.split("\n")[0]
        else:
            assert done.stderr.startswith("error: ") and "gama" in done.stderr


def test_the_names_of_the_library_are_found_and_listed():
    assert set(dqn_tf.__all__) == set(dqn_tf.MODULES)
    assert [name for name in dir(dqn_tf) if not name.startswith("__")] == sorted(dqn_tf.__all__)
    for name in dqn_tf.__all__:
        value = getattr(dqn_tf, name)
        assert value.__name__ == name and inspect.getdoc(value), name
    with pytest.raises(AttributeError, match="no attribute 'gama'"):
        dqn_tf.gama  # noqa: B018


def test_type_checkers_see_the_same_names():
    """Those that the module imports under TYPE_CHECKING, each as itself."""
    source = Path(dqn_tf.__file__).read_text(encoding="utf-8")
    imports = re.findall(r"^    from ([\w.]+) import (\w+) as (\w+)$", source, re.MULTILINE)
    assert all(name == alias for _, name, alias in imports)
    assert {name: module for module, name, _ in imports} == dqn_tf.MODULES


def test_importing_dqn_tf_loads_nothing_heavy():
    program = (
        "import sys, dqn_tf\n"
        "dir(dqn_tf)\n"
        "assert not {'tensorflow', 'gymnasium', 'numpy'} & set(sys.modules)\n"
        "dqn_tf.configure('CartPole-v1')\n"
        "dqn_tf.make_env('CartPole-v1').close()\n"
        "assert 'gymnasium' in sys.modules and 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_same_everywhere():
    spec = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
    release = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(release)
    assert release.require_one_version() == dqn_tf.__version__
