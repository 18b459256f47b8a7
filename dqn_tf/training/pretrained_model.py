"""Refuses a language model that a run cannot use, before the run leaves anything."""

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.language_checks import reads_by_model
from dqn_tf.experience.memory_plan import format_bytes
from dqn_tf.language.memory import memory_of
from dqn_tf.language.model_files import open_model
from dqn_tf.support.errors import UserError
from dqn_tf.support.free_memory import free_memory


def require_usable(config: DQNConfig) -> None:
    """Raise UserError unless the language model has the layers and fits into memory."""
    if not reads_by_model(config):
        return
    files = open_model(config.language_model)
    layers = config.language_layers or files.shape.layers
    if layers > files.shape.layers:
        raise UserError(
            f"--language_layers={layers}: --language_model={files.model} has"
            f" {files.shape.layers} layers."
        )
    if config.fine_tune == "lora" and config.lora_layers > layers:
        raise UserError(
            f"--lora_layers={config.lora_layers}: only {layers} layers of the language model are in"
            " use."
        )
    files.require_weights(layers)
    needed, free = memory_of(files, layers, config.fine_tune), free_memory()
    if needed.bytes > free:
        raise UserError(
            f"--language_model={files.model} does not fit into memory: {layers} layers have"
            f" {needed.weights:,} weights, which take {format_bytes(needed.bytes)} with"
            f" --fine_tune={config.fine_tune}, and {format_bytes(free)} are free. Give fewer"
            " --language_layers, or --fine_tune=head."
        )
