"""dqn_tf.run_files.hparams: read back by TensorBoard's own HParams plugin."""

import dataclasses

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from dqn_tf.config import presets
from dqn_tf.run_files import hparams
from dqn_tf.run_files.metrics import MetricsWriter
from small_runs import SMALL, finished_run, report

CONFIG = presets.configure("CartPole-v1", {"seed": 1})


def groups(directory) -> list[api_pb2.SessionGroup]:
    """What the plugin's table shows of all runs below `directory`."""
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(directory))
    multiplexer.Reload()
    context = backend_context.Context(
        TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(directory)))
    )
    statuses = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_RUNNING, api_pb2.STATUS_SUCCESS]
    request = api_pb2.ListSessionGroupsRequest(allowed_statuses=statuses, slice_size=100)
    handler = list_session_groups.Handler(RequestContext(), context, "", request)
    return list(handler.run().session_groups)


def values(group: api_pb2.SessionGroup) -> dict[str, float]:
    return {metric.name.tag: metric.value for metric in group.metric_values}


def write_run(directory, config, env_step=0, ends=True, **row) -> None:
    """Writes one row at step 10, and the run's end."""
    directory.mkdir(exist_ok=True)
    writer = MetricsWriter(directory / "metrics.csv", directory / "tensorboard", env_step)
    hparams.write_settings(directory / "tensorboard", config)
    writer.write(10, **row)
    if ends:
        writer.end(10, 7.0)
    writer.close()


def test_a_run_of_train_py_is_a_row_with_its_settings_metrics_and_test():
    directory = finished_run()
    (group,) = groups(directory / "run")
    settings = {
        name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()
    }
    for name in ("batch_size", "total_steps", "env", "replay_capacity"):
        assert settings[name] == SMALL[name]
    assert settings["hidden_units"] == "8" and settings["double"] is False
    assert "seed" not in settings
    assert values(group)["test_return"] == pytest.approx(report(directory)["score"]["mean"])
    assert {"loss", "evaluation_return", "episode_return"} <= values(group).keys()
    (session,) = group.sessions
    assert session.status == api_pb2.STATUS_SUCCESS
    assert session.end_time_secs >= session.start_time_secs > 0


def test_seeds_of_one_configuration_are_one_row_with_their_mean(tmp_path):
    for seed, evaluation_return in ((1, 100.0), (2, 300.0)):
        config = dataclasses.replace(CONFIG, seed=seed)
        write_run(tmp_path / f"seed{seed}", config, evaluation_return=evaluation_return)
    other = dataclasses.replace(CONFIG, learning_rate=CONFIG.learning_rate / 2)
    write_run(tmp_path / "other", other, evaluation_return=50.0)
    rows = {len(group.sessions): values(group)["evaluation_return"] for group in groups(tmp_path)}
    assert rows == {2: 200.0, 1: 50.0}


def test_a_resumed_run_shows_its_new_settings_and_has_not_ended(tmp_path):
    write_run(tmp_path, CONFIG, loss=1.0)
    longer = dataclasses.replace(CONFIG, total_steps=2 * CONFIG.total_steps)
    write_run(tmp_path, longer, env_step=10, ends=False, loss=2.0)
    (group,) = groups(tmp_path)
    assert group.hparams["total_steps"].number_value == longer.total_steps
    assert group.sessions[0].status != api_pb2.STATUS_SUCCESS
