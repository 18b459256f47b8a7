"""How much memory a run's replay takes, before any of it is taken."""

import dataclasses
import math

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import memory_bytes, show
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.frames import bytes_per_frame, numbered_spaces, ring_size
from dqn_tf.experience.replay import bytes_per_row
from dqn_tf.experience.replay_unit import holds_episodes, row_columns
from dqn_tf.experience.steps import Steps
from dqn_tf.support.errors import UserError
from dqn_tf.support.free_memory import free_memory

FLOAT_BYTES = 4
# The weights are there as online and target network, twice in the optimizer, as gradients, as the
# best so far, flat for acting, and once more in a checkpoint.
WEIGHT_COPIES = 8
ONE_HOT_COPIES = 3  # of observations, next observations, and a gradient
SEQUENTIAL = ("transformer", "gru")  # which look tokens up and keep features of every step
STEP_COPIES = 24  # of a step's features in each layer, with their gradients
ATTENTION_COPIES = 3  # of the weights of each head, with their gradients
NUMBER_BYTES = 8  # of a row's oldest frame, and of its priority
MANY_ROWS = 10**6  # so many that what does not grow with them does not count


def with_capacity(config: DQNConfig, spaces: Spaces) -> DQNConfig:
    """Turn `replay_memory`, where it is set, into the largest `replay_capacity` that fits into it.

    Raises UserError if not one row fits.
    """
    if config.replay_memory is None:
        return config
    memory = memory_bytes(config.replay_memory)
    per_row = replay_bytes(MANY_ROWS, config, spaces) / MANY_ROWS
    capacity = int(memory / per_row)
    # what does not grow with the number of rows
    while capacity > 0 and replay_bytes(capacity, config, spaces) > memory:
        excess = replay_bytes(capacity, config, spaces) - memory
        capacity -= max(1, math.ceil(excess / per_row))
    if capacity < 1:
        raise UserError(
            f"--replay_memory={config.replay_memory} is too small for a single"
            f" {config.replay_unit}: one takes {int(per_row):,} bytes."
        )
    return dataclasses.replace(config, replay_capacity=capacity, replay_memory=None)


def capacity(config: DQNConfig) -> int:
    """Return the rows that the run's own replay has room for: one where no step is ever taken."""
    return config.replay_capacity if config.total_steps else 1


def replay_bytes(capacity: int, config: DQNConfig, spaces: Spaces) -> int:
    """Return the memory of a replay of `capacity` rows, with the frames of stacked observations."""
    priorities = NUMBER_BYTES * capacity if config.prioritized else 0
    if not spaces.stack or holds_episodes(config):
        return capacity * bytes_per_row(row_columns(config, spaces)) + priorities
    row = bytes_per_row(row_columns(config, numbered_spaces(spaces))) + NUMBER_BYTES
    frames = ring_size(capacity, config.num_envs, config.n_step, spaces)
    return capacity * row + priorities + frames * bytes_per_frame(spaces)


def network_bytes(parameters: int, config: DQNConfig, spaces: Spaces) -> int:
    """Return about how much the weights of a network and what it keeps of a batch's rows take."""
    steps_with_values = spaces.observation_shape[0] if holds_episodes(config) else 1
    row = steps_with_values * spaces.actions * ONE_HOT_COPIES
    if spaces.choices:
        row += spaces.choices * config.width * STEP_COPIES
        spaces = spaces.of_state()
    if reads_steps(config, spaces):
        steps = spaces.observation_shape[0]
        row += config.layers * steps * config.width * STEP_COPIES
        if config.network != "gru":
            row += config.layers * config.heads * steps * steps * ATTENTION_COPIES
    elif spaces.messages:
        row += spaces.messages * config.width * STEP_COPIES
    elif spaces.categories:
        row += spaces.encoded_width * ONE_HOT_COPIES
    return FLOAT_BYTES * (parameters * WEIGHT_COPIES + config.batch_size * row)


def block_bytes(config: DQNConfig, spaces: Spaces) -> int:
    """Return the memory of the steps of a block and of the rows that its updates draw."""
    steps = Steps.empty(1, 1, spaces)
    step = sum(column.nbytes for column in vars(steps).values())
    taken = config.block_steps * config.num_envs * step if config.total_steps else 0
    if spaces.stack:  # their rows are drawn for a few updates at a time
        return taken
    row = bytes_per_row(row_columns(config, spaces))
    return taken + _most_updates(config) * config.batch_size * row


def _most_updates(config: DQNConfig) -> int:
    """Return the largest number of updates of a block, be it on logged data alone."""
    return max(config.most_updates, config.most_logged_updates)


def reads_steps(config: DQNConfig, spaces: Spaces) -> bool:
    """Tell whether the network reads one step of an observation after the other."""
    is_sequential = config.network in SEQUENTIAL and bool(spaces.observation_shape)
    return is_sequential or (
        config.network == "auto" and spaces.vocabulary > 0 and not spaces.messages
    )


def require_memory(config: DQNConfig, spaces: Spaces, runs: int = 1, parameters: int = 0) -> str:
    """Return a sentence on the memory of one run, or of several at once.

    `parameters` are the network's weights. Raises UserError if it does not fit into what is free.
    """
    needed = replay_bytes(config.replay_capacity, config, spaces) * runs
    free = free_memory()
    network = network_bytes(parameters, config, spaces) * runs
    if network > free:
        of_what, remedy = _size_and_remedy(config, spaces)
        raise UserError(
            f"The network does not fit into memory: for {of_what} it has about {parameters:,}"
            f" weights, which take {format_bytes(network)} with target, optimizer, copies and a"
            f" batch, and {format_bytes(free)} are free. Give {remedy}."
        )
    block = block_bytes(config, spaces) * runs
    if block > free:
        raise UserError(
            f"A block does not fit into memory: its {config.block_steps * config.num_envs:,}"
            f" environment steps and the batches of its {_most_updates(config):,} updates take"
            f" {format_bytes(block)}, and {format_bytes(free)} are free. Give a smaller"
            " --updates_per_block, --env_steps_per_update or --batch_size."
        )
    if not config.total_steps:
        return "Replay memory: none, as no environment step is taken."
    beside = network + block
    if beside > free // 10:
        free -= beside
    row = needed // config.replay_capacity
    seeds = f" for {runs} seeds" if runs > 1 else ""
    plan = (
        f"{config.replay_capacity:,} {config.replay_unit}s of {row:,} bytes{seeds},"
        f" {format_bytes(needed)} of {format_bytes(free)} free"
    )
    if needed > free:
        raise UserError(
            f"--replay_capacity={config.replay_capacity} does not fit into memory: {plan}. At most"
            f" {int(free * 0.8) // row:,} would."
        )
    return f"Replay memory: {plan} ({needed / free:.0%})."


def _size_and_remedy(config: DQNConfig, spaces: Spaces) -> tuple[str, str]:
    """Return in words what makes a network large, and what would make it smaller."""
    actions = f"{spaces.actions:,} actions"
    hidden = f"--hidden_units={show(config.hidden_units)}"
    if not spaces.categories:
        seen = f"observations of {list(spaces.observation_shape)}, "
    elif spaces.vocabulary:
        seen = f"{spaces.observation_shape[0]:,} tokens of {spaces.vocabulary:,}, "
    else:
        seen = f"{spaces.categories:,} categories, "
    if reads_steps(config, spaces):
        return (
            f"{seen}{actions}, --width={config.width}, --layers={config.layers} and"
            f" --batch_size={config.batch_size}",
            "a smaller --width or --batch_size, fewer --layers, or an environment with fewer"
            " tokens or shorter observations",
        )
    if spaces.vocabulary:
        return (
            f"{seen}{actions} and {hidden}",
            "--network=transformer or gru, which look tokens up, or fewer --hidden_units",
        )
    return (
        f"{seen}{actions} and {hidden}",
        "fewer --hidden_units, or an environment that observes numbers or fewer categories",
    )


def format_bytes(count: int) -> str:
    """Write a number of bytes as a person reads it."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"
