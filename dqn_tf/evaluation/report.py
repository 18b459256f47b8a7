"""What evaluate.py says and writes about the episodes that were played."""

from typing import Any

import gymnasium as gym
import tensorflow as tf

import dqn_tf
from dqn_tf.evaluation.find_export import MANIFEST
from dqn_tf.evaluation.plan import Plan, Played
from dqn_tf.evaluation.video import MOST_GIF_FRAMES


def record(plan: Plan, played: list[Played], comparison: dict[str, Any] | None) -> dict[str, Any]:
    """Everything, ready for JSON: of one model, or of `A` and `B` and their `comparison`."""
    shared = {
        "env": plan.env,
        "protocol": plan.protocol,
        "seed": plan.flags.seed,
        "seeds": plan.seeds,
        "max_episode_steps": plan.flags.max_episode_steps,
        "dqn_tf": dqn_tf.__version__,
        "tensorflow": tf.__version__,
        "gymnasium": gym.__version__,
    }
    if comparison is None:
        return shared | _model(played[0])
    return (
        shared
        | {name: _model(one) for name, one in zip("AB", played, strict=True)}
        | {"comparison": comparison}
    )


def text(record: dict[str, Any], plan: Plan, frames: int) -> str:
    """The same for a reader. `frames` is the length of the video."""
    seeds = f"on seeds derived from --seed={record['seed']}, which no training episode has"
    if "comparison" not in record:
        return "\n".join(
            [
                f"{_env(record)}, {_title(record)}",
                f"{_episodes(record['episodes'])} {seeds}",
                "",
                *_table(record, record),
                *_files(plan, frames),
            ]
        )
    comparison = record["comparison"]
    low, high = comparison["ci95"]
    lines = [f"{_env(record)}, {_episodes(record['A']['episodes'])} each {seeds}"]
    for name in "AB":
        lines += ["", f"{name}: {_title(record[name])}", "", *_table(record[name], record)]
    lines += [
        "",
        (
            f"B - A    {comparison['mean_difference']:9.2f}   95 % interval {low:.2f} to {high:.2f}"
            " of the mean difference, paired by seed"
        ),
        (
            f"         B won {comparison['wins']}, drew {comparison['ties']}, lost"
            f" {comparison['losses']}"
        ),
        f"verdict  {comparison['verdict']}",
    ]
    return "\n".join(lines + _files(plan, frames))


def _model(played: Played) -> dict[str, Any]:
    version, evaluation = played.version, played.evaluation
    trained = {
        name: version.manifest[name]
        for name in ("env_steps", "weights", "weights_sha256")
        if name in version.manifest
    }
    return {
        "model": str(version.path),
        "version": version.number,
        "trained": trained,
        **evaluation.summary(),
        "seconds": round(played.seconds, 3),
        "returns": evaluation.returns.tolist(),
        "lengths": evaluation.lengths.tolist(),
    }


def _env(record: dict[str, Any]) -> str:
    return record["env"] + (f" ({record['protocol']})" if record["protocol"] else "")


def _title(model: dict[str, Any]) -> str:
    steps, weights = model["trained"].get("env_steps"), model["trained"].get("weights")
    number = f"version {model['version']}, " if model["version"] is not None else ""
    trained = (
        f"trained for {steps:,} steps"
        if isinstance(steps, int)
        else f"training steps unknown, no {MANIFEST}"
    )
    return f"{model['model']} ({number}{trained}{f', {weights} weights' if weights else ''})"


def _table(model: dict[str, Any], record: dict[str, Any]) -> list[str]:
    (low, high), (iqm_low, iqm_high) = model["mean_ci95"], model["iqm_ci95"]
    capped, cap, episodes = model["capped_episodes"], record["max_episode_steps"], model["episodes"]
    lines = [
        f"mean     {model['mean']:9.2f}   95 % interval {low:.2f} to {high:.2f}",
        f"IQM      {model['iqm']:9.2f}   95 % interval {iqm_low:.2f} to {iqm_high:.2f}",
        f"std      {model['std']:9.2f}",
        f"min      {model['min']:9.2f}",
        f"max      {model['max']:9.2f}",
        (
            f"length   {model['mean_length']:9.1f}   steps an episode, from {model['min_length']:,}"
            f" to {model['max_length']:,}"
        ),
        f"seconds  {model['seconds']:9.1f}",
    ]
    if capped:
        lines.append(
            f"Cut at --max_episode_steps={cap}: {capped} of {_episodes(episodes)}; their returns"
            " are what they had until then."
        )
    return lines


def _files(plan: Plan, frames: int) -> list[str]:
    lines = []
    if frames:
        full = (
            " (a GIF holds no more; an .mp4 does)"
            if frames == MOST_GIF_FRAMES and plan.flags.video.lower().endswith(".gif")
            else ""
        )
        lines.append(
            f"{frames:,} frames of {_episodes(min(plan.flags.video_episodes, len(plan.seeds)))} in"
            f" {plan.flags.video}{full}"
        )
    if plan.flags.json:
        lines.append(f"Everything in {plan.flags.json}")
    return ["", *lines] if lines else []


def _episodes(count: int) -> str:
    return f"{count:,} episode{'s' if count != 1 else ''}"
