"""What users did, and where they stood before, for many users at once: reads only."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec
from django.db import connection
from msgspec import Struct
from msgspec.structs import replace

from core.json import encode_text
from metrics.rules import EXACT, Total
from points.models import PointsSystem
from points.rules import ADJUSTMENT
from streaks.rules import Streak, StreakRule, period_start
from users.rules import User, local_date
from users.store import decode_users

ALL: Final = 65_536
"""The share that is everybody: of so many users one would be a share of 1."""

# Which users belong to a sample is told by the last 16 bits of their ids, which are random: so it is always the same.
_IS_IN_SAMPLE: Final = "('x' || right(u.id::text, 4))::bit(16)::int < %(share)s"

_COUNT_USERS: Final = f"SELECT count(*) FROM users_enduser u WHERE created < %(until)s AND {_IS_IN_SAMPLE}"

_COUNT_EVENTS: Final = """
SELECT count(*) FROM metrics_event WHERE at >= %(start)s AND at < %(until)s AND metric_id = ANY(%(metrics)s::uuid[])
"""

_USERS: Final = f"""
SELECT coalesce(json_agg(r), '[]')::text FROM (
    SELECT u.id, u.external_id, u.name, u.email, u.tz, u.attributes, u.device_tokens, u.subscribe_to_emails,
           u.sign_up_date, u.control, u.created, u.updated
    FROM users_enduser u
    WHERE (%(after)s::uuid IS NULL OR u.id > %(after)s::uuid) AND u.created < %(until)s AND {_IS_IN_SAMPLE}
    ORDER BY u.id LIMIT %(count)s
) AS r
"""

_EVENTS: Final = """
SELECT user_id, metric_id, value, attributes, kind = 'opening' AS is_opening, at, id
FROM metrics_event
WHERE user_id = ANY(%(users)s::uuid[]) AND metric_id = ANY(%(metrics)s::uuid[]) AND at >= %(start)s AND at < %(until)s
ORDER BY user_id, at, id
"""

_TOTALS: Final = """
SELECT c.user_id, n.metric_id, n.filter, c.total, c.peak, c.at
FROM json_to_recordset(%(needed)s) AS n(metric_id uuid, filter text)
CROSS JOIN LATERAL (
    SELECT user_id, sum(value) AS total, greatest(0, max(running)) AS peak, max(at) AS at
    FROM (
        SELECT user_id, value, at, sum(value) OVER (PARTITION BY user_id ORDER BY at, id) AS running
        FROM metrics_event
        WHERE user_id = ANY(%(users)s::uuid[]) AND metric_id = n.metric_id AND at < %(start)s
          AND attributes @> (CASE n.filter WHEN '' THEN '{}' ELSE n.filter END)::jsonb
    ) AS matching
    GROUP BY user_id
) AS c
"""

_BALANCES: Final = """
SELECT u.id AS user_id, a.total
FROM unnest(%(users)s::uuid[]) AS u(id)
CROSS JOIN LATERAL (
    SELECT total FROM points_pointsaward
    WHERE user_id = u.id AND system_id = %(system)s AND created < %(start)s ORDER BY seq DESC LIMIT 1
) AS a
"""

_PAID: Final = f"""
SELECT user_id, coalesce(trigger_id::text, '') AS trigger_id, awarded, cause = '{ADJUSTMENT}' AS is_adjustment, created,
       id
FROM points_pointsaward
WHERE user_id = ANY(%(users)s::uuid[]) AND system_id = %(system)s AND created >= %(start)s AND created < %(until)s
ORDER BY user_id, seq
"""

_COMPLETIONS: Final = """
SELECT user_id, achievement_id, at, coalesce(event_id, id) AS cause_id FROM achievements_completion
WHERE user_id = ANY(%(users)s::uuid[]) AND at >= %(start)s AND at < %(until)s ORDER BY user_id, at, id
"""

_STREAKS: Final = """
SELECT u.id AS user_id, p.period, p.length, p.extended
FROM unnest(%(users)s::uuid[]) AS u(id)
CROSS JOIN LATERAL (
    SELECT period, length, extended FROM streaks_streakperiod
    WHERE user_id = u.id AND frequency = %(frequency)s AND extended < %(start)s ORDER BY period DESC LIMIT 1
) AS p
"""

# The longest period is a month, and zones differ by two days at most. No streak counts an opening balance.
_AMOUNTS: Final = """
SELECT user_id, metric_id, value, at FROM metrics_event
WHERE user_id = ANY(%(users)s::uuid[]) AND metric_id = ANY(%(metrics)s::uuid[])
  AND kind = 'event' AND at >= %(start)s - interval '33 days' AND at < %(start)s
"""

_TICKS: Final = """
SELECT trigger_id, due FROM points_timetick
WHERE trigger_id = ANY(%(triggers)s::uuid[]) AND due >= %(start)s AND due < %(until)s AND finished IS NOT NULL
  AND users > 0
ORDER BY due
"""


class EventRow(Struct, frozen=True, gc=False):
    """An event, or an opening balance."""

    user_id: str
    metric_id: str
    value: Decimal
    attributes: dict[str, str]
    is_opening: bool
    at: datetime
    id: str


class TotalRow(Struct, frozen=True, gc=False):
    """A total over the events before the start."""

    user_id: str
    metric_id: str
    filter: str
    total: Decimal
    peak: Decimal
    at: datetime


class BalanceRow(Struct, frozen=True, gc=False):
    """What a user held at the start."""

    user_id: str
    total: int


class PaidRow(Struct, frozen=True, gc=False):
    """A line of the ledger."""

    user_id: str
    trigger_id: str
    awarded: int
    is_adjustment: bool
    created: datetime
    id: str


class CompletionRow(Struct, frozen=True, gc=False):
    """A completion; `cause_id` is the id of the event that did it, without one its own."""

    user_id: str
    achievement_id: str
    at: datetime
    cause_id: str


class StreakRow(Struct, frozen=True, gc=False):
    """The last period that counted before the start."""

    user_id: str
    period: date
    length: int
    extended: datetime


class AmountRow(Struct, frozen=True, gc=False):
    """An event that a streak may have counted."""

    user_id: str
    metric_id: str
    value: Decimal
    at: datetime


_Row = TypeVar("_Row", bound=Struct)
_OfUser = TypeVar("_OfUser", EventRow, PaidRow, CompletionRow)


@dataclass(frozen=True, slots=True)
class Window:
    """What is looked at: a points system, from when until when, and the share of the users, of ALL."""

    system: PointsSystem
    start: datetime
    until: datetime
    share: int = ALL

    def parameters(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of a statement about it."""
        return {"system": self.system.id, "start": self.start, "until": self.until, "share": self.share, **more}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some users by id, where they stood at the start of the window, and what came of each in it, in order."""

    users: list[User]
    totals: dict[str, dict[str, dict[str, Total]]]
    balances: dict[str, int]
    streaks: dict[str, Streak]
    events: dict[str, list[EventRow]]
    paid: dict[str, list[PaidRow]]
    completions: dict[str, list[CompletionRow]]


def count_users(window: Window) -> int:
    """Return how many users take part."""
    return int(_one(_COUNT_USERS, window.parameters()))


def count_events(window: Window, metric_ids: Sequence[str]) -> int:
    """Return how many events of the metrics there are in the window, of all users."""
    return int(_one(_COUNT_EVENTS, window.parameters(metrics=list(metric_ids))))


def read_ticks(window: Window, trigger_ids: Iterable[str]) -> dict[str, list[datetime]]:
    """Return when time triggers were paid in the window, by their ids."""
    ticks: dict[str, list[datetime]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_TICKS, window.parameters(triggers=list(trigger_ids)))
        for trigger_id, due in cursor.fetchall():
            ticks[str(trigger_id)].append(due)
    return ticks


def read_chunk(
    window: Window,
    after: str | None,
    count: int,
    *,
    metric_ids: Sequence[str],
    filters: Sequence[tuple[str, str]],
    streak: StreakRule | None,
) -> Chunk:
    """Read the next `count` users after an id, in the order of ids, with all that is asked for.

    `filters` are the totals (metric id, event filter) that the rules look at. Without `streak` no streaks are read.
    """
    users = decode_users(_one(_USERS, window.parameters(after=after, count=count)))
    ids = [user.id for user in users]
    parameters = window.parameters(users=ids, metrics=list(metric_ids))
    needed = encode_text([{"metric_id": metric_id, "filter": each} for metric_id, each in filters])
    totals: dict[str, dict[str, dict[str, Total]]] = defaultdict(lambda: defaultdict(dict))
    for row in _rows(_TOTALS, parameters | {"needed": needed}, TotalRow):
        totals[row.user_id][row.metric_id][row.filter] = Total(row.total, row.peak, row.at)
    return Chunk(
        users=users,
        totals=totals,
        balances={row.user_id: row.total for row in _rows(_BALANCES, parameters, BalanceRow)},
        streaks={} if streak is None else _read_streaks(streak, users, parameters),
        events=_by_user(_rows(_EVENTS, parameters, EventRow)),
        paid=_by_user(_rows(_PAID, parameters, PaidRow)),
        completions=_by_user(_rows(_COMPLETIONS, parameters, CompletionRow)),
    )


def _read_streaks(rule: StreakRule, users: Sequence[User], parameters: dict[str, Any]) -> dict[str, Streak]:
    """Return the streaks as they were at the start. When each began is not known, and decides nothing."""
    found = {}
    for row in _rows(_STREAKS, parameters | {"frequency": rule.frequency.value}, StreakRow):
        found[row.user_id] = Streak(rule.frequency, row.length, row.period, row.period, row.extended)
    for user_id, amounts in _read_amounts(rule, users, parameters).items():
        found[user_id] = replace(found.get(user_id, Streak(frequency=rule.frequency)), amounts=amounts)
    return found


def _read_amounts(
    rule: StreakRule, users: Sequence[User], parameters: dict[str, Any]
) -> dict[str, dict[str, dict[date, Decimal]]]:
    """Return what each user had done in the periods just before the start, by metric id and the period's first day."""
    zones = {user.id: user.tz for user in users}
    amounts: dict[str, dict[str, dict[date, Decimal]]] = defaultdict(lambda: defaultdict(dict))
    if rule.thresholds:
        for row in _rows(_AMOUNTS, parameters | {"metrics": list(rule.thresholds)}, AmountRow):
            period = period_start(local_date(row.at, zones[row.user_id]), rule.frequency)
            of_metric = amounts[row.user_id][row.metric_id]
            of_metric[period] = EXACT.add(of_metric.get(period, Decimal(0)), row.value)
    return amounts


def _by_user(rows: Iterable[_OfUser]) -> dict[str, list[_OfUser]]:
    grouped: dict[str, list[_OfUser]] = defaultdict(list)
    for row in rows:
        grouped[row.user_id].append(row)
    return grouped


def _rows(sql: str, parameters: dict[str, Any], type_: type[_Row]) -> list[_Row]:
    """Return a statement's rows, which come as one JSON array: it decodes in a third of the time."""
    text = _one(f"SELECT coalesce(json_agg(r), '[]')::text FROM ({sql}) AS r", parameters)
    return msgspec.json.decode(text, type=list[type_])  # type: ignore[valid-type]


def _one(sql: str, parameters: dict[str, Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0]
