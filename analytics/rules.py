"""Ranges of totals, histories by period, and what reports are made of: pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
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


# --- Periods of days -------------------------------------------------------------------------------------------------
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayRange:
    """The days from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def length(self) -> int:
        """How many days they are."""
        return (self.last - self.first).days + 1

    @property
    def days(self) -> list[date]:
        """All of them, in order."""
        return [self.first + number * DAY for number in range(self.length)]

    @property
    def before(self) -> "DayRange":
        """As many days, right before these."""
        return DayRange(self.first - self.length * DAY, self.first - DAY)

    @property
    def weeks(self) -> list[date]:
        """The Mondays of the weeks that they touch."""
        return period_starts(self.first, self.last, Frequency.WEEKLY)


def days_up_to(last: date, count: int) -> DayRange:
    """Return the `count` days of which the last is `last`."""
    return DayRange(last - (count - 1) * DAY, last)


def to_date(today: date, frequency: Frequency) -> tuple[DayRange, DayRange]:
    """Return the running day, week or month up to today, and as many days from the beginning of the one before.

    Those before end with their period: on 31 March, it is compared with all of February.
    """
    now = DayRange(period_start(today, frequency), today)
    first = period_start(now.first - DAY, frequency)
    return now, DayRange(first, min(first + (now.length - 1) * DAY, now.first - DAY))


def change_percent(now: Decimal | int, before: Decimal | int) -> int | None:
    """Return by how many percent `now` is more, rounded to whole ones, halves away from 0; None from nothing."""
    if not before:
        return None
    return int((Decimal(now - before) * 100 / abs(Decimal(before))).quantize(Decimal(1), ROUND_HALF_UP))


# --- Tallies: how many users have how much, by place -----------------------------------------------------------------
def place_of(number: int) -> int:
    """Return the place under which a number of 0 or more is counted: its first two digits, then zeros.

    Each number up to 99 is its own place, so that is exact; above, a place spans a tenth of its number at most.
    """
    zeros = max(0, len(str(number)) - 2)
    return int(number // 10**zeros * 10**zeros)


def place_end(place: int) -> int:
    """Return the last number that is counted under a place."""
    return int(place + 10 ** max(0, len(str(place)) - 2) - 1)


def median_place(users: Mapping[int, int]) -> int | None:
    """Return the median of all users' numbers, as the middle of its place; None without users.

    Where two users are in the middle it is the lower one's. Exact up to 99, within 5 % above.
    """
    half, seen = (sum(users.values()) + 1) // 2, 0
    for place in sorted(users):
        seen += users[place]
        if seen >= half > 0:
            return (place + place_end(place)) // 2
    return None


@dataclass(frozen=True, slots=True)
class Bar:
    """How many users have a number from `first` to `last`, both included."""

    first: int
    last: int
    users: int


BARS_MAX: Final = 14


def histogram(users: Mapping[int, int]) -> list[Bar]:
    """Return bars of about equal ratio, 1-9, 10-19, 20-49, 50-99 and so on, from the least to the greatest number.

    A bar of 0 is apart. Each bar is made up of whole places, so the counts are exact. The lowest of more than BARS_MAX
    are put into one.
    """
    nothing = users.get(0, 0)
    counted = {place: count for place, count in users.items() if count and place}
    starts = [start for start in _starts(max(counted, default=0)) if _next_start(start) > min(counted)]
    while len(starts) > BARS_MAX:
        del starts[1]
    ends = [*starts[1:], *(_next_start(start) for start in starts[-1:])]
    bars = [
        Bar(first, after - 1, sum(count for place, count in counted.items() if first <= place < after))
        for first, after in zip(starts, ends, strict=True)
    ]
    return [Bar(0, 0, nothing), *bars] if nothing else bars


def _starts(greatest: int) -> Iterator[int]:
    start = 1
    while start <= greatest:
        yield start
        start = _next_start(start)


def _next_start(start: int) -> int:
    """Return where the bar after the one that begins at `start` begins: 1, 10, 20, 50, 100, 200, 500..."""
    if start == 1:
        return 10
    return start * 5 // 2 if str(start).startswith("2") else start * 2


def sum_by_day(days: DayRange, amounts: Iterable[tuple[date, Decimal | int]]) -> list[int]:
    """Return the sum of the amounts of each of the days, in order; what is of other days is left out."""
    sums: dict[date, int] = dict.fromkeys(days.days, 0)
    for day, amount in amounts:
        if day in sums:
            sums[day] += int(amount)
    return list(sums.values())
