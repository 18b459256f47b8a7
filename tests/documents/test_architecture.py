"""The order of the house, as tests: who may import whom, who may know what, how long a file is."""

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import dqn_tf
from dqn_tf.config.dqn_config import DQNConfig

ROOT = Path(dqn_tf.__file__).parent
MOST_LINES = 400

# The rooms, from the top: a room imports only from rooms on lines below its own.
LAYERS = """
    search
    training doctor interop traffic record
    export engines tracking
    evaluation run_files
    distributed
    agent
    experience
    envs
    language
    config
    support
"""
LAYER = {room: -number for number, line in enumerate(LAYERS.split("\n")) for room in line.split()}
# knows SavedModels only and stands beside the house: nothing of it imports it, and it nothing of it
APART = ("serving",)

# Rooms and modules that never load TensorFlow, so that `--help`, a mistake in a flag and a remote
# actor need not wait for it.
WITHOUT_TENSORFLOW = """
    support config language envs experience distributed
    agent.networks.dueling agent.networks.numpy_layers agent.networks.numpy_forward
    run_files.checkpoint run_files.run_directory run_files.metrics_file
    evaluation.__main__ evaluation.flags evaluation.plan evaluation.find_export
    evaluation.episodes evaluation.statistics evaluation.video evaluation.model_entries
    evaluation.off_policy.estimate evaluation.off_policy.plan evaluation.off_policy.report
    export.__main__ export.flags export.run_snapshot
    training.__main__ training.flags training.plan training.progress training.timings
    doctor.__main__ doctor.advice doctor.random_play
    record
    tracking
    search.__main__ search.flags search.plan search.space search.narrowing search.storage
    search.processes search.winner
    traffic.__main__ traffic.flags traffic.report traffic.agreement
"""
# video wraps an environment; all others name its types in annotations, or its version
KNOWS_GYMNASIUM = ("envs.", "evaluation.video", "doctor.random_play")


def module(path: Path) -> str:
    """dqn_tf/engines/host.py → engines.host; the package itself → dqn_tf."""
    parts = [part for part in path.relative_to(ROOT).with_suffix("").parts if part != "__init__"]
    return ".".join(parts) or "dqn_tf"


SOURCES = {module(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in SOURCES.items()}
HOUSE = [name for name in SOURCES if name.split(".")[0] not in APART]
LIGHT = [
    name
    for name in SOURCES
    if name in WITHOUT_TENSORFLOW.split() or name.split(".")[0] in WITHOUT_TENSORFLOW.split()
]


def imported(tree: ast.AST) -> set[str]:
    """Full dotted names of everything that is imported, wherever in the file."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name is from"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def house_imports(tree: ast.AST) -> set[str]:
    """Modules of dqn_tf that are imported."""
    found = set()
    for name in imported(tree):
        parts = name.split(".")
        if parts[0] == "dqn_tf":
            inner = [".".join(parts[1:end]) for end in range(2, len(parts) + 1)]
            found.add(
                next((candidate for candidate in reversed(inner) if candidate in SOURCES), "dqn_tf")
            )
    return found


def room(name: str) -> str:
    """The room of a module, which is its first folder; empty for dqn_tf itself."""
    return name.partition(".")[0] if name != "dqn_tf" else ""


def test_every_room_has_its_layer():
    assert {room(name) for name in HOUSE} - {""} <= set(LAYER)


@pytest.mark.parametrize("name", [name for name in HOUSE if room(name)])
def test_imports_go_one_way_down(name):
    above = [
        other
        for other in house_imports(TREES[name])
        if room(other) not in ("", room(name))
        and (room(other) not in LAYER or LAYER[room(other)] >= LAYER[room(name)])
    ]
    assert not above, f"{name} imports {above}, which it must not know"


def test_no_circle_of_imports():
    """Not within a room either, and not for annotations' sake."""
    below = {name: house_imports(tree) - {name, "dqn_tf"} for name, tree in TREES.items()}
    while free := {name for name, others in below.items() if not others & below.keys()}:
        below = {name: others for name, others in below.items() if name not in free}
    assert not below, f"these import each other: {sorted(below)}"


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in HOUSE])
def test_what_stands_apart_knows_nothing_of_the_house(name):
    assert {other.split(".")[0] for other in house_imports(TREES[name])} <= {name.split(".")[0]}


@pytest.mark.parametrize(
    "name", [name for name in HOUSE if not name.startswith(KNOWS_GYMNASIUM) and name != "envs"]
)
def test_gymnasium_is_known_by_its_types_only(name):
    annotations = {
        id(part)
        for node in ast.walk(TREES[name])
        for field in ("annotation", "returns")
        if getattr(node, field, None) is not None
        for part in ast.walk(getattr(node, field))
    }
    for node in ast.walk(TREES[name]):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in ("gym", "gymnasium")
        ):
            assert node.attr == "__version__" or id(node) in annotations, (
                f"line {node.lineno} uses gymnasium.{node.attr}"
            )
    assert not [found for found in imported(TREES[name]) if found.startswith("gymnasium.")]


@pytest.mark.parametrize("name", SOURCES)
def test_no_keras_beside_tf_keras_and_nothing_that_runs_what_it_reads(name):
    for found in imported(TREES[name]):
        assert found.split(".")[0] not in (
            "keras",
            "tf_keras",
            "pickle",
            "dill",
            "cloudpickle",
            "joblib",
            "marshal",
            "shelve",
        ), found
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            assert called not in ("eval", "exec", "__import__"), f"line {node.lineno}"
            allowed = [
                keyword.value.value for keyword in node.keywords if keyword.arg == "allow_pickle"
            ]
            assert allowed in ([], [False]), f"line {node.lineno} allows pickle"
        assert not (isinstance(node, ast.Attribute) and node.attr == "Lambda"), (
            f"line {node.lineno}: a Lambda layer cannot be loaded elsewhere"
        )


@pytest.mark.parametrize("name", SOURCES)
def test_no_global_randomness(name):
    """Every number is drawn from a generator that has a name, or is a function of a seed that is
    given with it (`stateless_`). A seed that nobody gave is drawn as Keras draws one.
    """
    for node in ast.walk(TREES[name]):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Attribute)
            and node.value.attr == "random"
        ):
            assert node.attr in (
                "default_rng",
                "Generator",
                "SeedSequence",
                "PCG64",
                "stateless_normal",
            ), f"line {node.lineno}: random.{node.attr}"
    if name != "config.seeding":
        assert not {found for found in imported(TREES[name]) if found.split(".")[0] == "random"}


@pytest.mark.parametrize(
    "name", [name for name in SOURCES if not name.startswith("config.settings")]
)
def test_config_holds_the_only_defaults(name):
    """A parameter named like a field of DQNConfig has no default of its own; None, "not given", is
    none.
    """
    fields = {field.name for field in dataclasses.fields(DQNConfig)}
    for node in ast.walk(TREES[name]):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            places = [*node.args.posonlyargs, *node.args.args]
            pairs = [
                *zip(reversed(places), reversed(node.args.defaults), strict=False),
                *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
            ]
            for argument, default in pairs:
                if argument.arg in fields and isinstance(default, ast.Constant):
                    assert default.value is None, (
                        f"line {node.lineno}: {argument.arg}={default.value}"
                    )


@pytest.mark.parametrize("name", SOURCES)
def test_files_are_short(name):
    lines = SOURCES[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MOST_LINES


def test_neither_tensorflow_nor_keras_is_loaded_where_it_is_not_needed():
    """Transitively, in a process of its own."""
    program = (
        "import importlib, sys\n"
        f"for name in {LIGHT!r}:\n"
        "    importlib.import_module('dqn_tf.' + name)\n"
        "    loaded = {'tensorflow', 'keras'} & set(sys.modules)\n"
        "    assert not loaded, f'{name} loads {loaded}'\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr


def test_the_commands_are_short_and_load_tensorflow_late():
    for path in (ROOT.parent / "train.py", ROOT.parent / "evaluate.py"):
        source = path.read_text(encoding="utf-8")
        assert len(source.splitlines()) < 60
        at_the_top = [
            node
            for node in ast.parse(source).body
            if isinstance(node, (ast.Import, ast.ImportFrom))
        ]
        assert house_imports(ast.Module(at_the_top, [])) <= {*LIGHT}, path
