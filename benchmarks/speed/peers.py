"""Other DQNs at a benchmark's setting, each called as its own documentation calls it.

Libraries are imported inside the functions: each runs in a process, and perhaps in an environment,
of its own.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.speed.settings import Setting
from benchmarks.speed.stopwatch import PARTS, Stopwatch

BUFFER_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def stable_baselines3(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """Train with Stable-Baselines3's DQN.

    PyTorch gets one thread for mlps: for networks this small two are slower.
    """
    import torch
    from stable_baselines3 import DQN

    if setting.network == "mlp":
        torch.set_num_threads(1)
    return _learn(DQN, setting, seed, watch, max_grad_norm=setting.max_gradient_norm)


def sbx(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """Train with sbx's DQN: Stable-Baselines3's loop, with the learning in JAX.

    It does not clip gradients.
    """
    import torch
    from sbx import DQN

    torch.set_num_threads(1)
    return _learn(DQN, setting, seed, watch)


def _learn(
    algorithm: Callable[..., Any], setting: Setting, seed: int, watch: Stopwatch, **more: Any
) -> float:
    """Train through Stable-Baselines3's interface, which sbx shares.

    Returns the bytes that the replay takes per transition.
    """
    from stable_baselines3.common.callbacks import BaseCallback

    class Watch(BaseCallback):
        """Looks at the clock before each rollout, when all updates so far are done."""

        unfilled = setting.filled

        def _on_rollout_start(self) -> None:
            if self.unfilled and self.num_timesteps >= setting.warmup:
                _fill(self.model.replay_buffer)
                self.unfilled = False
            watch.at(self.num_timesteps)

        def _on_step(self) -> bool:
            return True

    watch.imported()
    train_freq, gradient_steps = setting.vector_steps()
    policy = "CnnPolicy"
    policy_kwargs = {}
    if setting.network == "mlp":
        policy = "MlpPolicy"
        policy_kwargs["net_arch"] = list(setting.hidden_units)
    model = algorithm(
        policy,
        _environments(setting, seed),
        seed=seed,
        device="cpu",
        learning_rate=setting.learning_rate,
        buffer_size=setting.replay_capacity,
        learning_starts=setting.warmup,
        batch_size=setting.batch_size,
        tau=1.0,
        gamma=setting.gamma,
        train_freq=train_freq,
        gradient_steps=gradient_steps,
        target_update_interval=setting.target_period,
        exploration_initial_eps=setting.epsilon_start,
        exploration_final_eps=setting.epsilon_end,
        exploration_fraction=max(1, setting.epsilon_decay) / setting.total_steps,
        policy_kwargs=policy_kwargs,
        **more,
    )
    model.learn(setting.total_steps, callback=Watch())
    watch.at(model.num_timesteps)
    buffer = model.replay_buffer
    buffer_bytes = sum(getattr(buffer, name).nbytes for name in BUFFER_ARRAYS)
    return buffer_bytes / (buffer.buffer_size * buffer.n_envs)


def _environments(setting: Setting, seed: int) -> Any:
    """Make the environments of Stable-Baselines3.

    Atari games are as in its own recipe, without sticky actions: preprocessed in Python, and four
    frames stacked.
    """
    from stable_baselines3.common.env_util import make_atari_env, make_vec_env
    from stable_baselines3.common.vec_env import VecFrameStack

    if setting.network == "mlp":
        return make_vec_env(setting.env, n_envs=setting.num_envs, seed=seed)
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    games = make_atari_env(
        setting.env,
        n_envs=setting.num_envs,
        seed=seed,
        env_kwargs={"frameskip": 1, "repeat_action_probability": 0.0},
    )
    return VecFrameStack(games, n_stack=4)


def _fill(buffer: Any) -> None:
    """Fill the buffer with copies of the rows that are there."""
    count = buffer.pos
    for name in BUFFER_ARRAYS:
        array = getattr(buffer, name)
        for place in range(count, len(array), count):
            array[place : place + count] = array[: min(count, len(array) - place)]
    buffer.pos = 0
    buffer.full = True


def tf_agents(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """Train with TF-Agents' DqnAgent.

    Driver, replay and training step all run in TensorFlow, each compiled, as in its own DQN
    example. Returns the bytes that the replay takes per transition.
    """
    import tensorflow as tf
    from tf_agents.drivers.dynamic_step_driver import DynamicStepDriver
    from tf_agents.environments import suite_gym
    from tf_agents.environments.tf_py_environment import TFPyEnvironment
    from tf_agents.policies.random_tf_policy import RandomTFPolicy
    from tf_agents.replay_buffers.tf_uniform_replay_buffer import TFUniformReplayBuffer
    from tf_agents.utils import common

    watch.imported()
    tf.random.set_seed(seed)
    env = TFPyEnvironment(suite_gym.load(setting.env))
    agent = _make_tf_agent(setting, env)
    replay = TFUniformReplayBuffer(
        agent.collect_data_spec, batch_size=env.batch_size, max_length=setting.replay_capacity
    )

    def collector(policy: Any, num_steps: int) -> Callable[..., Any]:
        driver = DynamicStepDriver(env, policy, [replay.add_batch], num_steps=num_steps)
        return common.function(driver.run)

    random_policy = RandomTFPolicy(env.time_step_spec(), env.action_spec())
    time_step, _ = collector(random_policy, setting.warmup)()
    collect = collector(agent.collect_policy, setting.collect)
    dataset = replay.as_dataset(
        num_parallel_calls=3, sample_batch_size=setting.batch_size, num_steps=2
    )
    batches = iter(dataset.prefetch(3))

    def train() -> None:
        experience, _ = next(batches)
        agent.train(experience)

    compiled_train = common.function(train)
    policy_state = agent.collect_policy.get_initial_state(env.batch_size)
    env_step = setting.warmup
    watch.at(env_step)
    while env_step < setting.total_steps:
        time_step, policy_state = collect(time_step, policy_state)
        for _ in range(setting.updates):
            compiled_train()
        env_step += setting.collect
        watch.at(env_step)
    return sum(variable.numpy().nbytes for variable in replay.variables()) / setting.replay_capacity


def _make_tf_agent(setting: Setting, env: Any) -> Any:
    import tensorflow as tf
    from tf_agents.agents.dqn.dqn_agent import DqnAgent
    from tf_agents.networks.q_network import QNetwork
    from tf_agents.utils import common

    updates = tf.Variable(0, dtype=tf.int64)

    def epsilon() -> tf.Tensor:
        env_step = tf.cast(updates, tf.float32) * setting.collect / setting.updates + setting.warmup
        share = tf.minimum(env_step / max(1, setting.epsilon_decay), 1.0)
        return setting.epsilon_start + share * (setting.epsilon_end - setting.epsilon_start)

    network = QNetwork(
        env.observation_spec(), env.action_spec(), fc_layer_params=setting.hidden_units
    )
    agent = DqnAgent(
        env.time_step_spec(),
        env.action_spec(),
        network,
        optimizer=tf.keras.optimizers.Adam(setting.learning_rate),
        epsilon_greedy=epsilon,
        gamma=setting.gamma,
        target_update_period=max(1, setting.target_period * setting.updates // setting.collect),
        td_errors_loss_fn=common.element_wise_huber_loss,
        gradient_clipping=setting.max_gradient_norm,
        train_step_counter=updates,
    )
    agent.initialize()
    return agent


def rejax(setting: Setting, seed: int, watch: Stopwatch) -> float:
    """Train with rejax's DQN: environments, replay and learning in one JAX program.

    It limits each entry of a gradient, not the gradient's norm, and learns from squared errors. The
    timed steps are later calls of a program that the steps before them have compiled. Returns the
    bytes that the replay takes per transition.
    """
    import jax
    from flax import linen
    from rejax import get_algo
    from rejax.networks import DiscreteQNetwork, EpsilonGreedyPolicy

    watch.imported()
    envs = setting.num_envs
    algorithm = get_algo("dqn").create(
        env=setting.env,
        num_envs=envs,
        num_epochs=envs * setting.updates // setting.collect,
        ddqn=False,
        learning_rate=setting.learning_rate,
        gamma=setting.gamma,
        max_grad_norm=setting.max_gradient_norm,
        buffer_size=setting.replay_capacity,
        fill_buffer=setting.warmup,
        batch_size=setting.batch_size,
        target_update_freq=setting.target_period,
        total_timesteps=setting.total_steps,
        eps_start=setting.epsilon_start,
        eps_end=setting.epsilon_end,
        exploration_fraction=max(1, setting.epsilon_decay) / setting.total_steps,
    )
    network = EpsilonGreedyPolicy(DiscreteQNetwork)(
        hidden_layer_sizes=setting.hidden_units,
        activation=linen.relu,
        action_dim=algorithm.action_dim,
    )
    algorithm = algorithm.replace(agent=network)

    def advance(state: Any, iterations: int) -> Any:
        return jax.lax.fori_loop(
            0, iterations, lambda _, state: algorithm.train_iteration(state), state
        )

    compiled = jax.jit(jax.vmap(advance, (0, None)))
    keys = jax.random.split(jax.random.key(seed), setting.num_seeds)
    state = jax.jit(jax.vmap(algorithm.init_state))(keys)
    env_step = 0
    for goal in _marks(setting):
        state = jax.block_until_ready(compiled(state, (goal - env_step) // envs))
        env_step = goal
        watch.at(env_step)
    columns = jax.tree.leaves(state.replay_buffer.data)
    return sum(column.nbytes for column in columns) / setting.replay_capacity / setting.num_seeds


def _marks(setting: Setting) -> list[int]:
    """List the steps of all environments' whole rounds at which the watch is to be shown."""
    tenths = range(PARTS + 1)
    marks = [setting.start + setting.steps * tenth // PARTS for tenth in tenths]
    return [mark // setting.num_envs * setting.num_envs for mark in marks if mark]
