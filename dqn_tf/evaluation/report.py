"""What evaluate.py prints, and writes as JSON, about the episodes that were played."""

from typing import Any

import gymnasium as gym
import tensorflow as tf

import dqn_tf
from dqn_tf.config.notation import show
from dqn_tf.evaluation.model_entries import model_entries, model_title
from dqn_tf.evaluation.plan import EvaluationPlan, Played
from dqn_tf.evaluation.video import MAX_GIF_FRAMES
from dqn_tf.support.digits import return_text, return_texts


def to_record(
    plan: EvaluationPlan, played: list[Played], comparison: dict[str, Any] | None
) -> dict[str, Any]:
    """Return everything, JSON-ready: one model, or `A` and `B` and their `comparison`."""
    shared = {
        "env": plan.config.env,
        "env_kwargs": plan.config.env_kwargs,
        "env_wrappers": plan.config.env_wrappers,
        "protocol": plan.config.protocol,
        "seed": plan.flags.seed,
        "seeds": plan.seeds,
        "max_episode_steps": plan.flags.max_episode_steps,
        "epsilon": plan.flags.epsilon,
        "dqn_tf": dqn_tf.__version__,
        "tensorflow": tf.__version__,
        "gymnasium": gym.__version__,
    }
    if comparison is None:
        return shared | _model_record(played[0])
    models = {name: _model_record(one) for name, one in zip("AB", played, strict=True)}
    return shared | models | {"comparison": comparison}


def to_text(record: dict[str, Any], plan: EvaluationPlan, frames: int) -> str:
    """Return the record as lines for a reader; `frames` is the length of the video."""
    lines = _comparison_lines(record) if "comparison" in record else _model_lines(record)
    return "\n".join(lines + _file_lines(plan, frames))


def _model_lines(record: dict[str, Any]) -> list[str]:
    return [
        f"{_env(record)}, {model_title(record)}",
        f"{_episodes(record['episodes'])} {_seeds(record)}",
        "",
        *_table(record, record["max_episode_steps"]),
        *_text_lines(record),
    ]


def _comparison_lines(record: dict[str, Any]) -> list[str]:
    lines = [f"{_env(record)}, {_episodes(record['A']['episodes'])} each {_seeds(record)}"]
    for name in "AB":
        table = _table(record[name], record["max_episode_steps"])
        lines += ["", f"{name}: {model_title(record[name])}", "", *table]
    comparison = record["comparison"]
    difference, low, high = return_texts(comparison["mean_difference"], *comparison["ci95"])
    return [
        *lines,
        "",
        (
            f"B - A    {difference:>9}   95 % interval {low} to {high}"
            " of the mean difference, paired by seed"
        ),
        (
            f"         B won {comparison['wins']}, drew {comparison['ties']}, lost"
            f" {comparison['losses']}"
        ),
        f"verdict  {comparison['verdict']}",
    ]


def _model_record(played: Played) -> dict[str, Any]:
    return {
        **model_entries(played.version),
        **played.evaluation.summary(),
        "seconds": round(played.seconds, 3),
        "returns": played.evaluation.returns.tolist(),
        "lengths": played.evaluation.lengths.tolist(),
        **({"texts": played.texts} if played.texts else {}),
    }


def _env(record: dict[str, Any]) -> str:
    details = [record["protocol"]]
    if record["env_kwargs"]:
        details.append(f"env_kwargs {show(record['env_kwargs'])}")
    if record["env_wrappers"]:
        details.append(f"env_wrappers {record['env_wrappers']}")
    text = "; ".join(detail for detail in details if detail)
    return record["env"] + (f" ({text})" if text else "")


def _seeds(record: dict[str, Any]) -> str:
    text = f"on seeds derived from --seed={record['seed']}, which no training episode has"
    if record["epsilon"]:
        text += f", each action random with probability {record['epsilon']:g}"
    return text


def _table(model: dict[str, Any], max_episode_steps: int) -> list[str]:
    mean, low, high, std, least, most, iqm, iqm_low, iqm_high = return_texts(
        model["mean"],
        *model["mean_ci95"],
        *(model[name] for name in ("std", "min", "max", "iqm")),
        *model["iqm_ci95"],
    )
    lines = [
        f"mean     {mean:>9}   95 % interval {low} to {high}",
        f"IQM      {iqm:>9}   95 % interval {iqm_low} to {iqm_high}",
        f"std      {std:>9}",
        f"min      {least:>9}",
        f"max      {most:>9}",
        (
            f"length   {model['mean_length']:9.1f}   steps an episode, from {model['min_length']:,}"
            f" to {model['max_length']:,}"
        ),
        f"seconds  {model['seconds']:9.1f}",
    ]
    capped = model["capped_episodes"]
    if capped:
        lines.append(
            f"Cut at --max_episode_steps={max_episode_steps}: {capped} of"
            f" {_episodes(model['episodes'])}; their returns are what they had until then."
        )
    return lines


def _text_lines(record: dict[str, Any]) -> list[str]:
    """Return the first episodes as text, each with its return, after an empty line."""
    lines = []
    for number, text in enumerate(record.get("texts", []), 1):
        value, length = record["returns"][number - 1], record["lengths"][number - 1]
        steps = f"{length:,} step{'s' if length != 1 else ''}"
        lines += ["", f"episode {number}, return {return_text(value)}, {steps}:", *text.split("\n")]
    return lines


def _file_lines(plan: EvaluationPlan, frames: int) -> list[str]:
    """Name the files that were written, after an empty line; nothing if there are none."""
    lines = []
    if plan.flags.video and frames:
        is_full = frames == MAX_GIF_FRAMES and plan.flags.video.lower().endswith(".gif")
        episodes = _episodes(min(plan.flags.video_episodes, len(plan.seeds)))
        lines.append(
            f"{frames:,} frames of {episodes} in {plan.flags.video}"
            + (" (a GIF holds no more; an .mp4 does)" if is_full else "")
        )
    return ["", *lines] if lines else []


def _episodes(count: int) -> str:
    return f"{count:,} episode{'s' if count != 1 else ''}"
