"""What pages show of the roll-up: each question is one statement over sums, however many users and awards there are."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Sum

from analytics import rollup
from analytics.models import (
    ActiveDay,
    CohortWeek,
    EarlyTally,
    EarnedTally,
    EventDay,
    LevelTally,
    RollUpProgress,
)
from analytics.rules import DayRange, median_place, to_date
from core.replica import read_connection
from points.rules import ADJUSTMENT
from streaks.rules import Frequency

BRING_UP_TO_DATE_S_MAX: Final = 0.25

_SYSTEM_DAYS: Final = f"""
SELECT system_id, day, sum(awards)::bigint,
       coalesce(sum(awarded) FILTER (WHERE cause <> '{ADJUSTMENT}'), 0),
       coalesce(sum(deducted) FILTER (WHERE cause <> '{ADJUSTMENT}'), 0),
       coalesce(sum(awarded) FILTER (WHERE cause = '{ADJUSTMENT}'), 0),
       coalesce(sum(deducted) FILTER (WHERE cause = '{ADJUSTMENT}'), 0)
FROM analytics_systemday
WHERE system_id = ANY(%(systems)s) AND day BETWEEN %(first)s AND %(last)s
GROUP BY system_id, day ORDER BY system_id, day
"""
_SOURCES: Final = """
SELECT cause, trigger_id, coalesce(sum(awards) FILTER (WHERE day >= %(first)s), 0)::bigint,
       coalesce(sum(awarded) FILTER (WHERE day >= %(first)s), 0),
       coalesce(sum(deducted) FILTER (WHERE day >= %(first)s), 0),
       coalesce(sum(awarded + deducted) FILTER (WHERE day < %(first)s), 0)
FROM analytics_systemday WHERE system_id = %(system)s AND day BETWEEN %(before)s AND %(last)s
GROUP BY cause, trigger_id ORDER BY sum(awarded + deducted) FILTER (WHERE day >= %(first)s) DESC NULLS LAST, trigger_id
"""
_BOOSTS: Final = """
SELECT d.boost_id, b.name, b.multiplier, sum(d.awards)::bigint, sum(d.awarded), sum(d.without)
FROM analytics_boostday d LEFT JOIN boosts_boost b ON b.id = d.boost_id
WHERE d.system_id = %(system)s AND d.day BETWEEN %(first)s AND %(last)s
GROUP BY d.boost_id, b.name, b.multiplier ORDER BY sum(d.awarded) - sum(d.without) DESC, d.boost_id
"""
_TOP_USERS: Final = """
SELECT u.id, u.external_id, coalesce(u.name, ''), t.earned, b.total
FROM analytics_topearner t
JOIN users_enduser u ON u.id = t.user_id
JOIN points_pointsbalance b ON b.user_id = t.user_id AND b.system_id = t.system_id
WHERE t.system_id = %(system)s
ORDER BY t.earned DESC, t.user_id LIMIT %(count)s
"""


@dataclass(frozen=True, slots=True)
class SystemSums:
    """What triggers of a points system awarded and deducted on a day, and what operators gave and took: 0 or more.

    `awards` are the lines of the ledger, those of adjustments and reversals included.
    """

    day: date
    awards: int
    awarded: int
    deducted: int
    given: int = 0
    taken: int = 0

    @property
    def adjusted(self) -> int:
        """What adjustments and reversals came to."""
        return self.given - self.taken

    @property
    def net(self) -> int:
        """By how much all balances together moved."""
        return self.awarded - self.deducted + self.adjusted


@dataclass(frozen=True, slots=True)
class Source:
    """What came of a trigger, or of adjustments: in the period, and in all (`moved_before`) in that before it."""

    cause: str
    trigger_id: UUID
    awards: int
    awarded: int
    deducted: int
    moved_before: int

    @property
    def moved(self) -> int:
        """What it awarded and what it deducted, taken together."""
        return self.awarded + self.deducted

    @property
    def is_adjustment(self) -> bool:
        """Whether operators moved it."""
        return self.cause == ADJUSTMENT


@dataclass(frozen=True, slots=True)
class BoostEffect:
    """What awards came to that a boost multiplied, and about what without it; no name: the boosts of single users."""

    name: str
    multiplier: Decimal | None
    awards: int
    awarded: int
    without: Decimal


@dataclass(frozen=True, slots=True)
class TopUser:
    """A user among those who earned most."""

    id: UUID
    external_id: str
    name: str
    earned: int
    total: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many users have how much, by place, and what it adds up to. `users_of[0]` are those with nothing."""

    users_of: Mapping[int, int]
    points: int

    @property
    def users(self) -> int:
        """How many they are."""
        return sum(self.users_of.values())

    @property
    def mean(self) -> float | None:
        """What they have on average: exact."""
        return self.points / self.users if self.users else None

    @property
    def median(self) -> int | None:
        """What the one in the middle has: exact up to 99, within 5 % above."""
        return median_place(self.users_of)


@dataclass(frozen=True, slots=True)
class ActiveUsers:
    """How many users had an event in a stretch of days, and in the one that it is compared with: exact."""

    now: int
    before: int


def bring_up_to_date() -> bool:
    """Count what came in the last moments, unless a worker is at it; tell whether all users were come by yet.

    So a page is never behind by more than what was committed while it is made, whether a worker runs or not.
    """
    is_complete = RollUpProgress.objects.filter(walk=rollup.SWEEP, completed__isnull=False).exists()
    if is_complete:
        rollup.roll_up(seconds_max=BRING_UP_TO_DATE_S_MAX, sweep=0)
    return is_complete


def rolled_up_users() -> int:
    """Return how many users the roll-up has come by."""
    return CohortWeek.objects.aggregate(users=Sum("users"))["users"] or 0


def system_sums(system_ids: Collection[UUID], days: DayRange) -> dict[UUID, list[SystemSums]]:
    """Return what moved in each of the points systems, day by day; days without anything are left out."""
    sums: dict[UUID, list[SystemSums]] = defaultdict(list)
    parameters = {"systems": list(system_ids), "first": days.first, "last": days.last}
    for system_id, day, awards, *points in _rows(_SYSTEM_DAYS, parameters):
        sums[system_id].append(SystemSums(day, awards, *map(int, points)))
    return sums


def sources(system_id: UUID, days: DayRange) -> list[Source]:
    """Return what came of each trigger in the period and in the one before it, the one that moved most first."""
    parameters = {"system": system_id, "before": days.before.first, "first": days.first, "last": days.last}
    return [
        Source(cause, trigger_id, awards, int(awarded), int(deducted), int(before))
        for cause, trigger_id, awards, awarded, deducted, before in _rows(_SOURCES, parameters)
    ]


def boost_effects(system_id: UUID, days: DayRange) -> list[BoostEffect]:
    """Return what each boost brought in the period, the one that brought most first."""
    rows = _rows(_BOOSTS, {"system": system_id, "first": days.first, "last": days.last})
    return [
        BoostEffect(name or "", multiplier, awards, int(awarded), without)
        for _, name, multiplier, awards, awarded, without in rows
    ]


def top_users(system_id: UUID, count: int) -> list[TopUser]:
    """Return the users who earned most since the beginning, the first of them first; at most TOP_KEPT are known."""
    return [
        TopUser(id_, external_id, name, int(earned), total)
        for id_, external_id, name, earned, total in _rows(_TOP_USERS, {"system": system_id, "count": count})
    ]


def earned_tally(system_id: UUID) -> Tally:
    """Return how many users earned how much since the beginning; those who earned nothing are left out."""
    rows = EarnedTally.objects.filter(system_id=system_id).values_list("place", "users", "points")
    return _tally(rows, everybody=None)


def early_tallies(system_id: UUID, weeks: Sequence[date]) -> dict[date, Tally]:
    """Return, for each week, how many of the users who became known in it earned how much in their first 14 days."""
    cohorts = dict(CohortWeek.objects.filter(week__in=weeks).values_list("week", "users"))
    rows: dict[date, list[tuple[int, int, Decimal]]] = defaultdict(list)
    tallies = EarlyTally.objects.filter(system_id=system_id, week__in=weeks)
    for week, place, users, points in tallies.values_list("week", "place", "users", "points"):
        rows[week].append((place, users, points))
    return {week: _tally(rows[week], everybody=cohorts.get(week, 0)) for week in weeks}


def merge_tallies(tallies: Iterable[Tally]) -> Tally:
    """Return the tally of all users of the given ones."""
    users_of: dict[int, int] = defaultdict(int)
    points = 0
    for tally in tallies:
        points += tally.points
        for place, users in tally.users_of.items():
            users_of[place] += users
    return Tally(users_of, points)


def _tally(rows: Iterable[tuple[int, int, Decimal]], *, everybody: int | None) -> Tally:
    counted = [row for row in rows if row[1]]
    users_of = {place: users for place, users, _ in counted}
    if everybody is not None and (nothing := everybody - sum(users_of.values())) > 0:
        users_of[0] = nothing
    return Tally(users_of, int(sum(points for *_, points in counted)))


def level_tallies(system_id: UUID) -> dict[int, dict[int, int]]:
    """Return, for each threshold that is counted, how many users reached it, by minutes since they became known."""
    reached: dict[int, dict[int, int]] = defaultdict(dict)
    rows = LevelTally.objects.filter(system_id=system_id, users__gt=0).values_list("threshold", "place", "users")
    for threshold, minutes, users in rows:
        reached[threshold][minutes] = users
    return reached


def events_by_day(days: DayRange) -> list[tuple[date, int]]:
    """Return how many events there were on each day that had some."""
    rows = EventDay.objects.filter(day__range=(days.first, days.last)).values_list("day")
    return list(rows.annotate(Sum("events")).order_by("day"))


def has_events() -> bool:
    """Tell whether there ever was an event."""
    return EventDay.objects.exists()


def active_by_day(days: DayRange) -> list[tuple[date, int]]:
    """Return how many users had an event on each day on which some had: exact."""
    return list(
        ActiveDay.objects.filter(day__range=(days.first, days.last)).order_by("day").values_list("day", "users")
    )


def active_users(today: date) -> dict[Frequency, ActiveUsers]:
    """Return how many users had an event today, this week and this month, each with how many had in what was before.

    A running week or month is compared with as many days from the beginning of the one before.
    """
    firsts = {Frequency.DAILY: "users", Frequency.WEEKLY: "week_firsts", Frequency.MONTHLY: "month_firsts"}
    spans = {frequency: to_date(today, frequency) for frequency in firsts}
    earliest = min(before.first for _, before in spans.values())
    rows = list(ActiveDay.objects.filter(day__range=(earliest, today)))

    def active(days: DayRange, column: str) -> int:
        return sum(getattr(row, column) for row in rows if days.first <= row.day <= days.last)

    return {
        frequency: ActiveUsers(active(now, firsts[frequency]), active(before, firsts[frequency]))
        for frequency, (now, before) in spans.items()
    }


def _rows(statement: str, parameters: Mapping[str, Any]) -> list[Any]:
    with read_connection().cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[Any] = cursor.fetchall()
    return rows
