"""A run's settings and its end, as TensorBoard's HParams plugin reads them from event files.

The plugin shows one row for each group of runs, with the mean of every metric over the group. Runs
that differ in nothing but their seeds are one group: what one lucky seed reached is no row of its
own. https://github.com/tensorflow/tensorboard/tree/master/tensorboard/plugins/hparams
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import show
from dqn_tf.support import files

# Of all event files the first that TensorBoard reads. It keeps the first settings that it sees, so
# those of a resumed run replace the file.
FILE = "events.out.tfevents.0.settings"
START_TAG = "_hparams_/session_start_info"
END_TAG = "_hparams_/session_end_info"


def write_settings(directory: Path, config: DQNConfig) -> None:
    """Write a run's settings into `directory`, in place of those of before. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    now = time.time()
    data = HParamsPluginData()
    start = data.session_start_info
    start.start_time_secs = now
    start.group_name = group_name(config)
    for name, value in config.to_dict().items():
        if name == "seed":
            continue
        if isinstance(value, bool):
            start.hparams[name].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[name].number_value = value
        else:
            start.hparams[name].string_value = _text(value)
    version = tf.compat.v1.Event(wall_time=now, file_version="brain.Event:2")
    settings = tf.compat.v1.Event(wall_time=now, summary=_summary(START_TAG, data))
    try:
        with (
            files.replaced(directory / FILE) as aside,
            tf.io.TFRecordWriter(str(aside)) as file,
        ):
            for event in (version, settings):
                file.write(event.SerializeToString())
    except tf.errors.OpError as error:
        raise OSError(0, error.message) from error


def end_summary() -> tf.compat.v1.Summary:
    """Return what an event says of a run that has ended well."""
    data = HParamsPluginData()
    data.session_end_info.status = STATUS_SUCCESS
    data.session_end_info.end_time_secs = time.time()
    return _summary(END_TAG, data)


def group_name(config: DQNConfig) -> str:
    """Return a name that runs share which differ in nothing but their seeds."""
    settings = config.to_dict() | {"seed": None}
    text = json.dumps(settings, sort_keys=True, default=repr)
    return f"{config.env} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return show(tuple(value) if isinstance(value, list) else value)


def _summary(tag: str, data: HParamsPluginData) -> tf.compat.v1.Summary:
    """Return a summary that is read for its metadata alone; its tensor has no numbers."""
    summary = tf.compat.v1.Summary()
    value = summary.value.add(tag=tag, tensor=tf.make_tensor_proto([], tf.float32, [0]))
    value.metadata.plugin_data.plugin_name = "hparams"
    value.metadata.plugin_data.content = data.SerializeToString()
    return summary
