"""What each tracker has of a run, by its own API."""

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from dqn_tf.tracking.__main__ import main
from dqn_tf.tracking.flags import parse
from dqn_tf.tracking.tracker import Scalar, scalar


class Content(NamedTuple):
    """What a tracker says that it has of one run."""

    name: str
    scalars: Counter[Scalar]
    settings: dict[str, str]
    files: set[str]
    tags: dict[str, str]


def words(run: Path, to: str, place: Path) -> list[str]:
    """`dqn-track` from this run to the tracker's runs in `place`."""
    uris = {"mlflow": f"sqlite:///{place}/mlflow.db", "wandb": place, "trackio": place / "trackio"}
    return [f"--run={run}", f"--to={to}", f"--tracking_uri={uris[to]}"]


def track(run: Path, to: str, place: Path, *more: str) -> None:
    """`dqn-track` in this process."""
    main(parse(["dqn-track", *words(run, to, place), *more]))


def key_of(run: Path) -> str:
    return json.loads((run / "tracking.json").read_text(encoding="utf-8"))["key"]


def in_mlflow(directory: Path, run: Path) -> Content:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{directory}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (found,) = client.search_runs(experiments, f"tags.`dqn_tf.key` = '{key_of(run)}'")
    scalars: Counter[Scalar] = Counter()
    for name in found.data.metrics:
        for metric in client.get_metric_history(found.info.run_id, name):
            scalars[scalar(name, metric.step, metric.value)] += 1
    files = set()
    folders = [None]
    while folders:
        for entry in client.list_artifacts(found.info.run_id, folders.pop()):
            if entry.is_dir:
                folders.append(entry.path)
            else:
                files.add(entry.path)
    return Content(found.info.run_name, scalars, found.data.params, files, found.data.tags)


def in_wandb(directory: Path, run: Path) -> Content:
    from wandb.proto.wandb_internal_pb2 import Record

    from dqn_tf.tracking.wandb_files import records

    name, settings, files = "", {}, set()
    scalars: Counter[Scalar] = Counter()
    for path in sorted(directory.glob(f"wandb/offline-run-*-{key_of(run)}*/*.wandb")):
        for data in records(path.read_bytes()):
            record = Record.FromString(data)
            for part in (record.run.config, record.config):
                for update in part.update:
                    settings[update.key] = str(json.loads(update.value_json))
            name = record.run.display_name or name
            files |= {entry.path for entry in record.artifact.manifest.contents}
            row = {
                item.key or item.nested_key[0]: float(json.loads(item.value_json))
                for item in record.history.item
            }
            for key in row.keys() - {"env_step"}:
                if not key.startswith("_"):
                    scalars[scalar(key, int(row["env_step"]), row[key])] += 1
    return Content(name, scalars, settings, files, {})


def in_trackio(directory: Path, run: Path) -> Content:
    from trackio import utils
    from trackio.sqlite_storage import SQLiteStorage

    assert directory / "trackio" == utils.TRACKIO_DIR
    project, key = "CartPole-v1", key_of(run)
    (name,) = [
        record["name"] for record in SQLiteStorage.get_run_records(project) if record["id"] == key
    ]
    scalars: Counter[Scalar] = Counter()
    for row in SQLiteStorage.get_logs(project, name, run_id=key):
        for metric, value in row.items():
            if metric not in ("step", "timestamp"):
                scalars[scalar(metric, row["step"], value)] += 1
    config = SQLiteStorage.get_run_config(project, name, run_id=key) or {}
    settings = {setting: str(value) for setting, value in config.items()}
    files = set()
    for artifact in SQLiteStorage.get_artifacts(project):
        if key in artifact["name"]:
            found = SQLiteStorage.get_artifact_manifest(project, artifact["name"], None)
            files |= {entry["path"] for entry in found["manifest"]}
    return Content(name, scalars, settings, files, {})


READ = {"mlflow": in_mlflow, "wandb": in_wandb, "trackio": in_trackio}
