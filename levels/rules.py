"""Which level a total is on: pure."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ladder:
    """The levels of a points system, lowest first: their thresholds (each once), and their ids in the same order."""

    thresholds: tuple[int, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LevelChange:
    """That a user came from one level to another, by id; None is below all."""

    before: str | None
    after: str | None


def ladder_of(levels: Iterable[tuple[int, str]]) -> Ladder:
    """Return the ladder of (threshold, id) in any order."""
    ordered = sorted(levels)
    return Ladder(tuple(threshold for threshold, _ in ordered), tuple(id_ for _, id_ in ordered))


def level_for(ladder: Ladder, total: int) -> str | None:
    """Return the id of the highest level whose threshold is at most `total`, None where there is none."""
    place = bisect_right(ladder.thresholds, total)
    return ladder.ids[place - 1] if place else None


def change_of(ladder: Ladder, before: int | None, after: int) -> LevelChange | None:
    """Return how the level changes when a total moves, None where it stays; `before` is None without any award yet."""
    old, new = None if before is None else level_for(ladder, before), level_for(ladder, after)
    return None if old == new else LevelChange(old, new)


def edited_ranges(before: Ladder, after: Ladder) -> list[tuple[int, int | None]]:
    """Return the ranges of totals (from, below; None for no end) that an edit gives another level, the lowest first."""
    starts = sorted({0, *before.thresholds, *after.thresholds})
    ranges: list[tuple[int, int | None]] = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        if level_for(before, start) == level_for(after, start):
            continue
        if ranges and ranges[-1][1] == start:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((start, end))
    return ranges
