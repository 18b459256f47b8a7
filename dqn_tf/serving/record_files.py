"""Numbered TFRecord files in a directory, which together stay within a number of bytes.

DIR/requests-00000001.tfrecord, requests-00000002.tfrecord, ...
"""

import contextlib
from pathlib import Path

import tensorflow as tf

# each file takes one of so many shares of the bytes, so that removing the oldest frees one share
SHARES = 8
FRAME_BYTES = 16  # of a TFRecord besides its content: the length and two checksums
PATTERN = "requests-*.tfrecord"


def record_files(directory: Path) -> list[Path]:
    """Return the record files of a directory, oldest first."""
    return sorted(
        path for path in directory.glob(PATTERN) if path.stem.partition("-")[2].isdecimal()
    )


class RecordFiles:
    """Files of at most an eighth of `max_bytes` each, unless one record is larger.

    Together, with those of earlier servers, they hold at most `max_bytes`: the oldest is removed
    before the next is begun.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        numbers = [int(path.stem.partition("-")[2]) for path in record_files(directory)]
        self._number = max(numbers, default=0)
        self._writer: tf.io.TFRecordWriter | None = None
        self._path: Path | None = None  # of the present file
        self._identity = 0  # its inode
        self._size = 0

    def write(self, content: bytes) -> None:
        """Write one record. Raises OSError, and TensorFlow's errors."""
        size = len(content) + FRAME_BYTES
        if size > self._max_bytes:
            raise OSError(
                0, f"a record of {size} bytes is above --log_requests_max_bytes={self._max_bytes}"
            )
        share = self._max_bytes // SHARES
        if self._writer is None or self._size + size > share:
            self.close()
            # as large as the new file may become
            self._make_room(max(size, share))
            self._path = self._new_file()
            self._identity = self._path.stat().st_ino
            self._writer = tf.io.TFRecordWriter(str(self._path))
            self._size = 0
        self._check_present()
        self._writer.write(content)
        self._size += size

    def flush(self) -> None:
        """Make all that was written readable."""
        if self._writer is not None:
            self._writer.flush()
            self._check_present()

    def close(self) -> None:
        """End the present file; the next record begins a new one."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def abandon(self) -> None:
        """End the present file after an error, whether that works or not; leave no empty one."""
        with contextlib.suppress(OSError, tf.errors.OpError):
            self.close()
        with contextlib.suppress(OSError):
            if self._path is not None and self._path.stat().st_size == 0:
                self._path.unlink()
        self._path = None

    def _check_present(self) -> None:
        """Raise OSError if the present file was removed: the disk takes records for it still."""
        assert self._path is not None
        try:
            is_present = self._path.stat().st_ino == self._identity
        except FileNotFoundError:
            is_present = False
        if not is_present:
            raise OSError(0, f"{self._path} was removed")

    def _new_file(self) -> Path:
        while True:
            self._number += 1
            path = self._directory / f"requests-{self._number:08}.tfrecord"
            try:
                path.touch(exist_ok=False)  # another server may write here, too
                return path
            except FileExistsError:
                continue

    def _make_room(self, size: int) -> None:
        sizes = [(path, path.stat().st_size) for path in record_files(self._directory)]
        total = sum(file_size for _, file_size in sizes)
        for path, file_size in sizes:
            if total + size <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= file_size
