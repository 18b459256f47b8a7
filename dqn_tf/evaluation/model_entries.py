"""Which export was evaluated: the same entries and words whatever its score is made of."""

from typing import Any

from dqn_tf.evaluation.find_export import MANIFEST, Version


def model_entries(version: Version) -> dict[str, Any]:
    """Return path, version and what is known of the training, JSON-ready."""
    names = ("env_steps", "weights", "weights_sha256")
    trained = {name: version.manifest[name] for name in names if name in version.manifest}
    config = version.manifest.get("config")
    if isinstance(config, dict) and config.get("data"):
        trained["data"] = config["data"]
    return {"model": str(version.path), "version": version.number, "trained": trained}


def model_title(model: dict[str, Any]) -> str:
    """Return the model's path and, in brackets, its version and what is known of its training."""
    details = []
    if model["version"] is not None:
        details.append(f"version {model['version']}")
    env_steps = model["trained"].get("env_steps")
    if env_steps == 0 and model["trained"].get("data"):
        details.append("trained on logged data alone")
    elif isinstance(env_steps, int):
        details.append(f"trained for {env_steps:,} steps")
    else:
        details.append(f"training steps unknown, no {MANIFEST}")
    if model["trained"].get("weights"):
        details.append(f"{model['trained']['weights']} weights")
    return f"{model['model']} ({', '.join(details)})"
