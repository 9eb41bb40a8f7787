"""In which order the items of one call get their turns, so that only what the call leaves behind has to be valid."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Turn = TypeVar("Turn")


def in_turns(count: int, waits_for: Mapping[int, int]) -> list[list[int]]:
    """Return the numbers below `count`, each behind the one that it waits for.

    Those that wait in a circle share a turn: so of two items that exchange their values neither comes first.
    """
    turns: list[list[int]] = []
    placed: set[int] = set()
    for start in range(count):
        path: list[int] = []
        number: int | None = start
        while number is not None and number not in placed:
            placed.add(number)
            path.append(number)
            number = waits_for.get(number)
        if number in path:
            first = path.index(number)
            turns.append(sorted(path[first:]))
            path = path[:first]
        turns += [[each] for each in reversed(path)]
    return turns


def take_turns(turns: Sequence[Turn], take: Callable[[Turn], bool]) -> None:
    """Call `take` for each turn until it has returned True, as long as that brings any of them on.

    What one item needs, another may bring about that stands behind it.
    """
    waiting = list(turns)
    while waiting:
        refused = [turn for turn in waiting if not take(turn)]
        if len(refused) == len(waiting):
            return
        waiting = refused[::-1]
