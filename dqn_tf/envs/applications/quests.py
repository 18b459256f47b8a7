"""The house of HomeText as tables: what each command does, and what can be had from it.

Rooms 0 and 1 lie in the north, 2 and 3 in the south, 0 and 2 in the west. Need n is met in room n
by verb 1 + n and object 4 + n; verb 0 goes to the direction that is object 0 to 3. A quest denies
one need and asks for another.
"""

from __future__ import annotations

import itertools

import numpy as np

from dqn_tf.envs.text.exact import END, Model

NEEDS = 4  # and as many rooms
VERBS, OBJECTS = 5, 8
COMMANDS = VERBS * OBJECTS
LIMIT = 20  # commands of an episode
MET, STEP, JUNK = 1.0, -0.01, -0.1
QUESTS = list(itertools.permutations(range(NEEDS), 2))  # (denied, asked for)
MOVES = ((-1, 0), (1, 0), (0, 1), (0, -1))  # north, south, east, west


def after(room: int, command: int) -> int | None:
    """Return the room to which a command leads; None if it leads nowhere."""
    verb, place = divmod(command, OBJECTS)
    if verb != 0 or place >= len(MOVES):
        return None
    down, right = MOVES[place]
    row, column = room // 2 + down, room % 2 + right
    is_room = row in (0, 1) and column in (0, 1)
    return 2 * row + column if is_room else None


def met(room: int, command: int) -> int | None:
    """Return the need that a command meets; None if it meets none."""
    verb, place = divmod(command, OBJECTS)
    is_deed = verb == 1 + room and place == len(MOVES) + room
    return room if is_deed else None


def do(room: int, quest: tuple[int, int], command: int) -> tuple[int, float, bool]:
    """Return the room after a command, its reward, and whether it ends the episode.

    What the quest asks for pays 1. What it denies pays nothing. Both end the episode.
    """
    denied, asked = quest
    need = met(room, command)
    if need == asked:
        return room, MET, True
    if need == denied:
        return room, 0.0, True
    following = after(room, command)
    if following is None:
        return room, STEP + JUNK, False
    return following, STEP, False


def quest_model() -> Model:
    """Return the task as tables; state (t · 12 + q) · 4 + r is room r, quest q, after t steps."""
    return _model([[quest] for quest in QUESTS])


def bag_model() -> Model:
    """Return the task of one who knows the two needs of a quest, but not which it denies.

    A bag of words tells no more, as both stand in every quest. The two are equally likely, and
    nothing but trying one tells them apart, which ends the episode: so rewards and successes are
    means over both, and the best return in these tables is that of any policy on bags of words,
    with a memory or without one. State (t · 6 + p) · 4 + r is room r with pair p.
    """
    pairs = itertools.combinations(range(NEEDS), 2)
    return _model([[pair, pair[::-1]] for pair in pairs])


def _model(groups: list[list[tuple[int, int]]]) -> Model:
    """Return the tables of one who tells groups of quests apart, and none within a group."""
    shape = (len(groups), NEEDS, COMMANDS)
    following = np.zeros(shape, np.int64)
    reward, succeeds, ends = np.zeros(shape), np.zeros(shape), np.zeros(shape, bool)
    for group, room, command in np.ndindex(shape):
        place = (group, room, command)
        done = [do(room, quest, command) for quest in groups[group]]
        following[place] = group * NEEDS + done[0][0]
        reward[place] = np.mean([paid for _, paid, _ in done])
        succeeds[place] = np.mean([paid == MET for _, paid, _ in done])
        ends[place] = done[0][2]
    states = len(groups) * NEEDS
    step = np.arange(LIMIT)[:, np.newaxis, np.newaxis, np.newaxis]
    is_over = ends | (step + 1 == LIMIT)
    successor = np.where(is_over, END, (step + 1) * states + following)
    flat, whole = (-1, COMMANDS), (LIMIT, *shape)
    return Model(
        successor.reshape(flat),
        np.broadcast_to(reward, whole).reshape(flat),
        np.broadcast_to(succeeds, whole).reshape(flat),
        np.arange(states),
    )
