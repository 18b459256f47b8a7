"""Runs SavedModels with TensorFlow's C++ library alone, by ctypes: `python -I cpp_loader.py
LIBRARIES CASES`.

`TF_LoadSessionFromSavedModel` is the loader, and what it returns the session class, that TensorFlow
Serving uses. CASES/cases.json is a list of {version, feeds, fetches}: feeds and fetches are pairs
of a tensor's name and the number of an array in CASES/feeds.npz (strings as arrays of void). Writes
CASES/answers.npz, the fetched arrays as CASE|NUMBER, and CASES/codes.json, [code, message] of each
case.
"""

import ctypes
import json
import sys
from pathlib import Path

import numpy as np

TYPES = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "string": 7, "int64": 9, "bool": 10}
NUMPY = {number: name for name, number in TYPES.items()}
STRING = 24  # bytes of a TF_TString
POINTER = ctypes.c_void_p


class Output(ctypes.Structure):
    _fields_ = [("operation", POINTER), ("index", ctypes.c_int)]


def load(libraries: Path) -> ctypes.CDLL:
    ctypes.CDLL(str(libraries / "libtensorflow_framework.so.2"), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(libraries / "libtensorflow_cc.so.2"), mode=ctypes.RTLD_GLOBAL)
    for name in (
        "NewStatus",
        "NewSessionOptions",
        "NewGraph",
        "LoadSessionFromSavedModel",
        "GraphOperationByName",
        "AllocateTensor",
        "TensorData",
        "StringGetDataPointer",
    ):
        getattr(library, f"TF_{name}").restype = POINTER
    for name in ("Message",):
        getattr(library, f"TF_{name}").restype = ctypes.c_char_p
    for name in ("Dim", "TensorByteSize", "StringGetSize"):
        getattr(library, f"TF_{name}").restype = ctypes.c_size_t
    return library


class Session:
    """One loaded SavedModel."""

    def __init__(self, library: ctypes.CDLL, path: str) -> None:
        self.tf, self.status = library, POINTER(library.TF_NewStatus())
        self.graph = POINTER(library.TF_NewGraph())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = POINTER(
            library.TF_LoadSessionFromSavedModel(
                POINTER(library.TF_NewSessionOptions()),
                None,
                path.encode(),
                tags,
                1,
                self.graph,
                None,
                self.status,
            )
        )
        assert self.code() == 0, self.message()

    def code(self) -> int:
        return self.tf.TF_GetCode(self.status)

    def message(self) -> str:
        return self.tf.TF_Message(self.status).decode()

    def output(self, name: str) -> Output:
        operation, _, index = name.partition(":")
        return Output(self.tf.TF_GraphOperationByName(self.graph, operation.encode()), int(index))

    def tensor(self, array: np.ndarray) -> ctypes.c_void_p:
        is_string = array.dtype.kind == "V"
        size = array.size * STRING if is_string else array.nbytes
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        made = POINTER(
            self.tf.TF_AllocateTensor(
                TYPES["string" if is_string else str(array.dtype)],
                dims,
                array.ndim,
                ctypes.c_size_t(size),
            )
        )
        data = self.tf.TF_TensorData(made)
        if is_string:
            for place, text in enumerate(array.ravel().tolist()):
                self.tf.TF_StringInit(POINTER(data + place * STRING))
                self.tf.TF_StringCopy(
                    POINTER(data + place * STRING), text, ctypes.c_size_t(len(text))
                )
        elif size:
            ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, size)
        return made

    def array(self, tensor: int) -> np.ndarray:
        tensor = POINTER(tensor)
        shape = [self.tf.TF_Dim(tensor, axis) for axis in range(self.tf.TF_NumDims(tensor))]
        kind, data = NUMPY[self.tf.TF_TensorType(tensor)], self.tf.TF_TensorData(tensor)
        if kind == "string":
            places = [POINTER(data + place * STRING) for place in range(int(np.prod(shape)))]
            return np.array(
                [
                    ctypes.string_at(
                        self.tf.TF_StringGetDataPointer(place), self.tf.TF_StringGetSize(place)
                    )
                    for place in places
                ],
                "S",
            )
        size = self.tf.TF_TensorByteSize(tensor)
        return np.frombuffer(ctypes.string_at(data, size) if size else b"", kind).reshape(shape)

    def run(self, feeds: dict[str, np.ndarray], fetches: list[str]) -> list[np.ndarray]:
        """Empty where the session refuses; `code` then says why."""
        inputs, outputs = (
            (Output * len(names))(*map(self.output, names)) for names in (feeds, fetches)
        )
        values, fetched = (
            (POINTER * len(feeds))(*map(self.tensor, feeds.values())),
            (POINTER * len(fetches))(),
        )
        self.tf.TF_SessionRun(
            self.session,
            None,
            inputs,
            values,
            len(feeds),
            outputs,
            fetched,
            len(fetches),
            None,
            0,
            None,
            self.status,
        )
        return [self.array(tensor) for tensor in fetched] if self.code() == 0 else []


def main(libraries: Path, work: Path) -> None:
    library, sessions, codes, answers = load(libraries), {}, [], {}
    feeds = np.load(work / "feeds.npz", allow_pickle=False)
    for number, case in enumerate(json.loads((work / "cases.json").read_text())):
        session = sessions.setdefault(case["version"], None) or Session(library, case["version"])
        sessions[case["version"]] = session
        for place, array in enumerate(
            session.run({name: feeds[str(key)] for name, key in case["feeds"]}, case["fetches"])
        ):
            answers[f"{number}|{place}"] = array
        codes.append([session.code(), session.message()])
    np.savez(work / "answers.npz", **answers)
    (work / "codes.json").write_text(json.dumps(codes))
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
