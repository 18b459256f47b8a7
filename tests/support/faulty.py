"""Environments as a user's own module would register them: one that is right, and one for each way
to be wrong.

`--env=faulty:NaNReward-v0` imports this file, wherever it lies on the path. The environment
variable FAULTY, a JSON object, makes a command be hit at a chosen moment: {"moment": "training",
"count": 100, "signal": 15} sends itself SIGTERM at its 100th training step; other moments are
"evaluation" and "test" (steps of those episodes), "reset", "saving" (files synced) and "publishing"
(gates passed). "again" sends the signal a second time.
"""

import json
import os
import signal
import sys
from typing import ClassVar

import gymnasium as gym
import numpy as np

FEATURES = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
# an episode seed's remainder modulo 4, see dqn_tf.config.seeding
STREAMS = ("training", "evaluation", "test", "other")


class Hit:
    """Counts moments and sends the signal at the chosen one."""

    def __init__(self) -> None:
        self.chosen = json.loads(os.environ.get("FAULTY", "{}"))
        self.counts: dict[str, int] = {}

    def __call__(self, moment: str) -> None:
        self.counts[moment] = self.counts.get(moment, 0) + 1
        if self.chosen.get("moment") == moment and self.chosen["count"] == self.counts[moment]:
            for _ in range(1 + self.chosen.get("again", 0)):
                signal.raise_signal(self.chosen["signal"])


hit = Hit()


def _hit_before(module: str, function: str, moment: str) -> None:
    """Makes a function of a loaded module call `hit` first."""
    if hit.chosen.get("moment") == moment:
        __import__(module)
        original = getattr(sys.modules[module], function)

        def wrapped(*arguments):
            hit(moment)
            return original(*arguments)

        setattr(sys.modules[module], function, wrapped)


_hit_before("dqn_tf.support.files", "_sync_entry", "saving")
_hit_before("dqn_tf.export.publish", "_rename_to_next_version", "publishing")


class Corridor(gym.Env):
    """Nine places in a row, begun at a drawn one; action 2 goes right, 1 left; the right end pays 1
    and terminates.

    Subclasses override `first`, `after` or `reward` to be wrong, at step `when` of an episode.
    """

    observation_space, action_space = FEATURES, gym.spaces.Discrete(2, start=1)
    when = 5

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.stream = STREAMS[self.np_random_seed & 3]
        hit("reset")
        self.place, self.number = int(self.np_random.integers(8)), 0
        return self.first(self._seen()), {}

    def step(self, action):
        assert action in self.action_space, action
        hit(self.stream)
        self.number += 1
        self.place = min(
            8, max(0, self.place + (1 if action == self.action_space.start + 1 else -1))
        )
        ended = self.place == 8
        reward, observation = float(ended), self._seen()
        if self.number == self.when:
            reward, observation = self.reward(reward), self.after(observation)
        return observation, reward, ended, False, {}

    def first(self, observation):
        """A reset's observation."""
        return observation

    def after(self, observation):
        """A step's observation."""
        return observation

    def reward(self, reward):
        """A step's reward."""
        return reward

    def _seen(self) -> np.ndarray:
        return np.array([self.place / 4 - 1, self.number / 20 - 1], np.float32)


class Hits(gym.Wrapper):
    """Any environment, whose steps are counted as those of the corridor."""

    def reset(self, **options):
        observation, info = super().reset(**options)
        self.stream = STREAMS[self.env.unwrapped.np_random_seed & 3]
        hit("reset")
        return observation, info

    def step(self, action):
        hit(self.stream)
        return super().step(action)


class NaNObservation(Corridor):
    def after(self, observation):
        return observation * [1, np.nan]


class NaNReset(Corridor):
    def first(self, observation):
        return np.full_like(observation, np.nan)


class InfObservation(Corridor):
    def after(self, observation):
        return observation + np.inf


class NaNReward(Corridor):
    def reward(self, reward):
        return np.nan


class InfReward(Corridor):
    def reward(self, reward):
        return -np.inf


class HugeReward(Corridor):
    """Finite, but its square is not."""

    def reward(self, reward):
        return 1e38


class NoReward(Corridor):
    def reward(self, reward):
        return None


class TextReward(Corridor):
    def reward(self, reward):
        return "1"


class TwoRewards(Corridor):
    def reward(self, reward):
        return np.ones(2)


class IntReward(Corridor):
    def reward(self, reward):
        return 1


class ArrayReward(Corridor):
    def reward(self, reward):
        return np.array(1.0)


class OneReward(Corridor):
    def reward(self, reward):
        return np.ones(1, np.float32)


class Raises(Corridor):
    def after(self, observation):
        if hit.counts["training"] > 250:
            raise ZeroDivisionError("the simulator\nbroke")
        return observation


class RaisesInReset(Corridor):
    def first(self, observation):
        raise OSError("no simulator found")


class RaisesInConstructor(Corridor):
    def __init__(self):
        raise OSError("no simulator found")


class OldStep(Corridor):
    """Gym's four values instead of Gymnasium's five."""

    def step(self, action):
        return super().step(action)[:4]


class WrongShape(Corridor):
    def after(self, observation):
        return observation[:1]


class Broadcastable(Corridor):
    def after(self, observation):
        return np.float32(0.5)


class WrongType(Corridor):
    """Floats, where the space says bytes."""

    observation_space = gym.spaces.Box(0, 255, (2,), np.uint8)

    def first(self, observation):
        return np.zeros(2, np.uint8)

    def after(self, observation):
        return np.zeros(2, np.float64)

    when = 1


class OldReset(Corridor):
    """Gym's observation alone, instead of Gymnasium's two values."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)[0]


class NoInfo(Corridor):
    def step(self, action):
        return (*super().step(action)[:4], None)


class RaggedObservation(Corridor):
    def after(self, observation):
        return [[0.0], [0.0, 1.0]]


class HugeIntReward(Corridor):
    def reward(self, reward):
        return 10**400


class TooLargeReward(Corridor):
    def reward(self, reward):
        return 1e39


class LateMask(Corridor):
    """Gives masks from the third episode of training on."""

    training_episodes = 0

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        LateMask.training_episodes += self.stream == "training"
        if LateMask.training_episodes > 3:
            info = {"action_mask": np.ones(2, np.int8)}
        return observation, info


class CloseRaises(Corridor):
    """Once it was stepped."""

    number = 0

    def close(self):
        if self.number:
            raise RuntimeError("the simulator is gone")


class OnlyOne(Corridor):
    """Holds a port: a second living instance cannot be made."""

    living = 0
    made = 0

    def __init__(self):
        if OnlyOne.living:
            raise OSError(98, "Address already in use: port 5000")
        OnlyOne.living += 1
        OnlyOne.made += 1

    def close(self):
        OnlyOne.living -= 1


class Counted(Corridor):
    """Counts the instances that are open. One of them cannot be made, or reset: see `breaks`."""

    made = 0
    open: ClassVar[set] = set()
    breaks = ("", 0)  # when, and which instance, counted from 1

    @classmethod
    def break_at(cls, moment: str, number: int) -> None:
        cls.made, cls.open, cls.breaks = 0, set(), (moment, number)

    def __init__(self):
        Counted.made += 1
        self.instance = Counted.made
        self.fail_at("made")
        Counted.open.add(self.instance)

    def fail_at(self, moment):
        if Counted.breaks == (moment, self.instance):
            raise OSError(f"instance {self.instance} cannot be {moment}")

    def reset(self, **options):
        self.fail_at("reset")
        return super().reset(**options)

    def close(self):
        Counted.open.discard(self.instance)


class Sampled(Corridor):
    """Wants its actions as `action_space.sample()` gives them."""

    def step(self, action):
        assert type(action) is type(self.action_space.sample())
        return super().step(action.item())


class Sized(Corridor):
    """Cannot be made without an argument; observes as many numbers."""

    def __init__(self, size):
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (size,), np.float32)

    def _seen(self):
        return np.resize(super()._seen(), self.observation_space.shape)


class Parts(Corridor):
    """Observes a Dict, as MiniGrid's environments do."""

    observation_space = gym.spaces.Dict(
        direction=gym.spaces.Discrete(4), image=gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
    )

    def _seen(self):
        return {"direction": 1, "image": super()._seen()}


class HugeDiscrete(Corridor):
    observation_space = gym.spaces.Discrete(10_000_000)

    def _seen(self):
        return self.place


class ManyActions(Corridor):
    action_space = gym.spaces.Discrete(10**9)


class NoNumbers(Corridor):
    observation_space = gym.spaces.Box(0.0, 1.0, (0,), np.float32)


class ChannelsFirst(Corridor):
    """Four grey pictures, the oldest first, as FrameStackObservation gives them."""

    observation_space = gym.spaces.Box(0, 255, (4, 36, 36), np.uint8)

    def _seen(self):
        return np.full((4, 36, 36), self.place, np.uint8)


class Endless(Corridor):
    """Never ends: it has no time limit and pays nothing."""

    def step(self, action):
        observation, *_ = super().step(action)
        return observation, 0.0, False, False, {}


class OneAction(Corridor):
    action_space = gym.spaces.Discrete(1, start=2)

    def step(self, action):
        assert action == 2
        self.number += 1
        return self._seen(), 1.0, self.number == 10, False, {}


class Pixels(Corridor):
    """Stacked frames as Atari's: 28,224 bytes each."""

    observation_space = gym.spaces.Box(0, 255, (84, 84, 4), np.uint8)

    def first(self, observation):
        return np.zeros((84, 84, 4), np.uint8)


class ActionsFromOutside(Corridor):
    """Whose number of actions changes between two runs."""

    def __init__(self):
        self.action_space = gym.spaces.Discrete(int(os.environ.get("ACTIONS", "2")), start=1)


def _with(
    name: str,
    observation_space: gym.Space = FEATURES,
    action_space: gym.Space = Corridor.action_space,
) -> None:
    globals()[name] = type(
        name,
        (Corridor,),
        {
            "observation_space": observation_space,
            "action_space": action_space,
            "__module__": __name__,
        },
    )


_with("BoxActions", action_space=FEATURES)
_with("MultiDiscreteActions", action_space=gym.spaces.MultiDiscrete([2, 3]))
_with("MultiBinaryActions", action_space=gym.spaces.MultiBinary(3))
_with("TupleActions", action_space=gym.spaces.Tuple([gym.spaces.Discrete(2)]))
_with("DictObservations", gym.spaces.Dict(a=FEATURES))
_with("TupleObservations", gym.spaces.Tuple([FEATURES]))
_with("GraphObservations", gym.spaces.Graph(FEATURES, None))
_with("TextObservations", gym.spaces.Text(5))

for _class in [
    value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, Corridor)
]:
    gym.register(
        f"{_class.__name__}-v0",
        f"{__name__}:{_class.__name__}",
        max_episode_steps=None if _class is Endless else 20,
    )
