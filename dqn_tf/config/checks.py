"""What is wrong with a configuration: one small check each, which returns a sentence or None.

A sentence names the flags at fault and says what would be right.
"""

import dataclasses
from collections.abc import Callable

from dqn_tf.config.language_checks import check_language_model, reads_by_model
from dqn_tf.config.notation import flag_words, is_atari, show
from dqn_tf.config.settings import Settings
from dqn_tf.config.settings.experience import EPISODE, RESERVOIR
from dqn_tf.config.settings.learning import BESIDE_MUNCHAUSEN
from dqn_tf.config.settings.setting import ATARI
from dqn_tf.config.worker_checks import check_shards, check_workers
from dqn_tf.support.errors import UserError

NOT_OF_STEPS = ("mlp", "bag_of_words", "nature_cnn", "nips_cnn", "small_cnn", "minatar_cnn")
LARGEST = 2**63 - 1  # what an int64 holds


def require_valid(config: Settings) -> None:
    """Raise UserError with the sentence of the first check that finds something wrong."""
    for check in CHECKS:
        sentence = check(config)
        if sentence is not None:
            raise UserError(sentence)


def check_ranges(config: Settings) -> str | None:
    """Require every value in its setting's range; None stands for "not given"."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        allowed = field.metadata["allowed"]
        if value is not None and allowed is not None and value not in allowed:
            return f"--{field.name}={show(value)}: must be {allowed}."
        if isinstance(value, int) and value > LARGEST:
            return f"--{field.name}={value}: must be at most {LARGEST}."
    return None


def check_replay(config: Settings) -> str | None:
    """Require room in the replay for a batch, a window, and a row of each environment.

    A window lies within a row where rows are whole episodes.
    """
    names = ["batch_size", "num_envs"]
    if config.replay_unit != EPISODE:
        names.insert(1, "n_step")
    for name in names:
        value = getattr(config, name)
        if value > config.replay_capacity:
            return (
                f"--{name}={value} is more than --replay_capacity={config.replay_capacity} can"
                " hold."
            )
    return None


def check_warmup_fills_a_batch(config: Settings) -> str | None:
    """Require a full batch at the first update: a window of n steps is there after its last.

    A batch of episodes is drawn as soon as there is one, with replacement. When that is, only the
    environment knows, and the first update waits for it.
    """
    if config.replay_unit == EPISODE:
        return _warmup_for_an_episode(config)
    waiting = (config.n_step - 1) * config.num_envs
    if config.warmup_env_steps >= config.batch_size + waiting or not config.total_steps:
        return None
    windows = ""
    if config.n_step > 1:
        windows = (
            f" and the {config.n_step - 1} steps of each environment that --n_step={config.n_step}"
            " waits for"
        )
    return (
        f"--warmup_env_steps={config.warmup_env_steps} must be at least"
        f" --batch_size={config.batch_size}{windows}: the first update needs a full batch."
    )


def _warmup_for_an_episode(config: Settings) -> str | None:
    if config.warmup_env_steps >= config.num_envs or not config.total_steps:
        return None
    return (
        f"--warmup_env_steps={config.warmup_env_steps} must be at least"
        f" --num_envs={config.num_envs} with --replay_unit=episode: before the first update an"
        " episode must have ended, and the shortest takes a step of each environment."
    )


def check_warmup_leaves_steps(config: Settings) -> str | None:
    """Require steps to learn from after warm-up."""
    if config.warmup_env_steps < config.total_steps or not config.total_steps:
        return None
    return (
        f"--warmup_env_steps={config.warmup_env_steps} must be below"
        f" --total_steps={config.total_steps}, or nothing is learned."
    )


def check_logged_data(config: Settings) -> str | None:
    """Require logged data for updates before the first environment step, and one of the two."""
    for name in ("pretrain_updates", "offline_updates"):
        if getattr(config, name) and not config.data:
            return f"--{name}={getattr(config, name)} are updates on logged data: give --data."
    if not (config.total_steps or config.pretrain_updates or config.offline_updates):
        return (
            "--total_steps=0 takes no environment step: give --offline_updates and --data to learn"
            " from logged data alone, or --total_steps above 0."
        )
    if config.data and config.engine == "graph":
        return "--engine=graph has no --data: use --engine=host."
    return None


def check_data_share(config: Settings) -> str | None:
    """Require at least one row of each batch from each side, or the whole batch from one."""
    if not config.data or not config.total_steps or config.data_share in (0.0, 1.0):
        return None
    if 0 < round(config.data_share * config.batch_size) < config.batch_size:
        return None
    return (
        f"--data_share={config.data_share}: of a batch of {config.batch_size} it is no whole row,"
        " or all of them. Give another share or --batch_size."
    )


def check_bounds(config: Settings) -> str | None:
    """Require two different returns where returns lie between two."""
    if config.v_min < config.v_max:
        return None
    if config.distribution == "c51":
        what = "between them lie the atoms of --distribution=c51"
    elif config.clip_targets:
        what = "--clip_targets leaves what is between them"
    else:
        return None
    return f"--v_min={config.v_min} must be below --v_max={config.v_max}: {what}."


def check_heads(config: Settings) -> str | None:
    """Require heads of the same even width: rotary positions turn pairs of numbers."""
    if config.network not in ("auto", "transformer") or reads_by_model(config):
        return None
    if config.width % (2 * config.heads) == 0:
        return None
    return (
        f"--width={config.width} must be a multiple of twice --heads={config.heads}: each head of"
        " the transformer gets as many numbers as any other, in pairs."
    )


def check_keep_bias(config: Settings) -> str | None:
    """Require a network with the gate that `keep_bias` is of."""
    if not config.keep_bias or "gru" in (config.network, config.message_torso):
        return None
    return (
        f"--keep_bias={config.keep_bias:g} is of --network=gru or --message_torso=gru, and here"
        f" --network is {config.network}."
    )


def check_munchausen(config: Settings) -> str | None:
    """Require plain Q-values beside Munchausen's soft bootstrap, and no other bootstrap."""
    if not config.munchausen:
        return None
    for name, allowed in BESIDE_MUNCHAUSEN.items():
        value = getattr(config, name)
        if value in allowed:
            continue
        why = "its soft bootstrap has no greedy next action to choose"
        if name == "distribution":
            why = "its target is a number, not a distribution"
        words = " ".join(flag_words(name, value))
        none = " ".join(flag_words(name, allowed[0]))
        return (
            f"--munchausen and {words} cannot be combined: {why}. Leave one out ({none}, where the"
            " preset has it)."
        )
    return None


def check_losses_on_logged_data(config: Settings) -> str | None:
    """Require an engine that has logged data, where something is learned from them."""
    if config.engine == "graph":
        for name in ("cql_alpha", "imitation", "support", "q_weight"):
            if getattr(config, name):
                return (
                    f"--{name} learns from logged data, which --engine=graph has not: use"
                    " --engine=host."
                )
        if config.explore_with != "uniform":
            return (
                f"--explore_with={config.explore_with} learns from logged data, which"
                " --engine=graph has not: use --engine=host."
            )
    return None


def check_episodes_have_a_network(config: Settings) -> str | None:
    """Require a network that gives the features of every step, where rows are whole episodes."""
    if config.replay_unit != EPISODE or config.network not in NOT_OF_STEPS:
        return None
    return (
        f"--network={config.network} gives Q-values of whole observations, and"
        " --replay_unit=episode needs those of every step in one pass: use --network=transformer"
        " or gru, or --replay_unit=transition."
    )


def check_choices(config: Settings) -> str | None:
    """Require what can tell choices as texts, and no setting of theirs without them."""
    if config.choices != "texts":
        for name in ("max_choices", "choice_tokens"):
            if getattr(config, name):
                return f"--{name} is of choices as texts: add --choices=texts, or leave it out."
        return None
    if config.choice_tokens not in (0, config.message_tokens) and reads_by_model(config):
        return (
            f"--choice_tokens={config.choice_tokens} is of choices whose tokens the network learns:"
            " a language model reads each in as many as a message, --message_tokens."
        )
    if config.engine == "graph":
        return "--engine=graph has no --choices=texts: its environments observe numbers."
    if config.replay_unit == EPISODE:
        return (
            "--choices=texts and --replay_unit=episode cannot be combined: behind each observation"
            " stand the choices of its step, so none is the beginning of the next one. Use"
            " --replay_unit=transition."
        )
    return None


def check_behaviour(config: Settings) -> str | None:
    """Require that something teaches the behaviour head, where it explores or acts."""
    if config.explore_with == "support" and not (config.explore_support or config.support):
        return (
            "--explore_with=support draws from what --explore_support leaves: give"
            " --explore_support=0.01."
        )
    clones = config.imitation > 0 and config.imitation_loss == "cross_entropy"
    if config.pretrain_updates or config.support or clones:
        return None
    for name in ("explore_with", "q_weight"):
        value = getattr(config, name)
        if value not in ("uniform", 0.0):
            return (
                f"--{name}={show(value)} takes the behaviour that was learned from logged data, and"
                " nothing learns it: give --pretrain_updates, or --imitation=0.1, with --data."
            )
    return None


def check_exponential_epsilon(config: Settings) -> str | None:
    """Require a start and an end above 0 for an exponential, which is never 0."""
    if config.epsilon_schedule != "exponential":
        return None
    for name, verb in (("epsilon_end", "reaches"), ("epsilon_start", "leaves")):
        if not getattr(config, name):
            return (
                f"--epsilon_schedule=exponential never {verb} --{name}=0: give an --{name} above 0."
            )
    return None


def check_graph_engine(config: Settings) -> str | None:
    """Require what the graph engine has: single steps, no priorities, noise or own collector."""
    if config.engine != "graph":
        return None
    for name in ("prioritized", "noisy"):
        if getattr(config, name):
            return f"--engine=graph has no --{name}: use --engine=host."
    if config.replay_unit == EPISODE:
        return (
            "--engine=graph has no --replay_unit=episode: its environments observe numbers. Use"
            " --engine=host."
        )
    if config.replay_eviction == RESERVOIR:
        return (
            "--engine=graph has no --replay_eviction=reservoir: its replay is a ring, in which the"
            " oldest step of all environments gives way. Use --engine=host."
        )
    if config.initial_replay:
        return (
            f"--initial_replay={config.initial_replay}: --engine=graph takes over no rows. Use"
            " --engine=host."
        )
    if config.evaluation_envs == 0:
        return (
            "--evaluation_envs=0 plays evaluations on the training's environments, and"
            " --engine=graph lends none: leave it out."
        )
    if config.collector != "local":
        return (
            f"--collector={config.collector} collects for --engine=host: --engine=graph steps"
            " environments of its own."
        )
    return None


def check_env_arguments(config: Settings) -> str | None:
    """Require an environment that takes arguments and wrappers, where there are some."""
    for name in ("env_kwargs", "env_wrappers"):
        value = getattr(config, name)
        if not value:
            continue
        if is_atari(config.env):
            return (
                f"--{name}={show(value)}: --env={config.env} is played by the protocol of Atari"
                " games, whose settings are flags of their own (--frame_skip, --sticky_actions"
                " and so on). Leave it out."
            )
        if config.engine == "graph":
            return (
                f"--{name}={show(value)}: --engine=graph has environments of its own, which take"
                " no arguments and no wrappers. Use --engine=host."
            )
    return None


def check_atari_settings(config: Settings) -> str | None:
    """Require an Atari game where its protocol is set."""
    if is_atari(config.env):
        return None
    for field in dataclasses.fields(config):
        changed = getattr(config, field.name) != field.default
        if field.metadata["group"] == ATARI and changed:
            return (
                f"--{field.name} is of the protocol of Atari games (ALE/...), and"
                f" --env={config.env} is none. Leave it out."
            )
    return None


def check_best_weights(config: Settings) -> str | None:
    """Require evaluations to choose the best weights by."""
    if config.export_weights != "best" or config.evaluation_period_env_steps:
        return None
    return (
        "--export_weights=best needs evaluations to choose by: give --evaluation_period_env_steps"
        " above 0."
    )


CHECKS: tuple[Callable[[Settings], str | None], ...] = (
    check_ranges,
    check_replay,
    check_warmup_fills_a_batch,
    check_warmup_leaves_steps,
    check_logged_data,
    check_language_model,
    check_data_share,
    check_bounds,
    check_keep_bias,
    check_heads,
    check_munchausen,
    check_losses_on_logged_data,
    check_episodes_have_a_network,
    check_choices,
    check_behaviour,
    check_exponential_epsilon,
    check_graph_engine,
    check_shards,
    check_workers,
    check_env_arguments,
    check_atari_settings,
    check_best_weights,
)
