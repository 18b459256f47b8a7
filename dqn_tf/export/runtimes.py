"""What an export answers in each format, by that format's own runtime.

Nothing of dqn_tf is imported here: the gate calls these functions, or runs this file as a script in
a fresh process, in which dqn_tf cannot be imported at all.

    python runtimes.py VERSION WORK     answers WORK/questions.npz in WORK/answers.npz

A question is (format, signature, inputs), its inputs serialised TensorProtos by name; an answer is
a dict of arrays.
"""

import sys
from collections.abc import Callable
from pathlib import Path

Inputs = dict[str, bytes]
Question = tuple[str, str, Inputs]
Answer = dict  # of NumPy arrays: this file imports NumPy late

FILES = {"savedmodel": "", "tflite": "assets.extra/model.tflite", "onnx": "assets.extra/model.onnx"}
SEPARATOR = "|"


def answers(version: Path, questions: list[Question]) -> list[Answer]:
    """The answers, in the order of the questions; each format's model is loaded once."""
    loaded = {
        name: LOADERS[name](version / FILES[name])
        for name in dict.fromkeys(question[0] for question in questions)
    }
    return [loaded[name](signature, inputs) for name, signature, inputs in questions]


def savedmodel(path: Path) -> Callable[[str, Inputs], Answer]:
    """By TensorFlow's loader."""
    import tensorflow as tf

    model = tf.saved_model.load(str(path))

    def answer(signature: str, inputs: Inputs) -> Answer:
        specs = model.signatures[signature].structured_input_signature[1]
        given = {
            name: tf.constant(array, specs[name].dtype, array.shape)
            for name, array in arrays(inputs).items()
        }
        return {
            name: output.numpy() for name, output in model.signatures[signature](**given).items()
        }

    return answer


def tflite(path: Path) -> Callable[[str, Inputs], Answer]:
    """By TensorFlow Lite's interpreter."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=str(path))
    return lambda signature, inputs: interpreter.get_signature_runner(signature)(**arrays(inputs))


def onnx(path: Path) -> Callable[[str, Inputs], Answer]:
    """By ONNX Runtime, which knows one signature only."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda signature, inputs: dict(
        zip(names, session.run(names, arrays(inputs)), strict=True)
    )


LOADERS = {"savedmodel": savedmodel, "tflite": tflite, "onnx": onnx}


def arrays(inputs: Inputs) -> Answer:
    """The inputs as NumPy arrays; strings are objects."""
    import tensorflow as tf
    from tensorflow.core.framework.tensor_pb2 import TensorProto

    return {
        name: tf.make_ndarray(TensorProto.FromString(bytes(tensor)))
        for name, tensor in inputs.items()
    }


def write_questions(work: Path, questions: list[Question]) -> None:
    """For the script to read."""
    import numpy as np

    named = {
        SEPARATOR.join((str(number), kind, signature, name)): np.frombuffer(tensor, np.uint8)
        for number, (kind, signature, inputs) in enumerate(questions)
        for name, tensor in inputs.items()
    }
    np.savez(work / "questions.npz", **named)


def read_answers(work: Path) -> list[Answer]:
    """What the script wrote, in the order of the questions."""
    import numpy as np

    found: dict[int, Answer] = {}
    with np.load(work / "answers.npz", allow_pickle=False) as file:
        for key in file.files:
            number, _, name = key.partition(SEPARATOR)
            found.setdefault(int(number), {})[name] = file[key]
    return [found[number] for number in range(len(found))]


def main(version: Path, work: Path) -> None:
    """Answers the questions in `work` where dqn_tf does not exist."""
    sys.meta_path.insert(0, _Absent())
    import numpy as np

    questions: dict[int, Question] = {}
    with np.load(work / "questions.npz", allow_pickle=False) as file:
        for key in file.files:
            number, kind, signature, name = key.split(SEPARATOR)
            questions.setdefault(int(number), (kind, signature, {}))[2][name] = file[key].tobytes()
    named = {}
    for number, answer in enumerate(
        answers(version, [questions[number] for number in range(len(questions))])
    ):
        for name, array in answer.items():
            named[f"{number}{SEPARATOR}{name}"] = (
                array.astype("S") if array.dtype == object else array
            )
    np.savez(work / "answers.npz", **named)


class _Absent:
    """Makes dqn_tf a package that is not installed."""

    def find_spec(self, name: str, *_):
        if name.partition(".")[0] == "dqn_tf":
            raise ModuleNotFoundError(f"No module named '{name}': an export must not need it")


if __name__ == "__main__":
    sys.path.pop(0)  # this file's own directory, whose names are not to hide a package's
    main(Path(sys.argv[1]), Path(sys.argv[2]))
