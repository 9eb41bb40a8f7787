"""Ranges of totals and histories by period: pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from metrics.rules import EXACT
from streaks.rules import Frequency, next_period, period_start

_DIGITS_MAX: Final = 16  # of the greatest total that a balance can hold, 2^53 - 1

RANGE_STARTS: Final = (1, *(digit * 10**zeros + 1 for zeros in range(_DIGITS_MAX) for digit in range(1, 10)))
"""Where the ranges of totals begin that are counted: 1, 2, 3... 10, 11, 21... 91, 101, 201... and so on.

Each of the ten equal ranges from 1 to any power of 10 is made up of whole ranges of these, so whatever the greatest
total is, no balance has to be read.
"""


@dataclass(frozen=True, slots=True)
class PointsRange:
    """How many users have a total from `first` to `last`, both included."""

    first: int
    last: int
    users: int


@dataclass(frozen=True, slots=True)
class Period:
    """What a total was at the end of the period that begins on `first_day`, and how it moved in the whole period."""

    first_day: date
    total: Decimal
    change: Decimal


def points_ranges(counts: Mapping[int, int]) -> list[PointsRange]:
    """Return the range of 0 and ten equal ones, from 1 to the greatest total rounded up to a power of 10, at least 10.

    `counts` is how many users have a total from each of RANGE_STARTS, and how many have 0.
    """
    width = _width(max((start for start, users in counts.items() if users), default=0))
    return [PointsRange(0, 0, counts.get(0, 0)), *_equal_ranges(counts, width)]


def _width(greatest: int) -> int:
    """Return a tenth of the power of 10 that no total in the range that begins at `greatest` exceeds."""
    zeros = len(str(greatest - 1)) - 1 if greatest > 1 else 0
    return int(10**zeros)


def _equal_ranges(counts: Mapping[int, int], width: int) -> Iterator[PointsRange]:
    for number in range(10):
        first, last = number * width + 1, (number + 1) * width
        yield PointsRange(first, last, sum(users for start, users in counts.items() if first <= start <= last))


def period_starts(start: date, end: date, frequency: Frequency) -> list[date]:
    """Return the first day of every period that has a day from `start` to `end`, in order."""
    starts, first_day = [], period_start(start, frequency)
    while first_day <= end:
        starts.append(first_day)
        first_day = next_period(first_day, frequency)
    return starts


def history(
    starts: Sequence[date], changes: Mapping[date, Decimal], total: Decimal, frequency: Frequency
) -> list[Period]:
    """Return the periods that begin on `starts`. `changes` is by day; `total` is that at the end of the last period."""
    of_period = dict.fromkeys(starts, Decimal(0))
    for day, change in changes.items():
        first_day = period_start(day, frequency)
        of_period[first_day] = EXACT.add(of_period[first_day], change)
    periods = []
    for first_day in reversed(starts):
        periods.append(Period(first_day, total, of_period[first_day]))
        total = EXACT.subtract(total, of_period[first_day])
    return periods[::-1]
