"""Files of logged data that hold no numbers, are damaged, or are too large for the memory."""

import io
import zipfile

import numpy as np
import pytest

import logged_data
from dqn_tf.experience.logged import npz, requests, sources
from dqn_tf.experience.logged.building import EpisodesBuilder
from dqn_tf.support.errors import UserError
from logged_data import VECTORS

COMPRESSIONS = {
    name: getattr(zipfile, name)
    for name in ("ZIP_DEFLATED", "ZIP_BZIP2", "ZIP_LZMA", "ZIP_ZSTANDARD")
    if hasattr(zipfile, name)
}


def sentence(spec):
    with pytest.raises(UserError) as caught:
        sources.load(str(spec), VECTORS)
    told = str(caught.value)
    assert told.endswith(".") and "\n" not in told
    return told


@pytest.mark.parametrize("dtype", ["|V0", "|S0", "<U0"])
@pytest.mark.parametrize("name", ["reward", "observation", "final_observation"])
def test_a_column_whose_values_have_no_bytes(tmp_path, name, dtype):
    arrays = logged_data.columns() | logged_data.finals()
    shape = arrays.pop(name).shape
    path = logged_data.write_npz(tmp_path / "bad.npz", arrays)
    stream = io.BytesIO()
    head = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, head)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", stream.getvalue())
    assert sentence(path) == (
        f"{path}, column {name}: it is of type {np.dtype(dtype)}, and must hold numbers."
    )


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_whatever_it_was_compressed_by_a_wrong_byte_is_told(tmp_path, name):
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w", COMPRESSIONS[name]) as archive:
        for column, values in logged_data.columns().items():
            stream = io.BytesIO()
            np.save(stream, values)
            archive.writestr(f"{column}.npy", stream.getvalue())
    content = path.read_bytes()
    assert len(sources.load(str(path), VECTORS)) == 5
    refused = 0
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            sources.load(str(path), VECTORS)
        except UserError as error:
            refused += str(path) in str(error)
    assert refused > len(content) / 7 / 2


def test_a_compression_that_python_was_built_without(tmp_path, monkeypatch):
    path = logged_data.write_npz(tmp_path / "a.npz", logged_data.columns())
    monkeypatch.setattr(zipfile, "lzma", None)
    assert zipfile.BadZipFile in npz.DAMAGE and len(sources.load(str(path), VECTORS)) == 5


@pytest.mark.parametrize(
    ("owner", "name"),
    [(EpisodesBuilder, "_room"), (npz.NpzFile, "_whole"), (npz, "_exactly"), (np, "frombuffer")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_does_not_fit_into_memory(tmp_path, monkeypatch, owner, name):
    def full(*arguments, **keywords):
        raise MemoryError("Unable to allocate 9.09 TiB")

    arrays = logged_data.columns()
    arrays["observation"] = np.asfortranarray(arrays["observation"])
    path = logged_data.write_npz(tmp_path / "a.npz", arrays)
    monkeypatch.setattr(owner, name, full)
    assert sentence(path) == (
        f"--data={path} does not fit into memory: MemoryError: Unable to allocate 9.09 TiB."
    )


def test_requests_that_do_not_fit_into_memory(tmp_path, monkeypatch):
    def full(*arguments):
        raise MemoryError

    (tmp_path / "logs").mkdir()
    (tmp_path / "r.csv").write_text("id,reward,end\na,1,\n")
    spec = f"requests:{tmp_path / 'logs'}+{tmp_path / 'r.csv'}"
    monkeypatch.setattr(requests, "_Join", full)
    assert sentence(spec) == f"--data={spec} does not fit into memory: MemoryError."
