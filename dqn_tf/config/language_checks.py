"""What is wrong with how texts are to be read by a language model."""

from typing import Any

from dqn_tf.config.notation import show
from dqn_tf.config.settings import Settings
from dqn_tf.config.settings.experience import EPISODE

MAY_READ_BY_MODEL = ("auto", "pretrained")  # torsos that read messages by a language model
# settings of the layers above a language model, and what they are where nobody sets them
OF_MODEL_TORSO = {
    "feature_noise": 0.0,
    "dropout": 0.0,
    "message_torso": "dense",
    "fine_tune": "head",
}


def reads_by_model(config: Settings) -> bool:
    """Tell whether the torso is the one that reads messages by a language model."""
    return bool(config.language_model) and config.network in MAY_READ_BY_MODEL


def _may_have_layers_above(network: str) -> bool:
    """Tell whether a torso may have layers above a language model: one of the user's own may."""
    return network in MAY_READ_BY_MODEL or ":" in network


def without_unread(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out settings that no torso reads: earlier versions took them, and did nothing."""
    network = values.get("network", "auto")
    if values.get("language_model") and _may_have_layers_above(network):
        return values
    unread = {*OF_MODEL_TORSO, *(() if network == "gru" else ("keep_bias",))}
    return {name: value for name, value in values.items() if name not in unread}


def check_language_model(config: Settings) -> str | None:
    """Require a language model for the torso that has one, and the host engine."""
    if config.network == "pretrained" and not config.language_model:
        return (
            "--network=pretrained reads texts by a language model: give --language_model, such as"
            " --language_model=smollm2."
        )
    for name, unset in OF_MODEL_TORSO.items():
        value = getattr(config, name)
        if value != unset and not config.language_model:
            return (
                f"--{name}={show(value)} is for the layers above a language model: give"
                " --language_model."
            )
        if value != unset and not _may_have_layers_above(config.network):
            return (
                f"--{name}={show(value)} is of --network=pretrained, and here --network is"
                f" {config.network}."
            )
    if "{text}" not in config.language_prompt:
        return (
            f"--language_prompt={config.language_prompt}: {{text}} must stand in it, where the"
            " message is to be."
        )
    if config.language_model and config.engine == "graph":
        return "--engine=graph has no --language_model: use --engine=host."
    is_dense = reads_by_model(config) and config.message_torso == "dense"
    if is_dense and config.replay_unit == EPISODE:
        return (
            "--message_torso=dense reads all messages of a dialogue at once: with"
            " --replay_unit=episode use --message_torso=gru, or --network=transformer or gru."
        )
    return None
