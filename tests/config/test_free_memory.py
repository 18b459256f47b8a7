"""What a process may still take is the least of what machine, container and limit leave."""

import resource
from pathlib import Path

import pytest

from dqn_tf.support import free_memory

MIB = 2**20


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A control group inside another, as directories."""
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.setattr(free_memory, "_groups", lambda: [inner, tmp_path])
    return inner, tmp_path


def write(directory, **texts):
    for name, text in texts.items():
        (directory / name.replace("__", ".")).write_text(f"{text}\n", encoding="ascii")


def test_a_container_leaves_what_it_does_not_hold_or_could_give_up(groups):
    inner, outer = groups
    assert free_memory.free_memory() > 100 * MIB  # files that are not there bound nothing
    write(inner, memory__max="max", memory__current=7, memory__stat="anon 7\ninactive_file 5")
    assert free_memory.free_memory() > 100 * MIB
    stat = f"anon 1\ninactive_file {2 * MIB}\nactive_file 9"
    write(outer, memory__max=64 * MIB, memory__current=14 * MIB, memory__stat=stat)
    assert free_memory.free_memory() == 52 * MIB
    write(inner, memory__max=8 * MIB, memory__current=9 * MIB)
    assert free_memory.free_memory() == 0


def test_the_first_version_of_control_groups(groups):
    inner, _ = groups
    stat = f"cache 3\ninactive_file 1\ntotal_inactive_file {MIB}"
    write(inner, memory__limit_in_bytes=20 * MIB, memory__stat=stat)
    write(inner, memory__usage_in_bytes=5 * MIB)
    assert free_memory.free_memory() == 16 * MIB


def test_a_limit_of_the_process_counts(groups, monkeypatch):
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = held * resource.getpagesize() + 30 * MIB
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert 0 < free_memory.free_memory() <= 40 * MIB
