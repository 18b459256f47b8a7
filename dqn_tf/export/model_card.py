"""The model card of a folder for the Hugging Face Hub: README.md with the score as metadata.

The front matter is YAML: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.typed import training_flags


class Card(NamedTuple):
    """What a model card tells."""

    settings: Mapping[str, Any]  # with names in place of paths of this machine
    results: Mapping[str, Any]  # of results.json
    files: list[str]  # beside the card


def model_card(card: Card) -> str:
    """Return README.md."""
    results = card.results
    low, high = results["mean_reward_ci95"]
    env = card.settings["env"]
    front = "\n".join(_yaml(_metadata(card)))
    files = "\n".join(f"- `{name}`" for name in card.files)
    protocol = "\n".join(f"- {name}: {value}" for name, value in results["protocol"].items())
    return f"""---
{front}
---

# DQN on {env}

A deep Q-network, trained with dqn_tf {results["dqn_tf"]} for {results["env_steps"]:,} environment
steps; these are its {results["weights"]} weights.

## Score

| mean reward | {_reward(results)} |
|---|---|
| 95 % interval of the mean | {low:.2f} to {high:.2f} |
| IQM | {results["iqm_reward"]:.2f} |
| episodes | {results["n_eval_episodes"]} |
| training seed | {results["seed"]} |

Of one training run. After +/- stands the standard deviation of single episodes. They are played on
seeds that neither the training nor the choice of weights has seen:

{protocol}

## Use

```python
import tensorflow as tf
from huggingface_hub import snapshot_download

folder = snapshot_download("USER/NAME")
act = tf.saved_model.load(f"{{folder}}/saved_model").signatures["serving_default"]
# act(observation=...) gives "action" and "q_values"
```

`python -m dqn_tf.evaluation --model=saved_model` plays it. A server takes a directory of numbered
versions:

```bash
mkdir -p served && cp -r saved_model served/1
python -m dqn_tf.serving --model_base_path=served
```

## Training

```bash
{training_command(card.settings)}
```

`metrics.csv` has every episode of the training, `config.json` every setting.

## Files

{files}
"""


def training_command(settings: Mapping[str, Any]) -> str:
    """Return the command that trains so, with what differs from the preset."""
    config = DQNConfig.from_dict(dict(settings))
    return " ".join(["python train.py", *training_flags(config)])


def _metadata(card: Card) -> dict[str, Any]:
    results = card.results
    env = card.settings["env"]
    metric = {
        "type": "mean_reward",
        "name": "mean_reward",
        "value": _reward(results),
        "verified": False,
        "args": {
            "episodes": results["n_eval_episodes"],
            "ci95": [round(bound, 4) for bound in results["mean_reward_ci95"]],
            "iqm": round(results["iqm_reward"], 4),
            "training_seeds": [results["seed"]],
        },
    }
    result = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"type": env, "name": env, "args": results["protocol"]},
        "metrics": [metric],
    }
    return {
        "library_name": "dqn_tf",
        "pipeline_tag": "reinforcement-learning",
        "tags": [env, "deep-reinforcement-learning", "reinforcement-learning", "dqn", "tensorflow"],
        "model-index": [{"name": "DQN", "results": [result]}],
    }


def _reward(results: Mapping[str, Any]) -> str:
    return f"{results['mean_reward']:.2f} +/- {results['std_reward']:.2f}"


def _yaml(value: Any) -> list[str]:
    """Return lines of YAML; scalars are written as JSON, which YAML reads."""
    if isinstance(value, Mapping) and value:
        lines = []
        for name, inner in value.items():
            if isinstance(inner, Mapping | list | tuple) and inner:
                lines += [f"{name}:", *(f"  {line}" for line in _yaml(inner))]
            else:
                lines.append(f"{name}: {json.dumps(inner)}")
        return lines
    if isinstance(value, list | tuple) and value:
        lines = []
        for inner in value:
            first, *others = _yaml(inner)
            lines += [f"- {first}", *(f"  {line}" for line in others)]
        return lines
    return [json.dumps(value)]
