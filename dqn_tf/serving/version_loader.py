"""Loads a version and makes it ready: warm, and with a batcher if batching is on."""

import time
from pathlib import Path

from dqn_tf.serving import config_files
from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.grpc import warmup
from dqn_tf.serving.metrics import Metrics
from dqn_tf.serving.models import loading
from dqn_tf.serving.models.batching import Batcher, BatchingOptions
from dqn_tf.serving.models.loaded_model import LoadedModel
from dqn_tf.serving.models.manager import ModelManager
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.models.served_model import ReadyVersion, VersionHandle
from dqn_tf.serving.options import Options

BATCHING_FILE = "batching_params.pbtxt"


class VersionLoader:
    """Makes versions ready. Raises StartError if the batching parameters are wrong."""

    def __init__(self, options: Options, metrics: Metrics) -> None:
        self._options = options
        self._metrics = metrics
        self._batching = BatchingOptions()
        if options.batching_parameters_file:
            self._batching = config_files.read_batching(
                options.batching_parameters_file, "batching_parameters_file"
            )

    def load(self, name: str, version: int, path: Path) -> ReadyVersion:
        """Return the version at `path`, ready to answer. Raises ServingError, StartError."""
        model = loading.load(name, version, path, self._options)
        try:
            if self._options.enable_model_warmup:
                self._warm_up(model, path)
            batcher = self._batcher(path) if self._options.enable_batching else None
        except BaseException:
            model.close()
            raise
        return ReadyVersion(model, batcher)

    def _warm_up(self, model: LoadedModel, path: Path) -> None:
        started = time.perf_counter()
        status = "OK"
        # these requests are neither counted, nor observed, nor batched
        runner = SignatureRunner(ModelManager(self.load, 0, 0.0), Metrics())
        check_method = self._options.enable_signature_method_name_check
        try:
            warmup.run(path, runner, VersionHandle.unlisted(model), check_method)
        except ServingError as error:
            status = error.code
            raise
        finally:
            self._metrics.count_warmup(str(path), status, time.perf_counter() - started)

    def _batcher(self, path: Path) -> Batcher:
        """Return a batcher with the version's own parameters, if they hold, or the server's."""
        file = path / BATCHING_FILE
        if self._options.enable_per_model_batching_params and file.is_file():
            flag = "enable_per_model_batching_params"
            return Batcher(config_files.read_batching(file, flag))
        return Batcher(self._batching)
