"""Reading counters and histories, and keeping the counters: set-based SQL.

A counter and the deltas that wait add up to the truth in every snapshot: a delta is written in the statement of the
change itself, and is folded away in the statement that adds it to the counter. So every read sums both, and is exact.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import connection

from analytics.models import NO_SUBJECT, Counter, CounterKind
from analytics.rules import RANGE_STARTS
from core.json import encode_text
from core.replica import read_connection
from levels.models import Level
from metrics.models import Metric
from points.models import PointsSystem
from users.models import EndUser

_STARTS: Final = f"'{{{','.join(map(str, RANGE_STARTS))}}}'::bigint[]"
_NO_SUBJECT: Final = f"'{NO_SUBJECT}'::uuid"

# What the deltas in `delta` do to the counters. Levels are counted on the thresholds that have counters, whatever the
# levels are by now: so the counters agree with each other until they are counted anew.
_MOVES: Final = f"""
moved AS (
    SELECT d.subject, v.total, v.users
    FROM delta d CROSS JOIN LATERAL (VALUES (d.after, d.users), (d.before, -d.users)) AS v(total, users)
    WHERE d.kind = 'balance' AND v.total > 0
), ladder AS MATERIALIZED (
    SELECT subject, array_agg(place ORDER BY place) AS places
    FROM analytics_counter WHERE kind = 'level' GROUP BY subject
), move AS (
    SELECT d.kind, coalesce(d.subject, {_NO_SUBJECT}) AS subject, 0::bigint AS place, d.users
    FROM delta d WHERE d.kind <> 'balance'
    UNION ALL
    SELECT 'points', m.subject, ({_STARTS})[width_bucket(m.total, {_STARTS})], m.users FROM moved m
    UNION ALL
    SELECT 'level', m.subject, l.places[width_bucket(m.total, l.places)], m.users
    FROM moved m JOIN ladder l ON l.subject = m.subject AND l.places[1] <= m.total
)
"""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('analytics_counter'))"
_TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('analytics_counter'))"

_FOLD: Final = f"""
WITH delta AS (
    DELETE FROM core_delta
    WHERE id <= (SELECT max(id) FROM (SELECT id FROM core_delta ORDER BY id LIMIT %(count)s) AS oldest)
    RETURNING kind, subject, before, after, users
), {_MOVES}, added AS (
    INSERT INTO analytics_counter (kind, subject, place, users)
    SELECT kind, subject, place, sum(users) FROM move GROUP BY kind, subject, place HAVING sum(users) <> 0
    ON CONFLICT (kind, subject, place) DO UPDATE SET users = analytics_counter.users + excluded.users
)
SELECT count(*) FROM delta
"""

_SAVE_WANTED: Final = """
INSERT INTO analytics_counter (kind, subject, place, users)
SELECT kind, subject, place, users FROM wanted
ON CONFLICT (kind, subject, place) DO UPDATE SET users = excluded.users
"""

# The truth, less what the deltas that this snapshot shows will add.
_RECOUNT: Final = f"""
WITH delta AS (SELECT * FROM core_delta), {_MOVES}, truth AS (
    SELECT 'user' AS kind, {_NO_SUBJECT} AS subject, 0::bigint AS place, count(*) AS users FROM users_enduser
    UNION ALL
    SELECT 'completion', achievement_id, 0, count(*) FROM achievements_completion GROUP BY achievement_id
    UNION ALL
    SELECT 'points', system_id, ({_STARTS})[width_bucket(total, {_STARTS})], count(*)
    FROM points_pointsbalance WHERE total > 0 GROUP BY 2, 3
), wanted AS MATERIALIZED (
    SELECT kind, subject, place, sum(users) AS users
    FROM (SELECT * FROM truth UNION ALL SELECT kind, subject, place, -users FROM move WHERE kind <> 'level') AS each
    GROUP BY kind, subject, place
), gone AS (
    DELETE FROM analytics_counter c
    WHERE kind <> 'level' AND NOT EXISTS (
        SELECT FROM wanted w WHERE (w.kind, w.subject, w.place) = (c.kind, c.subject, c.place))
)
{_SAVE_WANTED}
"""

# The same for the levels of one system.
_RECOUNT_LEVELS: Final = f"""
WITH ladder AS (SELECT %(thresholds)s::bigint[] AS places), held AS (
    SELECT total, 1 AS users FROM points_pointsbalance WHERE system_id = %(system)s
    UNION ALL
    SELECT v.total, v.users
    FROM core_delta d CROSS JOIN LATERAL (VALUES (d.after, -d.users), (d.before, d.users)) AS v(total, users)
    WHERE d.kind = 'balance' AND d.subject = %(system)s
), counted AS (
    SELECT l.places[width_bucket(h.total, l.places)] AS place, sum(h.users) AS users
    FROM held h JOIN ladder l ON l.places[1] <= h.total GROUP BY 1
), wanted AS MATERIALIZED (
    SELECT 'level' AS kind, %(system)s::uuid AS subject, place, coalesce(c.users, 0) AS users
    FROM ladder l CROSS JOIN LATERAL unnest(l.places) AS place LEFT JOIN counted c USING (place)
), gone AS (
    DELETE FROM analytics_counter
    WHERE kind = 'level' AND subject = %(system)s AND place <> ALL (SELECT unnest(places) FROM ladder)
)
{_SAVE_WANTED}
"""

_COUNTS: Final = """
SELECT subject, sum(users)::bigint FROM (
    SELECT subject, users FROM analytics_counter WHERE kind = %(kind)s
    UNION ALL
    SELECT subject, users FROM core_delta WHERE kind = %(kind)s
) AS each
GROUP BY subject
"""

# All users, without a place; then the counters of a points system. Most deltas leave the user in the same range and are
# passed over at once: 50,000 that wait cost about 10 ms, 25 where each of them moved its user.
_PLACES: Final = """
WITH ladder AS MATERIALIZED (SELECT {places} AS places), moved AS (
    SELECT width_bucket(after, (SELECT places FROM ladder)) AS after,
           width_bucket(before, (SELECT places FROM ladder)) AS before, sum(users) AS users
    FROM core_delta
    WHERE kind = 'balance' AND subject = %(system)s
      AND width_bucket(after, (SELECT places FROM ladder))
          IS DISTINCT FROM width_bucket(before, (SELECT places FROM ladder))
    GROUP BY 1, 2
)
SELECT NULL::bigint, coalesce(sum(users), 0)::bigint FROM (
    SELECT users FROM analytics_counter WHERE kind = 'user'
    UNION ALL
    SELECT users FROM core_delta WHERE kind = 'user'
) AS everyone
UNION ALL
SELECT place, sum(users)::bigint FROM (
    SELECT place, users FROM analytics_counter WHERE kind = %(kind)s AND subject = %(system)s
    UNION ALL
    SELECT places[after], users FROM moved CROSS JOIN ladder WHERE after > 0
    UNION ALL
    SELECT places[before], -users FROM moved CROSS JOIN ladder WHERE before > 0
) AS of_system
GROUP BY place
"""
_PLACES_OF_POINTS: Final = _PLACES.format(places=_STARTS)
_PLACES_OF_LEVELS: Final = _PLACES.format(
    places="""(SELECT array_agg(place ORDER BY place) FROM analytics_counter
               WHERE kind = 'level' AND subject = %(system)s)"""
)

_MATCHING: Final = f"""
SELECT coalesce(({_STARTS})[width_bucket(coalesce(b.total, 0), {_STARTS})], 0) AS place, count(*)
FROM users_enduser u LEFT JOIN points_pointsbalance b ON b.user_id = u.id AND b.system_id = %(system)s
WHERE u.attributes @> %(attributes)s::jsonb
GROUP BY place
"""

# First the total at the end of `last` (the one of now, less what it moved by since), without a day; then each day.
_POINTS_HISTORY: Final = """
SELECT NULL::date, coalesce(
    (SELECT total FROM points_pointsbalance WHERE user_id = %(user)s AND system_id = %(subject)s), 0) - coalesce(
    (SELECT sum(change) FROM points_pointsday
     WHERE user_id = %(user)s AND system_id = %(subject)s AND day > %(last)s), 0)
UNION ALL
SELECT day, change FROM points_pointsday
WHERE user_id = %(user)s AND system_id = %(subject)s AND day BETWEEN %(first)s AND %(last)s
"""
_METRIC_HISTORY: Final = """
SELECT NULL::date, coalesce(
    (SELECT total FROM metrics_metrictotal
     WHERE user_id = %(user)s AND metric_id = %(subject)s AND filter = ''), 0) - coalesce(
    (SELECT sum(change) FROM metrics_metricday
     WHERE user_id = %(user)s AND metric_id = %(subject)s AND day > %(last)s), 0)
UNION ALL
SELECT day, change FROM metrics_metricday
WHERE user_id = %(user)s AND metric_id = %(subject)s AND day BETWEEN %(first)s AND %(last)s
"""


@dataclass(frozen=True, slots=True)
class Places:
    """How many users there are, and how many of them have a total from each place on until the next."""

    users: int
    counts: dict[int, int]

    @property
    def rest(self) -> int:
        """How many users are in none of the places."""
        return self.users - sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class DailyChanges:
    """How a total moved day by day, days without a change left out, and what it was at the end of the last day."""

    changes: dict[date, Decimal]
    total: Decimal


# --- Reading ---------------------------------------------------------------------------------------------------------
def user_count() -> int:
    """Return how many users there are: exact, without counting them."""
    return sum(users for _, users in _rows(_COUNTS, kind=CounterKind.USER))


def completion_counts() -> dict[str, int]:
    """Return how many users completed each achievement, by its id: exact, without counting them."""
    return {str(achievement): users for achievement, users in _rows(_COUNTS, kind=CounterKind.COMPLETION)}


def read_points(system_id: UUID) -> Places:
    """Return how many users have a total from each of RANGE_STARTS on: exact, without reading balances."""
    return _read_places(_PLACES_OF_POINTS, CounterKind.POINTS, system_id)


def read_levels(system_id: UUID) -> Places:
    """Return how many users are on the level with each threshold that was counted: exact, without reading balances."""
    return _read_places(_PLACES_OF_LEVELS, CounterKind.LEVEL, system_id)


def _read_places(statement: str, kind: CounterKind, system_id: UUID) -> Places:
    counts = dict(_rows(statement, kind=kind, system=system_id))
    return Places(users=counts.pop(None), counts=counts)


def count_matching(system_id: UUID, attributes: Mapping[str, str]) -> dict[int, int]:
    """Return how many of the users with all of these attributes have a total from each of RANGE_STARTS, or 0.

    Reads every user: about a second for a million.
    """
    return dict(_rows(_MATCHING, system=system_id, attributes=encode_text(attributes)))


def read_points_days(user: EndUser, system: PointsSystem, first: date, last: date) -> DailyChanges:
    """Return how the user's balance moved from `first` to `last`, both included."""
    return _daily_changes(_POINTS_HISTORY, user.id, system.id, first, last)


def read_metric_days(user: EndUser, metric: Metric, first: date, last: date) -> DailyChanges:
    """Return how the user's total moved from `first` to `last`, both included."""
    return _daily_changes(_METRIC_HISTORY, user.id, metric.id, first, last)


def _daily_changes(statement: str, user_id: UUID, subject_id: UUID, first: date, last: date) -> DailyChanges:
    rows = dict(_rows(statement, user=user_id, subject=subject_id, first=first, last=last))
    return DailyChanges(total=rows.pop(None), changes=rows)


# --- Keeping ---------------------------------------------------------------------------------------------------------
def lock_counters() -> None:
    """Wait until no other transaction folds or recounts, and let none do so until this one ends."""
    _rows(_LOCK)


def try_lock_counters() -> bool:
    """Lock the counters if no other transaction has; tell whether."""
    return bool(_rows(_TRY_LOCK)[0][0])


def fold(count: int) -> int:
    """Add the oldest `count` deltas to the counters and remove them; return how many they were. Lock the counters."""
    return int(_rows(_FOLD, count=count)[0][0])


def recount_all_but_levels() -> None:
    """Count users, completions and points anew. Lock the counters."""
    _execute(_RECOUNT)


def recount_levels(system_id: UUID, thresholds: Iterable[int]) -> None:
    """Count the users on the levels with these thresholds, all above 0, anew. Lock the counters."""
    _execute(_RECOUNT_LEVELS, system=system_id, thresholds=sorted(thresholds))


def counted_thresholds() -> set[tuple[UUID, int]]:
    """Return the thresholds of levels that have counters, with their points systems."""
    return set(Counter.objects.filter(kind=CounterKind.LEVEL).values_list("subject", "place"))


def thresholds_to_count(levels: Iterable[Level]) -> set[tuple[UUID, int]]:
    """Return the thresholds that need counters, with their points systems: who is on a level of 0 is the rest."""
    return {(level.system_id, level.points) for level in levels if level.points > 0}


def _rows(statement: str, **parameters: Any) -> list[Any]:
    with read_connection().cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[Any] = cursor.fetchall()
    return rows


def _execute(statement: str, **parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
