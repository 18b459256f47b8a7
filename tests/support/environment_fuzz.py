"""Random odd environments, under training, evaluation and the doctor.

Each environment walks a corridor and returns, at one or two random calls, a value drawn from a list
of odd ones in place of the right one: for a whole answer or any part of it, in reset, step, render,
close, the constructor, or its spaces. Whatever it does, a command ends well or in one sentence.

A few dozen run in the suite (tests/envs/test_environment_fuzz.py). Thousands, with a line for each
that is not as it should be:

    python tests/support/environment_fuzz.py --count=2000 --seed=1
"""

import argparse
import contextlib
import dataclasses
import decimal
import fractions
import io
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

LIMIT_SECONDS = 20.0  # of one command
FEATURES = spaces.Box(-1.0, 1.0, (2,), np.float32)
BASES = {  # observation spaces, each with the right observation of a place
    "box": (FEATURES, lambda place: np.array([place / 4 - 1, 0.5], np.float32)),
    "discrete": (spaces.Discrete(9, start=-3), lambda place: np.int64(place - 3)),
    "bytes": (spaces.Box(0, 255, (3,), np.uint8), lambda place: np.full(3, place, np.uint8)),
    "dict": (
        spaces.Dict(observation=FEATURES, action_mask=spaces.MultiBinary(2)),
        lambda place: {
            "observation": np.array([place / 4 - 1, 0.5], np.float32),
            "action_mask": np.ones(2, np.int8),
        },
    ),
}


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no message")


class Opaque:
    """Raises whatever is asked of it."""

    def __array__(self, *arguments, **keywords):
        raise RuntimeError("no array")

    def __repr__(self):
        raise RuntimeError("no words")

    def __bool__(self):
        raise RuntimeError("no truth")

    def __len__(self):
        raise RuntimeError("no length")


class OpaqueDict(dict):
    def get(self, *arguments):
        raise RuntimeError("no item")

    def __contains__(self, key):
        raise RuntimeError("no key")


ERRORS = (
    ValueError("simulator\nbroke at é"),
    MemoryError(),
    SystemExit(3),
    RecursionError("deep"),
    Silent(),
    OSError(98, "Address already in use"),
    TypeError("x" * 100_000),
    KeyError("observation"),
    StopIteration(),
    AssertionError(),
    NotImplementedError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
)
NUMBERS = (
    0,
    1,
    -1,
    True,
    None,
    1j,
    np.nan,
    -np.inf,
    1e30,
    1e39,
    -1e300,
    10**20,
    10**400,
    10**5000,
    np.float16(3),
    np.float64(2),
    np.int8(-3),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.longdouble(1),
    decimal.Decimal("0.5"),
    decimal.Decimal("NaN"),
    fractions.Fraction(1, 3),
    "1",
    "",
    b"1",
    np.array(1.0),
    np.array([1.0]),
    np.array([[2]]),
    np.zeros(0),
    np.zeros((2, 2)),
    np.array(None),
    np.array("1"),
    np.datetime64("2020-01-01"),
    [],
    [1.0],
    [[1.0], [1.0, 2.0]],
    (),
    {},
    {"a": 1},
    {1, 2},
    object(),
    Opaque(),
    NotImplemented,
    Ellipsis,
    int,
    len,
    range(2),
)
ARRAYS = (
    np.zeros(2, np.float64),
    np.zeros(2, np.int64),
    np.zeros((1, 2), np.float32),
    np.zeros(3, np.float32),
    np.array([0.0, np.nan], np.float32),
    np.array([np.inf, 0.0]),
    np.array([1e300, 0.0]),
    np.array([0.5, 0.5], np.float16),
    np.array([1j, 0]),
    np.array([None, 0.0]),
    np.array(["a", "b"]),
    np.array(["2020", "2021"], "M8"),
    np.array([(1, 2.0)], [("a", "i4"), ("b", "f4")]),
    np.ma.masked_array([1.0, 2.0], [True, False]),
    np.matrix([[1.0, 2.0]]),
    np.zeros((2, 3), np.float32)[:, 1],
    np.array([300, -1, 0]),
    np.array([2**40, 0, 0]),
    np.asfortranarray(np.zeros((2, 1), np.float32)),
    [0.0, 0.5],
    (0.0, 0.5),
    [0.5, [0.5]],
    [None, 1],
    {"observation": np.zeros(2, np.float32)},
    {"action_mask": np.ones(2)},
    {"observation": np.zeros(2, np.float32), "action_mask": None},
    {"observation": None, "action_mask": [1, 1]},
    {"observation": np.zeros(2, np.float32), "action_mask": [0, 0]},
    {"observation": np.zeros(2, np.float32), "action_mask": [1, 0]},
)
MASKS = (
    None,
    [1, 0],
    [0, 0],
    [0.5, 1.0],
    [np.nan, 1.0],
    np.ones((1, 2)),
    np.ones(3),
    "10",
    [[1], [1, 0]],
    Opaque(),
    True,
    {0, 1},
)
INFOS = (
    None,
    [],
    "info",
    0,
    {},
    {5: 5},
    {"action_mask_": 1},
    Opaque(),
    OpaqueDict(),
    *({"action_mask": mask} for mask in MASKS),
)
STEPS = (None, (), 0.0, "abcde", (1, 2, 3, 4), [1] * 5, (1,) * 6, {}, Opaque(), iter(()), object())
RESETS = (None, np.zeros(2, np.float32), (), (0, 1, 2), [0, {}], {}, "ab", Opaque(), (None, {}))
SPACES = (
    None,
    Opaque(),
    spaces.Box(0, 1, (0,), np.float32),
    spaces.Box(-np.inf, np.inf, (), np.float64),
    spaces.Box(0, 1, (2, 0, 3), np.uint8),
    spaces.Dict(a=FEATURES),
    spaces.Dict(observation=spaces.Dict(a=FEATURES), action_mask=spaces.MultiBinary(2)),
    spaces.Tuple([FEATURES]),
    spaces.Text(5),
    spaces.MultiDiscrete([3, 4]),
    spaces.MultiBinary(3),
    spaces.Graph(FEATURES, None),
    spaces.Sequence(FEATURES),
    spaces.Discrete(10**9),
)
ACTIONS = (None, Opaque(), FEATURES, spaces.MultiDiscrete([2, 2]), spaces.Discrete(10**9))
PICTURES = (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)))
METADATA = (None, {}, [], {"render_modes": None}, {"render_modes": ["rgb_array"], "render_fps": 0})

# by place: the odd values, and whether errors are among them
PLACES: dict[str, tuple[Any, ...]] = {
    "observation": (*ARRAYS, *NUMBERS),
    "reward": NUMBERS,
    "terminated": NUMBERS,
    "truncated": NUMBERS,
    "info": INFOS,
    "step": (*STEPS, *ERRORS),
    "reset": (*RESETS, *ERRORS),
    "first observation": (*ARRAYS, *NUMBERS),
    "first info": INFOS,
    "render": (*PICTURES, *NUMBERS, *ERRORS),
    "close": ERRORS,
    "init": ERRORS,
    "observation_space": SPACES,
    "action_space": ACTIONS,
    "metadata": METADATA,
}
RARE = ("init", "observation_space", "action_space", "metadata", "render")


@dataclasses.dataclass
class Fault:
    """An odd value at one place: at its `when`-th call of all instances, and maybe ever after."""

    place: str
    value: Any
    when: int
    stays: bool

    def __str__(self) -> str:
        try:
            text = repr(self.value)[:60]
        except Exception:
            text = type(self.value).__name__
        return f"{self.place} {text} at {self.when}{' and after' if self.stays else ''}"


def draw_faults(generator: np.random.Generator) -> tuple[str, list[Fault]]:
    """A base and one or two faults."""
    weights = np.array([0.3 if place in RARE else 1.0 for place in PLACES])
    faults = []
    for _ in range(int(generator.integers(1, 3))):
        place = str(generator.choice(list(PLACES), p=weights / weights.sum()))
        values = PLACES[place]
        value = values[int(generator.integers(len(values)))]
        when = int(generator.integers(1, 4 if place in ("init", "close", *RARE) else 120))
        faults.append(Fault(place, value, when, bool(generator.random() < 0.3)))
    return str(generator.choice(list(BASES))), faults


class OddEnv(gym.Env):
    """A corridor of nine places whose right end pays 1 and terminates, with faults."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, base, faults, counts, render_mode=None):
        self.faults, self.counts, self.render_mode = faults, counts, render_mode
        space, self.see = BASES[base]
        self.give("init", None)
        self.observation_space = self.give("observation_space", space)
        self.action_space = self.give("action_space", spaces.Discrete(2, start=1))
        self.metadata = self.give("metadata", type(self).metadata)
        self.place = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = int(self.np_random.integers(8))
        observation = self.give("first observation", self.see(self.place))
        return self.give("reset", (observation, self.give("first info", {})))

    def step(self, action):
        assert action in (1, 2) and action.item() in (1, 2), action
        self.place = min(8, max(0, self.place + (1 if action == 2 else -1)))
        ended = self.place == 8
        return self.give(
            "step",
            (
                self.give("observation", self.see(self.place)),
                self.give("reward", float(ended)),
                self.give("terminated", ended),
                self.give("truncated", False),
                self.give("info", {}),
            ),
        )

    def render(self):
        return self.give("render", np.zeros((8, 8, 3), np.uint8))

    def close(self):
        self.give("close", None)

    def give(self, place, right):
        """The right value, or an odd one if its time has come."""
        self.counts[place] += 1
        for fault in self.faults:
            if fault.place != place:
                continue
            count = self.counts[place]
            if count == fault.when or (fault.stays and count > fault.when):
                if isinstance(fault.value, BaseException):
                    raise fault.value
                return fault.value
        return right


class Commands:
    """Training, evaluation and the doctor in this process; networks are compiled once a base."""

    def __init__(self):
        self.agents: dict[Any, tuple[Any, dict]] = {}

    def train(self, env: str) -> None:
        """A run of 100 steps with evaluations, as `train.py` has it but for its files."""
        from dqn_tf.config.dqn_config import DQNConfig
        from dqn_tf.engines.factory import make_engines
        from dqn_tf.envs import registry
        from dqn_tf.training import trainer
        from dqn_tf.training.plan import choice, memory_plan
        from dqn_tf.training.run import Run
        from dqn_tf.training.timings import Timings

        config = DQNConfig(
            env=env,
            seed=3,
            total_steps=100,
            warmup_env_steps=40,
            batch_size=8,
            hidden_units=(8,),
            updates_per_block=4,
            replay_capacity=100,
            target_update_period_env_steps=20,
            evaluation_period_env_steps=60,
            evaluation_episodes=2,
            test_episodes=4,
            evaluation_episode_steps=50,
        )
        seen = registry.spaces(config)  # as before TensorFlow is loaded
        memory_plan.require_memory(config, seen, 1, choice.parameters(config, seen))
        with contextlib.ExitStack() as stack:
            make_env = stack.enter_context(contextlib.closing(trainer.make_maker(config, seen)))
            agent = self._agent(config, seen)
            (engine,) = make_engines([config], [agent], make_env)
            run = Run(engine, make_env, [], Timings(), lambda sentence: None, lambda: None)
            stack.callback(run.close)
            run.make_evaluation_envs()
            trainer.run_blocks([run])
            run.score_both()

    def evaluate(self, env: str) -> None:
        """Episodes of a policy that acts at random, legally."""
        import dqn_tf

        generator = np.random.default_rng(0)

        def act(observation, mask):
            legal = np.ones((len(observation), 2), bool) if mask is None else mask
            return (generator.random(legal.shape) * legal).argmax(axis=1) + 1

        dqn_tf.evaluate(act, env, episodes=4, max_episode_steps=50)

    def film(self, env: str) -> None:
        """What `evaluate.py --video` asks of an environment before it plays."""
        from dqn_tf.config.dqn_config import DQNConfig
        from dqn_tf.envs import registry
        from dqn_tf.evaluation import video

        make = registry.maker(DQNConfig(env=env))
        video.require_drawing(make, "rgb_array", "--video", 1)

    def doctor(self, env: str) -> None:
        """300 random steps, and what is said of them."""
        from dqn_tf.config.dqn_config import DQNConfig
        from dqn_tf.doctor import advice, random_play

        config = DQNConfig(env=env)
        advice.findings(random_play.inspect(config, 300), config)

    def _agent(self, config, seen):
        from dqn_tf.agent.dqn import DQN

        if seen not in self.agents:
            agent = DQN(config, seen)
            agent.compile()
            self.agents[seen] = agent, {k: v.copy() for k, v in agent.arrays().items()}
        agent, arrays = self.agents[seen]
        agent.load_arrays(arrays)
        return agent


def names_it(sentence: str) -> bool:
    """Whether it says that it is about the environment."""
    return "--env=" in sentence or "nvironment" in sentence


def try_one(commands: Commands, seed: int) -> tuple[list[str], Counter]:
    """What is not as it should be under one random environment, and how its commands ended."""
    from dqn_tf.support.errors import UserError

    base, faults = draw_faults(np.random.default_rng(seed))
    wrong, ends = [], Counter()
    for name in ("train", "evaluate", "film", "doctor"):
        counts: Counter = Counter()
        env = f"Odd{seed}{name}-v0"
        gym.register(
            env,
            lambda counts=counts, **keywords: OddEnv(base, faults, counts, **keywords),
            max_episode_steps=20,
        )
        start = time.monotonic()
        fault = ""
        try:
            with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                getattr(commands, name)(env)
            ends[name, "well"] += 1
        except UserError as error:
            ends[name, "sentence"] += 1
            sentence = str(error)
            if not 20 < len(sentence) < 1_500 or not names_it(sentence):
                fault = f"no sentence: {sentence[:300]}"
        except BaseException as error:
            ends[name, "TRACEBACK"] += 1
            fault = "".join(traceback.format_exception(error))[-2_000:]
        finally:
            gym.registry.pop(env)
        seconds = time.monotonic() - start
        if seconds > LIMIT_SECONDS:
            fault += f" took {seconds:.0f} s"
        if fault:
            wrong.append(f"seed {seed}, {name}, {base}, {'; '.join(map(str, faults))}: {fault}")
    return wrong, ends


def main() -> int:
    """Try many; 1 if one of them is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from dqn_tf.support import tensorflow_loading

    tensorflow_loading.load_tensorflow()
    commands, ends, wrong = Commands(), Counter(), 0
    start = time.monotonic()
    for number in range(options.count):
        faults, ended = try_one(commands, options.seed * 1_000_000 + number)
        ends += ended
        wrong += len(faults)
        for fault in faults:
            print(fault, flush=True)
        if (number + 1) % 100 == 0:
            print(f"{number + 1} environments, {time.monotonic() - start:.0f} s", flush=True)
    for (name, end), count in sorted(ends.items()):
        print(f"{name:9} {end:10} {count:6,}")
    print(f"{wrong} wrong of {options.count:,} environments under four commands")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
