"""Time triggers: paying every user at each interval, chunk by chunk, in SQL for many users at once.

The exception to the one pipeline: a tick is up to millions of payments, each by rules that SQL can apply to a whole
chunk. A property test compares it row for row with `points.rules.pay` and `boosts.rules.boosts_of`.

What is due: a trigger that is active, in an active system, is due at `time_started` (or when the system was restored,
if that is later) + k x interval, k >= 1. A tick (one trigger, one due instant) pays every user created before its due
instant whose attributes match as they are now, with the trigger and the system as they are now and the boosts of the
due instant. After downtime the newest TIME_TRIGGER_CATCHUP ticks of each trigger are paid, the oldest first; older ones
that were not begun never are.

What happens to a tick under way: it goes on where the trigger's points or filters are edited, by the new ones. It ends
at once, and whom it has not come to gets nothing, where the trigger or its system is switched off or archived, or where
the count was started anew (`time_started` is not before its due instant any more): by activation or a new interval.

Exactly once: a tick's row is unique, is locked while a chunk of it is paid, and moves in the chunk's transaction.
Within a points system each user is paid in the order of due instant, then the trigger's creation, then its id: a tick
goes no further than those before it have come. So workers share the ticks of many triggers, and none overtakes another.
A user whose creation is committed only when the tick has passed their place in the order of ids is not paid by it.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from core.json import encode_text
from engine import tick_messages
from engine.holding import NEXT_USERS, HeldUpError, held_up
from engine.rule_book import REVISION
from points.rules import MULTIPLIER_SCALE, POINTS_LIMIT, STRICTEST
from points.store import COUNTS_FROM
from points.versions import VERSION
from users.rules import local_date, local_dates

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]

CHUNK_FIRST: Final = 1000
CHUNK_MIN: Final = 100
CHUNK_MAX: Final = 3000
CHUNK_S_AIM: Final = 0.04
"""How long a chunk should take: it holds its users' locks, and the slowest should stay below 0.1 s."""

# The newest ticks that are due and not there yet. Whatever else is due by now is added in the same statement, so who
# sees a tick sees all that go before it. Of those that fell out of the newest, one being worked on has begun.
_PLAN: Final = f"""
WITH due AS (
    SELECT t.id AS trigger_id, c.started + k * s.step AS due
    FROM points_pointstrigger t
    JOIN points_pointssystem p ON p.id = t.system_id AND p.status = 'active'
    CROSS JOIN make_interval(hours => t.time_interval * CASE t.time_unit WHEN 'day' THEN 24 ELSE 1 END) AS s(step)
    CROSS JOIN {COUNTS_FROM} AS c(started)
    CROSS JOIN div(extract(epoch FROM %(now)s - c.started), extract(epoch FROM s.step)) AS n(newest)
    CROSS JOIN generate_series(greatest(1, n.newest::bigint - %(catchup)s + 1), n.newest::bigint) AS k
    WHERE t.type = 'time' AND t.status = 'active'
), missed AS (
    SELECT k.id FROM points_timetick k
    WHERE k.finished IS NULL AND k.last_user = ''
      AND k.due < (SELECT min(d.due) FROM due d WHERE d.trigger_id = k.trigger_id)
    FOR UPDATE SKIP LOCKED
), dropped AS (
    UPDATE points_timetick k SET finished = %(now)s FROM missed m WHERE k.id = m.id
)
INSERT INTO points_timetick (trigger_id, due, last_user, users)
SELECT d.trigger_id, d.due, '', 0 FROM due d
WHERE NOT EXISTS (SELECT FROM points_timetick k WHERE (k.trigger_id, k.due) = (d.trigger_id, d.due))
ON CONFLICT (trigger_id, due) DO NOTHING
"""

_UNFINISHED_BEFORE: Final = """
SELECT e.last_user
FROM points_timetick e JOIN points_pointstrigger o ON o.id = e.trigger_id
WHERE e.finished IS NULL AND o.system_id = t.system_id AND (e.due, o.created, o.id) < (k.due, t.created, t.id)
"""

# The first tick that can move on, with its terms as they are now. What is seen of those before it may be old by now,
# but they only ever move on.
_CLAIM: Final = f"""
SELECT k.id, k.trigger_id, k.due, k.last_user, (SELECT min(last_user) FROM ({_UNFINISHED_BEFORE}) AS b) AS barrier,
       t.type = 'time' AND t.status = 'active' AND p.status = 'active'
       AND {COUNTS_FROM} < k.due AS pays,
       t.system_id, t.points, coalesce(p.max_points, {POINTS_LIMIT}) AS max_points,
       (SELECT coalesce(jsonb_object_agg(a.key, f.value), '{{}}')::text
        FROM points_triggerfilter f JOIN users_attribute a ON a.id = f.attribute_id
        WHERE f.trigger_id = t.id AND a.type = 'user') AS user_filter,
       {VERSION} AS version, ({REVISION}) AS revision
FROM points_timetick k
JOIN points_pointstrigger t ON t.id = k.trigger_id
JOIN points_pointssystem p ON p.id = t.system_id
WHERE k.finished IS NULL AND k.id <> ALL(%(waiting)s::bigint[])
      AND NOT EXISTS ({_UNFINISHED_BEFORE} AND e.last_user <= k.last_user)
ORDER BY k.due, t.created, t.id
LIMIT 1
FOR UPDATE OF k SKIP LOCKED
"""

_DROP: Final = "UPDATE points_timetick SET finished = %s WHERE id = %s"

# In the same order, and as strongly, as the pipeline locks users (users.store.LOCK). A row that had to be waited for is
# tested once more as it is then. The ids come back as one text, for the next statement: by then others may match as
# well, who are not locked.
_LOCK: Final = """
WITH locked AS MATERIALIZED (
    SELECT id FROM users_enduser
    WHERE external_id > %(after)s AND external_id <= %(upto)s
      AND created < %(due)s AND attributes @> %(user_filter)s::jsonb
    ORDER BY external_id COLLATE "C"
    FOR NO KEY UPDATE
)
SELECT coalesce(array_agg(id)::text, '{}'), count(*) FROM locked
"""

# Which boosts count at the due instant, but for their days and their filters.
_COUNTS: Final = """
system_id = %(system)s AND status = 'active'
AND activated <= %(due)s AND (finished IS NULL OR finished > %(due)s)
"""

# Every boost that can count for someone of the chunk.
_BOOST: Final = f"""
SELECT b.id, b.external_id IS NULL AS is_shared, b.created, b.start, coalesce(b."end", 'infinity') AS "end",
       trunc(b.multiplier * {MULTIPLIER_SCALE}) AS factor,
       array_position('{{{",".join(STRICTEST)}}}', b.rounding::text) AS strictness,
       jsonb_build_object('id', b.id, 'name', b.name, 'start', b.start, 'end', b."end", 'multiplier', b.multiplier,
                          'rounding', b.rounding) AS snapshot,
       (SELECT coalesce(jsonb_object_agg(a.key, f.value), '{{}}')
        FROM boosts_boostfilter f JOIN users_attribute a ON a.id = f.attribute_id
        WHERE f.boost_id = b.id) AS user_filter
FROM (
    SELECT * FROM boosts_boost WHERE external_id IS NULL
    UNION ALL
    SELECT * FROM boosts_boost WHERE external_id > %(after)s AND external_id <= %(upto)s
) AS b
WHERE {_COUNTS} AND %(points)s::bigint > 0
"""

# Who is paid, as they are under the lock. A day is looked up by zone: PostgreSQL may know other zones than Python does.
_PERSON: Final = """
SELECT l.number, u.id, u.external_id, u.attributes, b.total AS before, coalesce(b.seq, 0) AS seq,
       coalesce((%(days_due)s::jsonb ->> u.tz)::date, %(day_due)s::date) AS day_due,
       coalesce((%(days)s::jsonb ->> u.tz)::date, %(day)s::date) AS day
FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS l(id, number)
JOIN users_enduser u ON u.id = l.id
LEFT JOIN points_pointsbalance b ON b.user_id = u.id AND b.system_id = %(system)s
"""

# In the order that the ledger keeps boosts in: those for many as they were created, then the user's own. These are
# found by the table's index, user by user: a join would be planned without knowing how many there are.
_BOOSTED: Final = f"""
SELECT p.number, p.id, p.before, p.seq, p.day, ARRAY(
    SELECT b.id FROM shared b
    WHERE p.day_due BETWEEN b.start AND b."end" AND p.attributes @> b.user_filter
    ORDER BY b.created, b.id
) || CASE WHEN (SELECT bool_or(NOT is_shared) FROM boost) THEN ARRAY(
    SELECT o.id FROM boosts_boost o
    WHERE o.external_id = p.external_id AND {_COUNTS}
      AND p.day_due BETWEEN o.start AND coalesce(o."end", 'infinity')
    ORDER BY o.id
) END AS boosts
FROM person p
"""

# The few combinations of boosts that there are with all who have them, folded boost by boost: exact, as whole numbers.
_FOLD: Final = f"""
SELECT boosts, array_agg(ROW(number, id, before, seq, day)) AS persons, 0 AS folded,
       %(points)s::numeric AS numerator, 1::numeric AS denominator, NULL::integer AS strictness,
       '[]'::jsonb AS snapshots
FROM boosted GROUP BY boosts
UNION ALL
SELECT f.boosts, f.persons, f.folded + 1, f.numerator * b.factor, f.denominator * {MULTIPLIER_SCALE},
       least(f.strictness, b.strictness), f.snapshots || b.snapshot
FROM fold f JOIN boost b ON b.id = f.boosts[f.folded + 1]
"""

# As points.rules.boosted rounds. The limit is far below what a bigint holds, and no balance has room for more.
_PRICE: Final = f"""
SELECT persons, snapshots, least({POINTS_LIMIT}, CASE strictness
    WHEN 1 THEN div(numerator, denominator)
    WHEN 2 THEN div(2 * numerator + denominator, 2 * denominator)
    ELSE div(numerator + denominator - 1, denominator)
END)::bigint AS amount
FROM fold WHERE folded = cardinality(boosts)
"""

# As points.rules.clamp. The ids are UUIDv7: the moment in milliseconds and the version (`id_head`), 12 bits of the
# place in the chunk, so that they are in the order of payment, then the variant and 62 random bits as in a UUIDv4.
_PAYMENT: Final = """
SELECT (%(id_head)s::text || lpad(to_hex((p.number - 1) * 4096 / %(count)s::bigint), 3, '0')
        || substr(gen_random_uuid()::text, 19))::uuid AS id,
       p.number, p.user_id, p.before, t.total + c.awarded AS total, p.seq + 1 AS seq, p.day, c.awarded,
       price.snapshots AS boosts
FROM price
CROSS JOIN unnest(price.persons) AS p(number bigint, user_id uuid, before bigint, seq bigint, day date)
CROSS JOIN LATERAL (SELECT coalesce(p.before, 0)) AS t(total)
CROSS JOIN LATERAL (
    SELECT CASE WHEN price.amount < 0 THEN greatest(price.amount, -t.total)
                ELSE least(price.amount, greatest(0, %(max_points)s::bigint - t.total)) END
) AS c(awarded)
WHERE c.awarded <> 0
"""

_AWARD: Final = """
INSERT INTO points_pointsaward
    (id, user_id, system_id, seq, trigger_id, rule_version, cause, awarded, total, boosts, created)
SELECT id, user_id, %(system)s, seq, %(trigger)s, %(version)s, 'time', awarded, total, boosts, %(created)s
FROM payment ORDER BY number
"""

_BALANCE: Final = """
INSERT INTO points_pointsbalance (user_id, system_id, total, seq)
SELECT user_id, %(system)s, total, seq FROM payment
ON CONFLICT (user_id, system_id) DO UPDATE SET total = excluded.total, seq = excluded.seq
"""

_DAY: Final = """
INSERT INTO points_pointsday (user_id, system_id, day, change)
SELECT user_id, %(system)s, day, awarded FROM payment
ON CONFLICT (user_id, system_id, day) DO UPDATE SET change = points_pointsday.change + excluded.change
"""

_DELTA: Final = """
INSERT INTO core_delta (kind, subject, before, after, users)
SELECT 'balance', %(system)s, before, total, count(*) FROM payment GROUP BY before, total
"""

_MOVE: Final = """
UPDATE points_timetick
SET last_user = %(upto)s, users = users + (SELECT count(*) FROM person),
    finished = CASE WHEN %(is_last)s THEN %(created)s::timestamptz END
WHERE id = %(tick)s
"""

# One statement: what is paid, and then a part for each table that it is written to.
_PAY_PARTS: Final = f"""
WITH RECURSIVE boost AS MATERIALIZED ({_BOOST}), shared AS MATERIALIZED (SELECT * FROM boost WHERE is_shared),
person AS MATERIALIZED ({_PERSON}), boosted AS ({_BOOSTED}), fold AS ({_FOLD}), price AS MATERIALIZED ({_PRICE}),
payment AS MATERIALIZED ({_PAYMENT}),
write_awards AS ({_AWARD}), write_balances AS ({_BALANCE}), write_days AS ({_DAY}), write_deltas AS ({_DELTA}),
move_tick AS ({_MOVE})
"""
_PAY: Final = f"{_PAY_PARTS} SELECT count(*) FROM payment"
_PAY_AND_TELL: Final = f"{_PAY_PARTS}, {tick_messages.PARTS} SELECT count(*) FROM payment"


@dataclass(frozen=True, slots=True)
class _Tick:
    """A tick that this worker holds, and its terms, at a revision of the configuration: `user_filter` is JSON.

    `barrier` is the last user whom all ticks before it in the same system have come to, None if there are none.
    It does not pay any more where `pays` is false. `version` is that of the trigger, as the ledger keeps it.
    """

    id: int
    trigger_id: UUID
    due: datetime
    last_user: str
    barrier: str | None
    pays: bool
    system_id: UUID
    points: int
    max_points: int
    user_filter: str
    version: int | None
    revision: int


def pay_due_ticks(now: datetime, *, clock: Clock = timezone.now, seconds_max: float = math.inf) -> int:
    """Pay whatever is due at `now`, but for what other workers have in hand; return how many awards were made.

    To be called again and again, by as many workers as wanted: what one leaves behind, the next call finishes. So it
    may stop after `seconds_max`, to let the worker do something else.
    `clock` gives the moment of each payment, read once a chunk, after its users' locks are held.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PLAN, {"now": now, "catchup": settings.TIME_TRIGGER_CATCHUP})
    awards, size, begun_s = 0, CHUNK_FIRST, time.perf_counter()
    waiting: list[str] = []
    while (started_s := time.perf_counter()) < begun_s + seconds_max:
        try:
            paid = _pay_chunk(size, clock, waiting)
        except HeldUpError as error:
            logger.info("The tick %s waits for a user whom other work holds locked.", error.work_id)
            waiting.append(error.work_id)
            continue
        if paid is None:
            break
        awards += paid
        size = next_size(size, time.perf_counter() - started_s)
    return awards


def next_size(size: int, took_s: float) -> int:
    """Return of how many users the chunk should be that follows one of `size`, so that it takes CHUNK_S_AIM.

    It grows or shrinks at most twofold a step: one chunk may have waited for a lock, or found few who match.
    """
    factor = min(2.0, max(0.5, CHUNK_S_AIM / max(took_s, 1e-6)))
    return min(CHUNK_MAX, max(CHUNK_MIN, round(size * factor)))


@transaction.atomic
def _pay_chunk(size: int, clock: Clock, waiting: Sequence[str] = ()) -> int | None:
    """Pay the next `size` users of the first tick that can move on; return how many got an award, None without a tick.

    The order of locks is the tick's row, then the users in the order of all writers. `waiting` are ticks to leave out.
    Raises HeldUpError.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, {"waiting": list(waiting)})
        row = cursor.fetchone()
        if row is None:
            return None
        tick = _Tick(*row)
        if not tick.pays:
            cursor.execute(_DROP, [clock(), tick.id])
            return 0
        upto, is_last = _next_window(cursor, tick, size)
        try:
            return _pay_users(cursor, tick, upto, is_last=is_last, clock=clock)
        except tick_messages.ConfigurationMovedError:
            return 0  # nothing was written, and the next chunk begins with the tick as it is now


def _next_window(cursor: CursorWrapper, tick: _Tick, size: int) -> tuple[str, bool]:
    """Return up to whom the next `size` users go, and whether they are the last of the tick."""
    # Whether they match or not, so that a chunk's work has a bound however few do.
    cursor.execute(NEXT_USERS, {"after": tick.last_user, "until": tick.barrier, "size": size})
    upto, count, _ = cursor.fetchone()
    if count < size and tick.barrier is not None:
        return tick.barrier, False
    return upto or tick.last_user, count < size


def _pay_users(cursor: CursorWrapper, tick: _Tick, upto: str, *, is_last: bool, clock: Clock) -> int:
    """Lock the users after the tick's last one up to `upto` who match, pay them and move the tick.

    Paying is a statement of its own: one that waits for a lock still sees other rows, such as balances, from before
    the wait (READ COMMITTED).
    """
    among: dict[str, Any] = {"after": tick.last_user, "upto": upto, "due": tick.due, "user_filter": tick.user_filter}
    ids, count = _lock_users(cursor, tick, among)
    terms = among | _terms(tick, clock()) | {"ids": ids, "count": count, "is_last": is_last}
    messages = tick_messages.message_terms(tick.revision, tick.trigger_id, tick.version)
    cursor.execute(*((_PAY, terms) if messages is None else (_PAY_AND_TELL, {**terms, **messages})))
    paid: int = cursor.fetchone()[0]
    return paid


def _lock_users(cursor: CursorWrapper, tick: _Tick, among: Mapping[str, Any]) -> tuple[str, int]:
    """Lock the users of a chunk; return their ids as one text, and how many they are. Raises HeldUpError."""
    with held_up(str(tick.id)):
        cursor.execute(_LOCK, among)
    ids, count = cursor.fetchone()
    return ids, count


def _terms(tick: _Tick, created: datetime) -> dict[str, Any]:
    """Return what _PAY is told of the tick, and of the moment of payment."""
    (day_due, days_due), (day, days) = _days(_minute(tick.due)), _days(_minute(created))
    return {
        "tick": tick.id,
        "trigger": tick.trigger_id,
        "system": tick.system_id,
        "version": tick.version,
        "points": tick.points,
        "max_points": tick.max_points,
        "created": created,
        "id_head": tick_messages.id_head(created),
        "day_due": day_due,
        "days_due": days_due,
        "day": day,
        "days": days,
    }


def _minute(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(second=0, microsecond=0)


@lru_cache(maxsize=64)
def _days(minute: datetime) -> tuple[str, str]:
    """Return the date in UTC, and as JSON by zone the date wherever it is another; no day begins within a minute."""
    day = local_date(minute, None)
    return day.isoformat(), encode_text({tz: each for tz, each in local_dates(minute).items() if each != day})
