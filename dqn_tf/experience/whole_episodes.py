"""From environment steps to rows that are whole episodes, where each observation grows to the next.

An observation of tokens [T] that is the beginning of the next one, as of a text that is being
written, need not be kept again for every step: the last observation of an episode holds them all.
A network that reads its steps causally gives Q at each of them in one pass.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps
from dqn_tf.experience.transitions import KEPT, windows
from dqn_tf.support.errors import UserError

SEQUENCE = "sequence"  # the column of the last observations, which begin with all others
# the columns [T] of a row, one value for each step
OF_STEPS = {
    "position": "int32",
    "next_position": "int32",
    "action": "int32",
    "reward": "float32",
    "discount": "float32",
    "is_step": "float32",
}
MASKS = ("action_mask", "next_action_mask")  # [T, A], where there are masks
WAY_OUT = "Learn from single steps instead: --replay_unit=transition."

Columns = dict[str, np.ndarray]


class EpisodeSteps(NamedTuple):
    """M steps of E whole episodes, one after the other; none of them is empty.

    Attributes:
      observation: [M, T], of each step, before its action.
      action: [M], counted from 0.
      reward: [M] float32.
      terminated: [M] bool.
      starts: [E + 1], each episode's first step, and M.
      last_observation: [E, T], the one after each episode's last step. Where it is not known, which
        matters only if the episode did not terminate, that of the last step.
      action_mask: [M, A] bool, or None where the environment has no masks.
      last_mask: [E, A] bool, the mask of each last observation; None without masks.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    starts: np.ndarray
    last_observation: np.ndarray
    action_mask: np.ndarray | None = None
    last_mask: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        """The steps of each episode, [E] int64."""
        return np.diff(self.starts)

    @property
    def episode(self) -> np.ndarray:
        """The number of each step's episode, [M] int64."""
        return np.repeat(np.arange(len(self.starts) - 1), self.lengths)


def episode_columns(spaces: Spaces) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of one row of each column that `WholeEpisodes` gives.

    Raises UserError for observations that cannot grow to each other.
    """
    padding_of(spaces)  # raises
    length = spaces.observation_shape[0]
    masks = MASKS if spaces.masked else ()
    return (
        {SEQUENCE: ((length,), spaces.observation_dtype)}
        | {name: ((length,), dtype) for name, dtype in OF_STEPS.items()}
        | dict.fromkeys(masks, ((length, spaces.actions), "bool"))
    )


def padding_of(spaces: Spaces) -> int:
    """Return the padding of observations that can grow to each other.

    Raises UserError where observations are no tokens [T] with a padding behind their end.
    """
    if spaces.vocabulary and spaces.padding is not None:
        return spaces.padding
    what = "tokens without a padding" if spaces.vocabulary else "no tokens"
    raise UserError(
        "--replay_unit=episode keeps an episode as its last observation, which begins with all"
        f" others: tokens [T], and a padding behind their end. Here observations are {what},"
        f" {list(spaces.observation_shape)} {spaces.observation_dtype}. {WAY_OUT}"
    )


def episode_rows(steps: EpisodeSteps, n_step: int, gamma: float, padding: int) -> Columns:
    """Return a row of each of E episodes, of at most T steps each: the columns [E, ...].

        sequence       [T] the last observation, which begins with all others
        position       [T] int32, the place of the last token of each step's observation
        next_position  [T] int32, that of the observation after the step's window
        action         [T] int32
        reward         [T] float32, Σ_k gamma^k r over the window of `n_step` steps
        discount       [T] float32, gamma^k, or 0 where the window's last step terminated
        is_step        [T] float32, 1 for a step

    With masks also action_mask and next_action_mask, [T, A] bool. Behind an episode's last step
    all of them are 0. The windows are those of `transitions.NStep`.
    """
    length = steps.observation.shape[1]
    assert (steps.lengths <= length).all(), "an episode longer than its observations"
    episode = steps.episode  # [M]
    first = steps.starts[episode]  # [M]
    step = np.arange(len(first)) - first  # [M]
    size = (int(steps.lengths.max(initial=0)), len(steps.starts) - 1)
    reward = np.zeros(size, np.float32)
    ended = np.zeros(size, bool)
    reward[step, episode] = steps.reward
    ended[steps.lengths - 1, np.arange(size[1])] = True
    window = windows(reward, ended, n_step, gamma)
    last = first + window.last[step, episode]  # [M] of all steps
    discount = np.where(steps.terminated[last], 0.0, window.discount[step, episode])
    position = last_token(steps.observation, padding)
    after = _after(position, last_token(steps.last_observation, padding), steps.starts)
    values = {
        "position": position,
        "next_position": after[last],
        "action": steps.action,
        "reward": window.reward[step, episode],
        "discount": discount,
        "is_step": np.ones(len(step)),
    }
    dtypes = OF_STEPS | dict.fromkeys(MASKS, "bool")
    if steps.action_mask is not None and steps.last_mask is not None:
        values["action_mask"] = steps.action_mask
        values["next_action_mask"] = _after(steps.action_mask, steps.last_mask, steps.starts)[last]
    rows = {SEQUENCE: steps.last_observation}
    for name, value in values.items():
        rows[name] = np.zeros((size[1], length, *value.shape[1:]), dtypes[name])
        rows[name][episode, step] = value
    return rows


def last_token(observation: np.ndarray, padding: int) -> np.ndarray:
    """Return the place of the last token before the padding of [N, T], [N] int64; -1 for none."""
    is_token = observation != padding
    last = is_token.shape[1] - 1 - is_token[:, ::-1].argmax(axis=1)
    return np.where(is_token.any(axis=1), last, -1)


def begins(observation: np.ndarray, later: np.ndarray, padding: int, unit: int = 1) -> np.ndarray:
    """Tell whether each observation has a token, and begins the `later` one, both [N, T]; [N].

    It ends where a `unit` of so many tokens ends that its last one lies in: what reads units of the
    later one would see more of this one than there was.
    """
    position = last_token(observation, padding)
    end = (position // unit + 1) * unit
    is_behind = np.arange(observation.shape[1]) >= end[:, np.newaxis]
    return ((observation == later) | is_behind).all(axis=1) & (position >= 0)


def way_out(unit: int) -> str:
    """Return what helps where an observation is not the beginning of a later one."""
    grows = "With --message_torso=gru no message may grow once it is there. " if unit > 1 else ""
    return f"{grows}{WAY_OUT}"


def told(observation: np.ndarray, padding: int) -> str:
    """Return the tokens of one observation [T] in words, without the padding behind them."""
    count = int(last_token(observation[np.newaxis], padding)[0]) + 1
    return str(observation[:count].tolist()) if count else "no token at all"


def beginnings(
    rows: Mapping[str, np.ndarray], most: int, padding: int, held: np.ndarray | None = None
) -> np.ndarray:
    """Return at most so many of the steps' observations in `rows`, evenly spaced, [n, T].

    `held` are the rows that count, all of them if it is not given.
    """
    if held is None:
        held = np.arange(len(rows[SEQUENCE]))
    counts = rows["is_step"][held].sum(axis=1, dtype=np.int64)
    stops = np.cumsum(counts)  # [rows] of all their steps
    total = int(counts.sum())
    chosen = np.linspace(0, total - 1, min(total, most)).astype(np.int64)
    row = np.searchsorted(stops, chosen, side="right")
    step = chosen - (stops - counts)[row]
    position = rows["position"][held[row], step]
    sequence = rows[SEQUENCE][held[row]]
    is_behind = np.arange(sequence.shape[1]) > position[:, np.newaxis]
    return np.where(is_behind, np.asarray(padding, sequence.dtype), sequence)


class WholeEpisodes:
    """Turns steps into rows of whole episodes: see `episode_rows`.

    Used as `transitions.NStep` is. The steps of unfinished episodes are kept for the next block.
    An observation that is not the beginning of the next one, by whole units of so many tokens, is
    refused as soon as it is there.
    """

    def __init__(
        self, n_step: int, gamma: float, num_envs: int, spaces: Spaces, unit: int = 1
    ) -> None:
        self._padding = padding_of(spaces)
        self._unit = unit
        self._n = n_step
        self._gamma = gamma
        self._spaces = spaces
        self._kept = Steps.empty(0, num_envs, spaces)  # since the first unfinished episode began
        self._begin = np.zeros(num_envs, np.int64)  # of each running episode among them

    def add(self, steps: Steps) -> Columns:
        """Return the rows of the episodes that `steps` [T, N] finish, in the order of time.

        Raises UserError for an observation that is not the beginning of the next one, and for an
        episode of more steps than an observation has tokens.
        """
        shape = (-1, *self._spaces.observation_shape)
        self._require_begins(
            steps.observation.reshape(shape), steps.next_observation.reshape(shape)
        )
        steps = self._kept.followed_by(steps)
        end, env = np.nonzero(steps.ended & (np.arange(len(steps.action))[:, None] >= self._begin))
        start = np.empty_like(end)  # [E] the first steps of the episodes that ended
        begin = self._begin.copy()
        for number, (t, index) in enumerate(zip(end.tolist(), env.tolist(), strict=True)):
            start[number] = begin[index]
            begin[index] = t + 1
        self._require_short(np.append(end + 1 - start, len(steps.action) - begin))
        finished = self._flat(steps, start, end, env)
        later = finished.last_observation[finished.episode]
        self._require_begins(finished.observation, later)
        first = int(begin.min())
        self._kept = steps.part(slice(first, None))
        self._begin = begin - first
        return episode_rows(finished, self._n, self._gamma, self._padding)

    def forget(self, envs: Sequence[int]) -> None:
        """As described in `replay_unit.RowMaker`."""
        self._begin[envs] = len(self._kept.action)

    def state(self) -> Columns:
        """Return the unfinished episodes, for a checkpoint."""
        return {"begin": self._begin} | {name: getattr(self._kept, name) for name in KEPT}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        self._begin = state["begin"]
        length, num_envs = state["action"].shape
        room = Steps.empty(length, num_envs, self._spaces)
        self._kept = dataclasses.replace(room, **{name: state[name] for name in KEPT})

    def _flat(
        self, steps: Steps, start: np.ndarray, end: np.ndarray, env: np.ndarray
    ) -> EpisodeSteps:
        """Return the episodes from `start` to `end` of environments `env`, [E] each."""
        lengths = end + 1 - start
        starts = np.concatenate([[0], np.cumsum(lengths)])
        t = np.arange(starts[-1]) + np.repeat(start - starts[:-1], lengths)
        of_step = (t, np.repeat(env, lengths))
        is_masked = self._spaces.masked
        return EpisodeSteps(
            observation=steps.observation[of_step],
            action=steps.action[of_step],
            reward=steps.reward[of_step],
            terminated=steps.terminated[of_step],
            starts=starts,
            last_observation=steps.next_observation[end, env],
            action_mask=steps.action_mask[of_step] if is_masked else None,
            last_mask=steps.next_action_mask[end, env] if is_masked else None,
        )

    def _require_begins(self, observation: np.ndarray, later: np.ndarray) -> None:
        is_beginning = begins(observation, later, self._padding, self._unit)
        if is_beginning.all():
            return
        number = int(is_beginning.argmin())
        raise UserError(
            "--replay_unit=episode: an observation must be the beginning of the next one, and the"
            f" environment gave {told(observation[number], self._padding)} and then"
            f" {told(later[number], self._padding)}. {way_out(self._unit)}"
        )

    def _require_short(self, lengths: np.ndarray) -> None:
        most = self._spaces.observation_shape[0]
        if (lengths > most).any():
            raise UserError(
                f"--replay_unit=episode: an episode has more than {most} steps, and a row has room"
                f" for as many as an observation has tokens. {WAY_OUT}"
            )


def _after(values: np.ndarray, last: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return what follows each of [M, ...] in its episode, which is `last` [E, ...] at its end."""
    following = np.empty_like(values)
    following[:-1] = values[1:]
    following[starts[1:] - 1] = last
    return following
