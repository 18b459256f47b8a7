"""What `--data` names: files, data sets and logs, each read by the module of its kind."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged import csv_file, minari_data, npz, requests
from dqn_tf.experience.logged.building import from_columns
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.support.errors import UserError, describe_error, describe_value

MINARI = "minari:"
REQUESTS = "requests:"
ENV = "env"  # the environment's own data

Corpus = Callable[[], Any]


def load(
    spec: str,
    spaces: Spaces,
    corpus: Corpus | None = None,
    find_tokenizer: requests.FindTokenizer | None = None,
) -> LoggedEpisodes:
    """Read the episodes that one `--data` names, without a share.

    `corpus` returns the columns of the environment's own data, `--data=env`, and `find_tokenizer`
    what makes tokens of the texts of requests. Raises UserError, a sentence with file, column and
    row, if anything in them is not right, or if they are too large.
    """
    try:
        return _load(spec, spaces, corpus, find_tokenizer)
    except MemoryError as error:
        raise UserError(
            f"--data={spec} does not fit into memory: {describe_error(error)}."
        ) from error


def _load(
    spec: str,
    spaces: Spaces,
    corpus: Corpus | None,
    find_tokenizer: requests.FindTokenizer | None,
) -> LoggedEpisodes:
    if spec.startswith(MINARI):
        return minari_data.load(spec, minari_data.find(spec.removeprefix(MINARI)), spaces)
    if spec.startswith(REQUESTS):
        logs, rewards = requests.split(spec.removeprefix(REQUESTS))
        return requests.load(spec, logs, rewards, spaces, find_tokenizer)
    if spec == ENV:
        return _own_data(spaces, corpus)
    if not spec:
        raise UserError("--data= is empty: name a source, such as --data=expert.npz.")
    path = Path(os.path.expanduser(spec))
    try:
        if path.is_dir():
            data = minari_data.data_directory(path)
            if data is not None:
                return minari_data.load(spec, data, spaces)
            files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".npz")
            if not files:
                raise UserError(f"--data={spec} is a directory without npz files.")
            return npz.load(spec, files, spaces)
        if not path.is_file():
            raise UserError(f"--data={spec}: there is no such file or directory.")
    except OSError as error:
        raise UserError(f"--data={spec} cannot be read: {error.strerror}.") from error
    if path.suffix.lower() == ".csv":
        return csv_file.load(spec, path, spaces)
    if path.suffix.lower() == ".npz":
        return npz.load(spec, [path], spaces)
    raise UserError(f"--data={spec}: the name of a file must end in .npz or .csv.")


def absolute(spec: str) -> str:
    """Return the value of `--data` that names the same in any working directory, share included.

    Raises UserError for requests that are not there.
    """
    source, _ = parse_share(spec)
    share = spec[len(source) :]
    if source == ENV or source.startswith(MINARI):
        return spec
    if source.startswith(REQUESTS):
        paths = requests.split(source.removeprefix(REQUESTS))
        return REQUESTS + "+".join(map(os.path.abspath, paths)) + share
    return os.path.abspath(os.path.expanduser(source)) + share


def without_directories(spec: str) -> str:
    """Return the value of `--data` with the names of files alone, which tell of no machine."""
    source, _ = parse_share(spec)
    share = spec[len(source) :]
    if source.startswith(MINARI):
        return spec
    if source.startswith(REQUESTS):
        return REQUESTS + "+".join(map(os.path.basename, source.split("+"))) + share
    return os.path.basename(source.rstrip("/")) + share


def parse_share(spec: str) -> tuple[str, float | None]:
    """Split `expert.npz@0.3` into source and share of the logged part of each batch.

    The share is None where none is given. An @ in a path is part of the path. Raises UserError.
    """
    source, at, text = spec.rpartition("@")
    if not at or os.path.exists(os.path.expanduser(spec)):
        return spec, None
    try:
        share = float(text)
    except ValueError:
        if "/" in text or text.endswith((".npz", ".csv")):
            return spec, None
        share = 0.0
    if not 0 < share <= 1:
        raise UserError(
            f"--data={spec}: the share after @ must be a number above 0 and at most 1, such as"
            f" {source}@0.3."
        )
    return source, share


def _own_data(spaces: Spaces, corpus: Corpus | None) -> LoggedEpisodes:
    """Return the environment's own episodes, checked as those of files are."""
    if corpus is None:
        raise UserError("--data=env is an environment's own data, and here is none. Name a file.")
    columns = corpus()
    if not isinstance(columns, Mapping) or not all(isinstance(name, str) for name in columns):
        raise UserError(
            f"--data=env: the environment's `corpus` returned {describe_value(columns)}, and must"
            " return the columns of logged data by name, as docs/offline.md lists them."
        )
    arrays = {}
    for name, column in columns.items():
        try:
            arrays[name] = np.asarray(column)
        except ValueError as error:
            raise UserError(f"--data=env, column {name}: it is no array: {error}.") from error
        if arrays[name].dtype.hasobject:
            raise UserError(f"--data=env, column {name}: it holds objects, and must hold numbers.")
    # a sentence names the flag: `env` alone would be nothing that anybody knows
    return dataclasses.replace(from_columns(arrays, spaces, f"--data={ENV}"), source=ENV)
