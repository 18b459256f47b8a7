"""Asks an export in each of its formats, by that format's own runtime.

Nothing of dqn_tf is imported here. The gate calls these functions, or runs this file as a script in
a fresh process, in which dqn_tf cannot be imported at all:

    python runtimes.py VERSION WORK     answers WORK/questions.npz in WORK/answers.npz

A question is (format, signature, inputs), its inputs serialised TensorProtos by name. An answer is
a dict of arrays.
"""

import gc
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Inputs = dict[str, bytes]
Question = tuple[str, str, Inputs]
Answer = dict[str, Any]  # NumPy arrays: this file imports NumPy late
Model = Callable[[str, Inputs], Answer]  # answers a signature's inputs

FILES = {"savedmodel": "", "tflite": "assets.extra/model.tflite", "onnx": "assets.extra/model.onnx"}
QUESTIONS = "questions.npz"
ANSWERS = "answers.npz"
SEPARATOR = "|"  # between the parts of an array's name in these files


def answer_questions(version: Path, questions: list[Question]) -> list[Answer]:
    """Return the answers in the order of the questions; each format's model is loaded once."""
    formats = dict.fromkeys(name for name, _, _ in questions)
    models = {name: LOADERS[name](version / FILES[name]) for name in formats}
    return [models[name](signature, inputs) for name, signature, inputs in questions]


def load_savedmodel(path: Path) -> Model:
    """Load a SavedModel by TensorFlow's loader."""
    import tensorflow as tf

    model = tf.saved_model.load(str(path))

    def answer(signature: str, inputs: Inputs) -> Answer:
        function = model.signatures[signature]
        specs = function.structured_input_signature[1]
        tensors = {
            name: tf.constant(array, specs[name].dtype, array.shape)
            for name, array in parse_arrays(inputs).items()
        }
        return {name: output.numpy() for name, output in function(**tensors).items()}

    return answer


def load_tflite(path: Path) -> Model:
    """Load a TensorFlow Lite model by its interpreter."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=str(path))

    def answer(signature: str, inputs: Inputs) -> Answer:
        return interpreter.get_signature_runner(signature)(**parse_arrays(inputs))

    return answer


def load_onnx(path: Path) -> Model:
    """Load an ONNX model, which has one signature only, by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def answer(signature: str, inputs: Inputs) -> Answer:
        return dict(zip(names, session.run(names, parse_arrays(inputs)), strict=True))

    return answer


LOADERS = {"savedmodel": load_savedmodel, "tflite": load_tflite, "onnx": load_onnx}


def parse_arrays(inputs: Inputs) -> Answer:
    """Return the inputs as NumPy arrays; strings are objects."""
    import tensorflow as tf
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    return {
        name: tf.make_ndarray(TensorProto.FromString(bytes(tensor)))
        for name, tensor in inputs.items()
    }


def write_questions(work: Path, questions: list[Question]) -> None:
    """Write the questions for the script."""
    import numpy as np

    arrays: dict[str, Any] = {}
    for number, (kind, signature, inputs) in enumerate(questions):
        for name, tensor in inputs.items():
            key = SEPARATOR.join((str(number), kind, signature, name))
            arrays[key] = np.frombuffer(tensor, np.uint8)
    np.savez(work / QUESTIONS, **arrays)


def read_questions(work: Path) -> list[Question]:
    """Read what `write_questions` wrote."""
    import numpy as np

    questions: dict[int, Question] = {}
    with np.load(work / QUESTIONS, allow_pickle=False) as file:
        for key in file.files:
            number, kind, signature, name = key.split(SEPARATOR)
            _, _, inputs = questions.setdefault(int(number), (kind, signature, {}))
            inputs[name] = file[key].tobytes()
    return [questions[number] for number in range(len(questions))]


def write_answers(work: Path, answers: list[Answer]) -> None:
    """Write the script's answers; strings as bytes, since objects would need pickle."""
    import numpy as np

    arrays: dict[str, Any] = {}
    for number, answer in enumerate(answers):
        for name, array in answer.items():
            plain = array.astype("S") if array.dtype == object else array
            arrays[f"{number}{SEPARATOR}{name}"] = plain
    np.savez(work / ANSWERS, **arrays)


def read_answers(work: Path) -> list[Answer]:
    """Read what the script wrote, in the order of the questions."""
    import numpy as np

    answers: dict[int, Answer] = {}
    with np.load(work / ANSWERS, allow_pickle=False) as file:
        for key in file.files:
            number, _, name = key.partition(SEPARATOR)
            answers.setdefault(int(number), {})[name] = file[key]
    return [answers[number] for number in range(len(answers))]


def main(version: Path, work: Path) -> None:
    """Answer the questions in `work` where dqn_tf cannot be imported."""
    sys.meta_path.insert(0, _HideDqnTf())
    gc.disable()  # all that the import makes stays; looking for garbage in it takes a second
    importlib.import_module("tensorflow")
    gc.enable()
    write_answers(work, answer_questions(version, read_questions(work)))


class _HideDqnTf:
    """An import hook that hides dqn_tf, as if it were not installed."""

    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] == "dqn_tf":
            raise ModuleNotFoundError(f"No module named '{name}': an export must not need it")


if __name__ == "__main__":
    sys.path.pop(0)  # this file's own directory, whose names must not hide a package's
    main(Path(sys.argv[1]), Path(sys.argv[2]))
