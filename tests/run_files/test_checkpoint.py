"""dqn_tf.run_files.checkpoint:

complete or not there at all, whatever happens to the process, the disk or the files.
"""

import io
import json
import os
import pickle
import resource
import shutil
import signal
import subprocess
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from checkpoints import Canary, load, remade, save
from command_server import SUPPORT, interpreter
from dqn_tf.run_files import checkpoint
from dqn_tf.support.errors import UserError


def test_what_was_saved_comes_back_to_the_bit(tmp_path):
    state = {
        "best": -np.inf,
        "generator": np.random.default_rng(3).bit_generator.state,
        "tenth": 0.1,
        "list": [1, None, "ä"],
    }
    values = {
        "a/b": np.array([np.nan, -0.0, np.inf], np.float32),
        "flags": np.array([True]),
        "scalar": np.array(7),
        "none": np.zeros((0, 4)),
    }
    checkpoint.save(tmp_path, 10, state, {"state.npz": values})
    found, said = load(tmp_path)
    assert found.path == tmp_path / "10" and found.state == state and not said
    for name, array in found.files["state.npz"].items():
        assert (
            array.dtype == values[name].dtype
            and array.shape == values[name].shape
            and array.tobytes() == values[name].tobytes()
        )
    assert set(found.files["state.npz"]) == set(values)


def test_the_newest_two_are_kept(tmp_path):
    for step in (9, 10, 100, 1000):
        save(tmp_path, step)
    assert checkpoint.steps(tmp_path) == [100, 1000]


def test_a_run_taken_back_forgets_its_future(tmp_path):
    assert [save(tmp_path, step).name for step in (100, 200, 150)] and checkpoint.steps(
        tmp_path
    ) == [100, 150]


def test_a_step_saved_again_replaces_the_broken_one(tmp_path):
    save(tmp_path, 100)
    (tmp_path / "100" / "state.npz").write_bytes(b"")
    save(tmp_path, 100)
    assert load(tmp_path)[0].state == {"step": 100} and os.listdir(tmp_path) == ["100"]


# Saves in children that are killed at random times, on average amid their second save. A child
# acknowledges each save through a pipe; what it acknowledged must be there after its death.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from checkpoints import load, save

directory = Path(sys.argv[2])
dice = random.Random(5)
amid = 0
start = time.perf_counter()
for step in (1, 2, 3):
    save(directory, step, rows=2_000)
save_seconds = (time.perf_counter() - start) / 3

for _ in range(200):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        while True:
            step += 1
            save(directory, step, rows=2_000)
            os.write(writing, step.to_bytes(8, "big"))
    os.close(writing)
    time.sleep(dice.random() * 3 * save_seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    acknowledged = step.to_bytes(8, "big")
    while piece := os.read(reading, 1 << 16):
        acknowledged += piece
    os.close(reading)
    last = int.from_bytes(acknowledged[-8:], "big")
    amid += any(directory.glob(".tmp-*"))
    found, said = load(directory)
    reached = found.state["step"]
    # one more: renamed, and killed before it could say so
    assert last <= reached <= last + 1, (last, reached)
    assert found.path.name == str(reached) and not said, said
    assert (found.files["state.npz"]["online/0"] == reached).all()
    assert (found.replay["observation"] == reached % 256).all()
    found.replay.close()
    step = reached
print(step, amid)
"""


def test_killed_200_times_while_saving(tmp_path):
    done = interpreter("-c", KILLED, SUPPORT, tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    step, amid = map(int, done.stdout.split())
    assert step > 50 and amid > 50, "hardly any save was finished, or hardly any was interrupted"


FILES = ("state.npz", "replay.npz", "manifest.json")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "how",
    ["truncated", "emptied", "flipped at the front", "flipped in the middle", "flipped at the end"],
)
def test_a_damaged_file_means_the_checkpoint_before(tmp_path, name, how):
    save(tmp_path, 100)
    file = save(tmp_path, 200) / name
    content = bytearray(file.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "emptied":
        content = b""
    else:
        place = {"front": 0, "middle": len(content) // 2, "end": len(content) - 1}[
            how.rsplit(" ", 1)[1]
        ]
        content[place] ^= 1
    file.write_bytes(content)
    found, said = load(tmp_path)
    assert found.state == {"step": 100} and len(said) == 1 and str(file) in said[0]


# A generator's state has no other guard
def test_any_digit_changed_in_the_manifest_is_noticed(tmp_path):
    path = save(tmp_path, 100, generator=2**90 + 1) / "manifest.json"
    text = path.read_text(encoding="utf-8")
    for place in [number for number, letter in enumerate(text) if letter.isdigit()]:
        path.write_text(
            text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :], encoding="utf-8"
        )
        with pytest.raises((UserError, checkpoint._Broken)):
            checkpoint.load(tmp_path / "100")


@pytest.mark.parametrize("name", ["state.npz", "manifest.json"])
def test_a_missing_file_means_the_checkpoint_before(tmp_path, name):
    save(tmp_path, 100)
    (save(tmp_path, 200) / name).unlink()
    found, said = load(tmp_path)
    assert found.state == {"step": 100} and name in said[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "{}",
        "[]",
        "null",
        '{"schema": 1, "files": [], "state": {}}',
        '{"schema": 1, "files": 3, "state": {}, "sha256": ""}',
        "\x00\x01\x02",
        "[" * 200_000,
    ],
)
def test_a_manifest_of_garbage_means_the_checkpoint_before(tmp_path, text):
    save(tmp_path, 100)
    (save(tmp_path, 200) / "manifest.json").write_text(text, encoding="utf-8")
    found, said = load(tmp_path)
    assert found.state == {"step": 100} and "manifest.json" in said[0]


def test_a_directory_with_a_digit_of_another_script_is_no_checkpoint(tmp_path):
    save(tmp_path, 100)
    (tmp_path / "²").mkdir()
    assert load(tmp_path)[0].state == {"step": 100}


@pytest.mark.parametrize("content", [b"", b"garbage \xff\xfe"])
def test_tensorflows_state_file_means_nothing(tmp_path, content):
    save(tmp_path, 100)
    (tmp_path / "checkpoint").write_bytes(content)
    assert load(tmp_path)[0].state == {"step": 100} and not load(tmp_path)[1]


def test_none_left_is_an_error_and_never_a_fresh_start(tmp_path):
    for step in (100, 200):
        (save(tmp_path, step) / "manifest.json").write_bytes(b"")
    with pytest.raises(UserError, match="None of the 2 checkpoints in .* can be read"):
        load(tmp_path)
    with pytest.raises(UserError, match="holds no checkpoint"):
        load(tmp_path / "none")


def test_the_remains_of_a_crash_are_ignored_and_swept_by_the_next_save(tmp_path):
    save(tmp_path, 100)
    shutil.copytree(tmp_path / "100", tmp_path / ".tmp-200-deadbeef")
    (tmp_path / "_temp").mkdir()  # not ours: left alone
    assert load(tmp_path)[0].state == {"step": 100}
    save(tmp_path, 300)
    assert sorted(os.listdir(tmp_path)) == ["100", "300", "_temp"]


@pytest.mark.parametrize("schema", [0, 2])
def test_another_schema_names_both_versions(tmp_path, schema):
    save(tmp_path, 100)
    remade(save(tmp_path, 200), schema=schema)
    with pytest.raises(
        UserError, match=f"schema {schema}; this version of dqn_tf reads schema {checkpoint.SCHEMA}"
    ):
        load(tmp_path)


def small_disk(directory: Path) -> str:
    """Makes `directory` a disk of 256 KiB if root can mount one, else limits the size of a file;
    says which.
    """
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(directory)],
        check=False,
        capture_output=True,
    )
    return "tmpfs" if mounted.returncode == 0 else "RLIMIT_FSIZE"


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, record_property):
    disk = tmp_path / "disk"
    record_property("disk", kind := small_disk(disk))
    before = (
        resource.getrlimit(resource.RLIMIT_FSIZE),
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    try:
        save(disk, 100)
        if kind == "RLIMIT_FSIZE":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, before[0][1]))
        with pytest.raises(OSError, match="No space left on device|File too large"):
            save(disk, 200, rows=1 << 17)
        found, said = load(disk)
        found.replay.close()  # a disk with an open file cannot be unmounted
        assert found.state == {"step": 100} and not said
        assert os.listdir(disk) == ["100"], "half a checkpoint was left behind"
        save(disk, 300)
        assert load(disk)[0].state == {"step": 300}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
        if kind == "tmpfs":
            subprocess.run(["umount", str(disk)], check=True)


def npy(shape: tuple[int, ...], descr: str, content: bytes = b"") -> bytes:
    """An .npy file that may claim what it does not hold."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"shape": shape, "fortran_order": False, "descr": descr}
    )
    return stream.getvalue() + content


def npz(path: Path, member: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("observation.npy", member)
    return path


MALICIOUS = (
    "object array",
    "bare pickle",
    "claims 1e12 elements",
    "claims 3e9 in the archive too",
    "claims less than it holds",
    "text",
    "elements without size",
    "no array",
    "negative",
    "empty",
    "header of 2 GB",
    "header of brackets",
    "compressed bomb",
)


def malicious(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "replay.npz"
    if kind == "object array":
        np.savez(path, observation=np.array([Canary(tmp_path / "canary")], object))
        return path
    if kind == "claims 3e9 in the archive too":
        member, size = npy((3_000_000_000,), "|u1"), 3_000_000_000
        data = npz(path, member).read_bytes()
        path.write_bytes(
            data.replace(
                len(member).to_bytes(4, "little"), (len(member) + size).to_bytes(4, "little")
            )
        )
        return path
    if kind == "compressed bomb":
        return npz(path, npy((1 << 28,), "|u1", bytes(1 << 28)), zipfile.ZIP_DEFLATED)
    return npz(
        path,
        {
            "claims 1e12 elements": npy((10**12,), "<f4"),
            "claims less than it holds": npy((1,), "<f4", bytes(400)),
            "elements without size": npy((10**12,), "|V0"),
            "text": npy((1,), "<U1", bytes(4)),
            "no array": b"hello",
            "bare pickle": pickle.dumps(Canary(tmp_path / "canary")),
            "negative": npy((-4, -1), "<f4", bytes(16)),
            "empty": b"",
            "header of 2 GB": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little"),
            "header of brackets": b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 9000,
        }[kind],
    )


@pytest.mark.parametrize("kind", MALICIOUS)
def test_a_malicious_replay_is_refused_before_anything_is_allocated_or_run(tmp_path, kind):
    path = malicious(tmp_path, kind)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="replay.npz is refused: "):
            checkpoint.read_arrays(path)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert not (tmp_path / "canary").exists()


def test_a_malicious_replay_with_a_matching_manifest_is_refused(tmp_path):
    directory = save(tmp_path, 100)
    file = malicious(tmp_path, "object array").rename(directory / "replay.npz")
    listing = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))["files"]
    remade(
        directory,
        files=listing
        | {"replay.npz": {"sha256": checkpoint._sha256(file), "bytes": file.stat().st_size}},
    )
    with pytest.raises(UserError, match="is refused"):
        load(tmp_path)
    assert not (tmp_path / "canary").exists()
