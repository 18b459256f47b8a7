"""Small environments, and a few bad ones, whose right answers are known without dqn_tf."""

from collections.abc import Callable

import gymnasium as gym
import numpy as np

CHAIN_STATES = 5


def chain_step(state: int, action: int) -> tuple[int, float, bool]:
    """Next state, reward and termination:

    0 goes left, 1 right; going right from the last state ends with reward 1.
    """
    if action == 0:
        return max(0, state - 1), 0.0, False
    if state == CHAIN_STATES - 1:
        return state, 1.0, True
    return state + 1, 0.0, False


def chain_q_star(gamma: float) -> np.ndarray:
    """Optimal Q-values [5, 2] by value iteration."""
    q = np.zeros((CHAIN_STATES, 2))
    for _ in range(1000):
        for state, action in np.ndindex(q.shape):
            after, reward, terminated = chain_step(state, action)
            q[state, action] = reward + (0.0 if terminated else gamma * q[after].max())
    return q


def chain_transitions(gamma: float) -> dict[str, np.ndarray]:
    """Every transition of the chain once: ten rows."""
    rows = [
        (state, action, *chain_step(state, action))
        for state in range(CHAIN_STATES)
        for action in (0, 1)
    ]
    state, action, after, reward, terminated = map(np.array, zip(*rows, strict=True))
    return {
        "observation": state.astype(np.int64),
        "action": action.astype(np.int32),
        "reward": reward.astype(np.float32),
        "discount": np.where(terminated, 0.0, gamma).astype(np.float32),
        "next_observation": after.astype(np.int64),
    }


class Chain(gym.Env):
    """Five states in a row; each episode begins in one of them, drawn from the reset's seed."""

    observation_space, action_space = gym.spaces.Discrete(CHAIN_STATES), gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = int(self.np_random.integers(CHAIN_STATES))
        return self.state, {}

    def step(self, action):
        self.state, reward, terminated = chain_step(self.state, action)
        return self.state, reward, terminated, False, {}


class ExploringStarts(gym.Env):
    """Any deterministic MDP; an episode's first state and action are drawn, the action as the only
    legal one (Sutton and Barto 2018, 5.3).

    Under a greedy agent it visits every state and action, and what follows the first action is the
    agent's best.
    """

    def __init__(
        self,
        step: Callable[[int, int], tuple[int, float, bool]],
        states: int,
        actions: int,
        observed: int,
        limit: int = 8,
    ) -> None:
        self.mdp, self.states, self.limit = step, states, limit
        self.action_space = gym.spaces.Discrete(actions)
        self.observation_space = gym.spaces.Dict(
            {
                "observation": gym.spaces.Discrete(observed),
                "action_mask": gym.spaces.MultiBinary(int(actions)),
            }
        )

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.steps = int(self.np_random.integers(self.states)), 0
        first = np.arange(self.action_space.n) == self.np_random.integers(self.action_space.n)
        return {"observation": self.state, "action_mask": first.astype(np.int8)}, {}

    def step(self, action):
        self.state, reward, terminated = self.mdp(self.state, int(action))
        self.steps += 1
        observation = {
            "observation": self.state,
            "action_mask": np.ones(self.action_space.n, np.int8),
        }
        return observation, reward, terminated, self.steps == self.limit, {}


class Told(gym.Wrapper):
    """Tells the number of a state as words, padded behind their end; a mask stays what it is.

    The tokens count from `start`, padding from there too. `texts` [S, T] are all that is seen.
    """

    padding: int

    def __init__(self, env: gym.Env, words: list[str], start: int = 3) -> None:
        super().__init__(env)
        self.tokens = ["<pad>", *sorted(set(" ".join(words).split()))]
        self.padding = start
        said = [[start + self.tokens.index(word) for word in text.split()] for text in words]
        length = max(map(len, said))
        self.texts = np.array([row + [start] * (length - len(row)) for row in said], np.int32)
        space = gym.spaces.Box(start, start + len(self.tokens) - 1, (length,), np.int32)
        self.observation_space = space
        if isinstance(env.observation_space, gym.spaces.Dict):
            self.observation_space = gym.spaces.Dict(
                env.observation_space.spaces | {"observation": space}
            )

    def reset(self, **arguments):
        observation, info = self.env.reset(**arguments)
        return self._told(observation), info

    def step(self, action):
        observation, *rest = self.env.step(action)
        return self._told(observation), *rest

    def _told(self, observation):
        if isinstance(observation, dict):
            return observation | {"observation": self.texts[observation["observation"]].copy()}
        return self.texts[observation].copy()


class Tree(gym.Env):
    """Every text of DEPTH words, each one of two, is an episode; a word has a reward of its own, by
    the text before it.

    The state is the text so far, so each observation begins with the one before. Each place has
    its own two words: no text is one word repeated, which attention alone tells badly apart.
    """

    DEPTH = 4
    tokens = ("<pad>", "from", *(f"{word}{place}" for place in range(4) for word in "ab"))
    padding = 0
    observation_space = gym.spaces.Box(0, 9, (DEPTH + 1,), np.int32)
    action_space = gym.spaces.Discrete(2)
    # of the nodes 1, then 2 and 3, then 4 to 7 and so on, and of both words
    rewards = np.random.default_rng(5).uniform(-0.5, 0.5, (2**DEPTH, 2)).round(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.node = 1
        return tree_text(1), {}

    def step(self, action):
        reward = float(self.rewards[self.node, action])
        self.node = 2 * self.node + int(action)
        return tree_text(self.node), reward, self.node >= 2**self.DEPTH, False, {}


def tree_text(node: int) -> np.ndarray:
    """The observation of a node, [5]: the words on the way there from node 1."""
    words = [2 + 2 * place + int(bit) for place, bit in enumerate(f"{node:b}"[1:])]
    return np.array([1, *words] + [0] * (Tree.DEPTH - len(words)), np.int32)


def tree_texts() -> np.ndarray:
    """The observation of each node but the last ones, [15, 5], from node 1 on."""
    return np.stack([tree_text(node) for node in range(1, 2**Tree.DEPTH)])


def tree_q_star(gamma: float) -> np.ndarray:
    """Optimal Q-values [15, 2] of the texts, from the longest to the shortest."""
    values, q = np.zeros(2 ** (Tree.DEPTH + 1)), np.zeros((2**Tree.DEPTH, 2))
    for node in reversed(range(1, 2**Tree.DEPTH)):
        q[node] = Tree.rewards[node] + gamma * values[[2 * node, 2 * node + 1]]
        values[node] = q[node].max()
    return q[1:]


class Pendulum(gym.Env):
    """States 0 and 1 in turn, for ever, whatever is done; leaving 1 brings 1.

    The first state is drawn.
    """

    observation_space, action_space = gym.spaces.Discrete(2), gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = int(self.np_random.integers(2))
        return self.state, {}

    def step(self, action):
        self.state = 1 - self.state
        return self.state, float(self.state == 0), False, False, {}


class Counter(gym.Env):
    """Observes (episode, step) and is paid 100 · episode + step: a row of replay that mixes up two
    moments shows it.

    `ends` maps an episode's number to the step at which it ends and to how: "terminated",
    "truncated" or "both".
    """

    observation_space, action_space = (
        gym.spaces.Box(0, 1e6, (2,), np.float32),
        gym.spaces.Discrete(3),
    )

    def __init__(self, ends: Callable[[int], tuple[int, str]], in_place: bool = False) -> None:
        self.ends, self.in_place = ends, in_place
        self.episode = self.number = 0
        self.array = np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.number = self.episode + 1, 0
        return self._observation(), {}

    def step(self, action):
        self.number += 1
        length, how = self.ends(self.episode)
        ended = self.number >= length
        return (
            self._observation(),
            100.0 * self.episode + self.number,
            ended and how in ("terminated", "both"),
            ended and how in ("truncated", "both"),
            {},
        )

    def _observation(self) -> np.ndarray:
        if not self.in_place:
            self.array = np.zeros(2, np.float32)
        self.array[:] = self.episode, self.number
        return self.array


class Drifting(gym.Env):
    """Does not repeat itself: the seed changes nothing, and each instance and episode differs."""

    observation_space, action_space = (
        gym.spaces.Box(-10, 10, (1,), np.float32),
        gym.spaces.Discrete(2),
    )
    source = np.random.default_rng(0)

    def reset(self, *, seed=None, options=None):
        return self.source.random(1, np.float32), {}

    def step(self, action):
        return self.source.random(1, np.float32), 0.0, False, False, {}


class Scripted(gym.Env):
    """Returns, or raises, what it is told: for each error that an environment can make."""

    observation_space, action_space = (
        gym.spaces.Box(-10, 10, (2,), np.float32),
        gym.spaces.Discrete(2, start=5),
    )

    def __init__(self, first=None, after=None, reward=0.0, space=None) -> None:
        self.first, self.after, self.reward = first, after, reward
        self.observation_space = space or self.observation_space
        self.actions = []

    def reset(self, *, seed=None, options=None):
        return self._give(self.first), {}

    def step(self, action):
        self.actions.append(action)
        return self._give(self.after), self.reward, False, False, {}

    def _give(self, value):
        if isinstance(value, Exception):
            raise value
        return np.zeros(2, np.float32) if value is None else value


MAZE_STATES, MAZE_ACTIONS = 6, 5


def maze_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of a small random decision process, by state and action [6, 5]:

    legal, next state, reward (negative), termination.
    """
    generator = np.random.default_rng(8)
    size = (MAZE_STATES, MAZE_ACTIONS)
    legal = np.ones(size, bool)
    for state in range(MAZE_STATES):  # one or two of five: 30 %
        legal[state, generator.permutation(MAZE_ACTIONS)[: 1 + state % 2]] = False
    return (
        legal,
        generator.integers(MAZE_STATES, size=size),
        generator.uniform(-1.0, -0.2, size),
        generator.random(size) < 0.1,
    )


def maze_legal() -> np.ndarray:
    """Which actions are legal in each state, [6, 5] bool."""
    return maze_tables()[0]


def maze_q_star(gamma: float) -> np.ndarray:
    """Optimal Q-values [6, 5] by value iteration, the maximum over legal actions only; those of
    illegal actions mean nothing.
    """
    legal, after, reward, terminated = maze_tables()
    q = np.zeros(legal.shape)
    for _ in range(1000):
        q = reward + np.where(
            terminated, 0.0, gamma * np.where(legal, q, -np.inf).max(axis=1)[after]
        )
    return q


class Maze(gym.Env):
    """The process of `maze_tables` from a state drawn from the seed.

    Its mask is in info or in a Dict observation; an illegal action raises.
    """

    def __init__(self, kind: str = "info") -> None:
        self.kind, (self.legal, self.after, self.reward, self.terminated) = kind, maze_tables()
        self.action_space = gym.spaces.Discrete(MAZE_ACTIONS, start=3)
        self.observation_space = gym.spaces.Discrete(MAZE_STATES)
        if kind == "dict":
            self.observation_space = gym.spaces.Dict(
                {
                    "observation": gym.spaces.Box(0, 1, (MAZE_STATES,), np.float32),
                    "action_mask": gym.spaces.MultiBinary(MAZE_ACTIONS),
                }
            )

    def see(self, state: int):
        """The observation proper of a state."""
        return np.eye(MAZE_STATES, dtype=np.float32)[state] if self.kind == "dict" else state

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = int(self.np_random.integers(MAZE_STATES))
        return self._give()

    def step(self, action):
        place = self.state, action - self.action_space.start
        if not self.legal[place]:
            raise ValueError(f"action {action} is illegal in state {self.state}")
        self.state = int(self.after[place])
        observation, info = self._give()
        return observation, float(self.reward[place]), bool(self.terminated[place]), False, info

    def _give(self):
        mask = self.legal[self.state].astype(np.int8)
        if self.kind == "dict":
            return {"observation": self.see(self.state), "action_mask": mask}, {}
        return self.state, {"action_mask": mask}


class ToldTree(Tree):
    """The tree with its two words told as texts, in an order that is drawn anew at each step.

    The choices are `info["choices"]`; which of them was taken, only its text says.
    """

    choice_tokens, max_choices = 2, 3  # one token of padding, one place without a choice

    def reset(self, *, seed=None, options=None):
        observation, _ = super().reset(seed=seed)
        return observation, self._offer()

    def step(self, action):
        observation, reward, terminated, truncated, _ = super().step(self.order[int(action)])
        return observation, reward, terminated, truncated, self._offer()

    def encode(self, text: str) -> list[int]:
        return [self.tokens.index(word) for word in text.split()]

    def _offer(self):
        self.order = self.np_random.permutation(2)
        place = min(len(f"{self.node:b}") - 1, self.DEPTH - 1)
        return {"choices": [f"{'ab'[word]}{place}" for word in self.order]}


def told_tree_texts() -> np.ndarray:
    """`tree_texts` with both words behind them, a before b, [15, 11]."""
    rows = []
    for node, text in enumerate(tree_texts(), 1):
        first = 2 + 2 * (len(f"{node:b}") - 1)
        rows.append([*text, first, 0, first + 1, 0, 0, 0])
    return np.array(rows, np.int32)
