"""Every kind of agent in every format: by TensorFlow's tools, by its C++ loader, without dqn_tf."""

import functools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from command_server import SUPPORT, interpreter, run
from dqn_tf.agent.dqn import DQN
from dqn_tf.envs import tokenizer
from dqn_tf.envs.spaces import Spaces
from dqn_tf.export import gate, publish, runtimes
from dqn_tf.export.signatures import ExportModule
from sample_agents import (
    VARIANTS,
    formats,
    greedy_actions,
    manifest,
    observations,
    variant,
    without_rounding,
)

INVALID_ARGUMENT = 3
pytestmark = pytest.mark.timeout(600)  # its fixtures make dozens of commands and versions

# Answers the questions of several versions by the very file that the gate runs, in one process.
FRESH = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("runtimes", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for name in sys.argv[2:]:
    module.main(Path(name) / "1", Path(name))
assert not [name for name in sys.modules if name.partition(".")[0] == "dqn_tf"]
"""
# Each command as the installed `saved_model_cli` runs it. They share one process, forked from one
# that has TensorFlow, since importing it takes far longer than any of them.
SAVED_MODEL_CLI = """
import contextlib, json, sys
from pathlib import Path
from tensorflow.python.tools import saved_model_cli
for output, *words in json.loads(Path("commands.json").read_text()):
    sys.argv = ["saved_model_cli", *words]
    with open(output, "w") as file, contextlib.redirect_stdout(file):
        try:
            saved_model_cli.main()
        except SystemExit as end:
            assert not end.code, (words, end.code)
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> dict[str, Path]:
    """A version of each variant, in all formats; nothing may change it.

    The gate's questions are asked by test_each_format_answers_in_a_process_without_dqn_tf.
    """
    base = tmp_path_factory.mktemp("variants")
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "gate", lambda *_: None)
        for name in VARIANTS:
            agent = variant(name)
            seen = observations(agent.spaces)
            made[name] = publish.export(agent, base / name, seen, manifest(name), formats(name))
    return made


@functools.cache
def signature_def(version: Path) -> dict:
    """The signatures as they lie in saved_model.pb."""
    saved = SavedModel.FromString((version / "saved_model.pb").read_bytes())
    return dict(saved.meta_graphs[0].signature_def)


@pytest.fixture(scope="module")
def cli(published, tmp_path_factory) -> Callable[[str, str], str]:
    """What `saved_model_cli` writes when it shows, scans or runs a variant."""
    work, commands = tmp_path_factory.mktemp("cli"), []
    for name, version in published.items():
        aside = work / version.parent.name
        aside.mkdir()
        np.save(aside / "seen.npy", observations(variant(name).spaces, 5))
        for command, words in {
            "show": ["--all"],
            "scan": ["--tag_set", "serve"],
            "run": [
                "--tag_set",
                "serve",
                "--signature_def",
                "serving_default",
                "--inputs",
                f"observation={aside / 'seen.npy'}",
                "--outdir",
                str(aside),
                "--overwrite",
            ],
        }.items():
            commands.append([str(aside / command), command, "--dir", str(version), *words])
    (work / "commands.json").write_text(json.dumps(commands), encoding="utf-8")
    (work / "commands.py").write_text(SAVED_MODEL_CLI, encoding="utf-8")
    status, text = run([], work, str(work / "commands.py"))
    assert status == 0, text[-2000:]
    return lambda name, command: (work / published[name].parent.name / command).read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_saved_model_cli_shows_and_scans_it(name, cli):
    shown, spaces = cli(name, "show"), variant(name).spaces
    for signature in ExportModule(variant(name), manifest(name)).endpoints:
        assert f"signature_def['{signature}']" in shown
    batched = (
        ", ".join(map(str, (-1, *spaces.observation_shape))) if spaces.observation_shape else "-1"
    )
    assert f"shape: ({batched})" in shown and f"shape: (-1, {spaces.actions})" in shown
    assert set(re.findall(r"dtype: (DT_\w+)", shown)) <= {
        "DT_FLOAT",
        "DT_INT32",
        "DT_INT64",
        "DT_UINT8",
        "DT_BOOL",
        "DT_STRING",
        "DT_INVALID",
    }
    assert "does not contain the default denylisted ops" in cli(name, "scan")


@pytest.mark.parametrize("name", VARIANTS)
def test_every_output_is_batched_and_of_a_type_that_is_served(name, published):
    for signature, definition in signature_def(published[name]).items():
        if signature != "__saved_model_init_op":
            for tensor in (*definition.inputs.values(), *definition.outputs.values()):
                assert tensor.tensor_shape.dim[0].size == -1, signature
            types = {alias: tensor.dtype for alias, tensor in definition.outputs.items()}
            expected = {
                "action": tf.int64,
                "q_values": tf.float32,
                "propensity": tf.float32,
                "action_text": tf.string,
                "value": tf.string,
            }
            assert types == {alias: expected[alias].as_datatype_enum for alias in types}, signature


@pytest.mark.parametrize("name", VARIANTS)
def test_saved_model_cli_runs_it(name, cli):
    agent, printed = variant(name), cli(name, "run")
    saved = {
        alias: np.load(path)
        for alias, path in re.findall(r"Output (\w+) is saved to (\S+)", printed)
    }
    seen = observations(agent.spaces, 5)
    without_rounding(saved["q_values"], agent(tf.constant(seen)).numpy())
    assert saved["action"].tolist() == greedy_actions(agent, seen)


class Cases:
    """What the C++ loader is asked, by signature and alias."""

    def __init__(self, work: Path) -> None:
        self.work, self.cases, self.feeds = work, [], {}

    def ask(self, version: Path, signature: str, outputs: list[str], **inputs: np.ndarray) -> int:
        definition, feeds = signature_def(version)[signature], []
        for alias, array in inputs.items():
            feeds.append((definition.inputs[alias].name, len(self.feeds)))
            self.feeds[str(len(self.feeds))] = array
        self.cases.append(
            {
                "version": str(version),
                "feeds": feeds,
                "fetches": [definition.outputs[alias].name for alias in outputs],
            }
        )
        return len(self.cases) - 1

    def run(self) -> tuple[list[tuple[int, str]], dict[tuple[int, int], np.ndarray]]:
        np.savez(self.work / "feeds.npz", **self.feeds)
        (self.work / "cases.json").write_text(json.dumps(self.cases), encoding="utf-8")
        libraries = Path(tf.__file__).parent
        done = subprocess.run(
            [sys.executable, "-I", str(SUPPORT / "cpp_loader.py"), str(libraries), str(self.work)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        with np.load(self.work / "answers.npz", allow_pickle=False) as file:
            answers = {tuple(map(int, key.split("|"))): file[key] for key in file.files}
        return json.loads((self.work / "codes.json").read_text(encoding="utf-8")), answers


def wrong(observation: np.ndarray) -> dict[str, np.ndarray]:
    """Observations that must be refused: of another width, rank, type."""
    dtype = {"float32": np.int32, "bool": np.uint8}.get(str(observation.dtype), np.float32)
    return {
        "width": (
            np.concatenate([observation, observation], axis=-1)
            if observation.ndim > 1
            else observation[:, np.newaxis]
        ),
        "rank": observation[:, np.newaxis],
        "no batch": observation[0],
        "type": observation.astype(dtype),
    }


def ask_what_fits(cases: Cases, version: Path, agent: DQN, batch: int) -> dict[int, np.ndarray]:
    """Ask each signature that acts about `batch` observations; return those by case."""
    spaces, both = agent.spaces, ["action", "q_values"]
    seen = observations(spaces, 32)[:batch]
    explored = {"epsilon": np.zeros(batch, np.float32), "seed": np.arange(batch)}
    numbers = [
        cases.ask(version, "serving_default", both, observation=seen),
        cases.ask(version, "epsilon_greedy", both, observation=seen, **explored),
    ]
    if spaces.masked:
        inputs = {"observation": seen, "action_mask": np.ones((batch, spaces.actions), bool)}
        numbers.append(cases.ask(version, "serving_default_masked", both, **inputs))
    if "observation_bytes" in ExportModule(agent, {}).endpoints:
        rows = [np.void(row.tobytes()) for row in seen]
        content = np.array(rows) if batch else np.zeros(0, "V4")
        numbers.append(cases.ask(version, "observation_bytes", both, observation_bytes=content))
    asked = dict.fromkeys(numbers, seen)
    if (reader := tokenizer.of_names(manifest(version.parent.name), spaces)) is None:
        return asked
    rows = [[reader.text(row), *reader.choice_texts(row)] for row in seen]
    padded = [[np.void(text.encode().ljust(64)) for text in row] for row in rows]  # of one length
    read = [
        reader.observation(text.tobytes(), [c.tobytes() for c in rest]) for text, *rest in padded
    ]
    given = np.array(padded) if batch else np.zeros((0, 1 + spaces.choices), "V4")
    inputs = {"text": given[:, 0]} | ({"choices": given[:, 1:]} if spaces.choices else {})
    number = cases.ask(version, "text", both, **inputs)
    return asked | {number: np.array(read, seen.dtype).reshape(seen.shape)}


def ask_what_does_not_fit(cases: Cases, version: Path, spaces: Spaces) -> dict[str, int]:
    """Ask for everything that must be refused; return the cases' numbers by what is wrong.

    For all outputs at once, as a server does: the library prepares each set of outputs anew.
    """
    seen, both = observations(spaces, 32), ["action", "q_values"]
    one_seed = {"epsilon": np.zeros(32, np.float32), "seed": np.zeros(1, np.int64)}
    numbers = {"one seed": cases.ask(version, "epsilon_greedy", both, observation=seen, **one_seed)}
    if spaces.masked:
        inputs = {"observation": seen, "action_mask": np.ones((1, spaces.actions), bool)}
        numbers["one mask"] = cases.ask(version, "serving_default_masked", both, **inputs)
    for what, observation in wrong(seen).items():
        for signature, outputs in (("serving_default", both), ("q_values", ["q_values"])):
            number = cases.ask(version, signature, outputs, observation=observation)
            numbers[f"{what}, {signature}"] = number
    return numbers


@pytest.mark.skipif(
    sys.platform != "linux", reason="the names of TensorFlow's C++ libraries are those of Linux"
)
def test_tensorflows_cpp_loader_answers_as_the_agent_and_refuses_what_does_not_fit(
    published, tmp_path
):
    """Batches 0, 1 and 32 of each variant, and everything of a wrong shape or type.

    All in one process without TensorFlow's Python.
    """
    cases, right, refused = Cases(tmp_path), [], []
    for name, version in published.items():
        for batch in (0, 1, 32):
            for number, seen in ask_what_fits(cases, version, variant(name), batch).items():
                right.append((name, seen, number))
        for what, number in ask_what_does_not_fit(cases, version, variant(name).spaces).items():
            refused.append((name, what, number))
    codes, answers = cases.run()
    for name, seen, number in right:
        agent = variant(name)
        whole = np.concatenate([seen, observations(agent.spaces, 1)])  # never empty
        expected = agent(tf.constant(whole)).numpy()[:-1]
        assert codes[number][0] == 0, (name, len(seen), codes[number])
        without_rounding(answers[number, 1], expected)
        assert answers[number, 0].dtype == np.int64
        assert answers[number, 0].tolist() == greedy_actions(agent, whole)[:-1], name
    for name, what, number in refused:
        assert codes[number][0] == INVALID_ARGUMENT, (name, what, codes[number])


def test_each_format_answers_in_a_process_without_dqn_tf(published):
    """All questions of the gate, to all variants in all formats; one process."""
    asked = {}
    for name, version in published.items():
        agent, manifest = (
            variant(name),
            json.loads((version / "assets.extra" / "dqn_tf.json").read_text(encoding="utf-8")),
        )
        served = ExportModule(agent, manifest)
        asked[name] = (
            agent,
            manifest,
            gate.gate_requests(
                version, agent, served, observations(agent.spaces), manifest, formats(name)
            ),
        )
        runtimes.write_questions(version.parent, gate.serialise(asked[name][2]))
    done = interpreter(
        "-c",
        FRESH,
        runtimes.__file__,
        *(version.parent for version in published.values()),
        cwd=Path("/"),
        PYTHONPATH="",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, (agent, manifest, questions) in asked.items():
        assert {kind for kind, _ in questions} == set(formats(name))
        for (kind, request), answer in zip(
            questions, runtimes.read_answers(published[name].parent), strict=True
        ):
            assert gate.find_fault(agent, request, answer, manifest) == "", (
                name,
                kind,
                request.signature,
            )


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_other_formats_take_any_batch_and_leave_the_choice_to_masks(kind, published):
    holders = [name for name in published if kind in formats(name)]
    if not holders:
        pytest.skip("onnx and onnxruntime are not installed: pip install -e '.[onnx]'")
    for name in holders:
        version = published[name]
        agent = variant(name)
        model = runtimes.LOADERS[kind](version / runtimes.FILES[kind])
        for batch in (1, 3):
            seen = observations(agent.spaces, batch)
            answer = model(
                "serving_default", {"observation": tf.make_tensor_proto(seen).SerializeToString()}
            )
            assert set(answer) == {"q_values"} | ({"action"} if not agent.spaces.masked else set())
            without_rounding(answer["q_values"], agent(tf.constant(seen)).numpy())
