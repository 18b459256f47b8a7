"""TFRecord files are read as TensorFlow writes them, and damage is seen."""

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.experience.logged.tfrecords import DamagedFile, masked_checksum, read_records


def test_the_checksum_of_rfc_3720():
    """Appendix B.4: 32 bytes of zeros have 8a9136aa; masked as TFRecord does."""
    checksum = 0x8A9136AA
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    assert masked_checksum(bytes(32)) == (rotated + 0xA282EAD8) & 0xFFFFFFFF


def test_records_of_any_length(tmp_path, generator):
    lengths = [0, 1, 2, 3, 4, 5, 100, 4095, 4096, 4097, 4098, 4100, 8192, 30_000]
    contents = [generator.bytes(length) for length in lengths]
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for content in contents:
            writer.write(content)
    assert list(read_records(tmp_path / "a.tfrecord")) == contents


def test_damage_at_any_byte_is_seen(tmp_path):
    path = tmp_path / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"first")
        writer.write(b"second")
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(DamagedFile):
            list(read_records(path))
    for end in np.setdiff1d(np.arange(1, len(whole)), [21]):
        path.write_bytes(whole[:end])
        with pytest.raises(DamagedFile):
            list(read_records(path))
