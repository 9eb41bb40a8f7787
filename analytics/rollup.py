"""The roll-up: what pages show of the ledger and the events, summed up in the background, each line exactly once.

Each user is rolled up as a whole, by marks: of each of their ledgers the last line that is counted, of each of their
metrics the time of the last event. Lines are numbered, and events timed, under the user's lock, which is held until the
commit. So whoever sees a line sees all before it, and what is after the mark is exactly what was not counted yet,
however late it was committed, whatever clocks say, and also in a database that was restored elsewhere.

Whom to look at is only a hint. Ids are in the order of time, so a short walk over the newest awards, events and users
finds who moved a moment ago; it begins again where a transaction that is still open may have written. A long walk over
all users, some thousand at a time, finds everybody: it does the first roll-up, and whatever a hint missed.

One transaction at a time rolls up, under an advisory lock; it locks no user and no row of the hot path.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from analytics.models import (
    FIRST_ID,
    LAST_ID,
    NO_SUBJECT,
    ActiveDay,
    BoostDay,
    CohortWeek,
    EarlyTally,
    EarnedTally,
    EventDay,
    EventMark,
    LedgerMark,
    LevelMark,
    LevelTally,
    RollUpProgress,
    SystemDay,
    TopEarner,
    UserMark,
)
from analytics.store import thresholds_to_count
from levels.store import load_levels
from points.rules import ADJUSTMENT

SWEPT_AT_ONCE: Final = 1_000
"""How many users the long walk looks at in one transaction."""
FOUND_AT_ONCE: Final = 5_000
"""How many awards, events or users a short walk reads in one transaction."""
BACKFILLED_AT_ONCE: Final = 2_000
"""How many ledgers are looked at for a new threshold in one transaction."""
SETTLING_S: Final = 10
"""By how much clocks of machines may disagree: so far back a short walk always begins again."""
PATIENCE_S: Final = 30
"""How far back it begins again for a transaction that is still open; what that commits later, the long walk finds."""
EARLY_DAYS: Final = 14
"""What a user's first days are."""
TOP_KEPT: Final = 100
"""How many of those who earned most are known by name."""
SWEEP: Final = "sweep"

ROLLED_UP: Final = (
    *(UserMark, EventMark, LedgerMark, LevelMark, RollUpProgress),
    *(SystemDay, BoostDay, EventDay, ActiveDay, CohortWeek, EarnedTally, TopEarner, EarlyTally, LevelTally),
)
"""Every table of the roll-up."""

_TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtext('analytics_roll_up'))"
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('analytics_roll_up'))"

# Users are some of many, so their rows are found by keys; a plan from when the tables were small must not be kept.
_PLAN_FOR_FEW: Final = """
SET LOCAL enable_seqscan = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off;
SET LOCAL plan_cache_mode = force_custom_plan
"""

# The first id that whoever is still at work may yet make visible, by the clock.
_HORIZON: Final = f"""
SELECT (lpad(to_hex(floor(extract(epoch FROM
            greatest(least(now(), min(xact_start)), now() - interval '{PATIENCE_S} seconds')
            - interval '{SETTLING_S} seconds') * 1000)::bigint), 12, '0')
        || repeat('0', 20))::uuid
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND datname = current_database()
"""
_BEGIN: Final = """
INSERT INTO analytics_rollupprogress (walk, position)
SELECT walk, CASE walk WHEN 'sweep' THEN %(first)s ELSE %(horizon)s END::uuid FROM unnest(%(walks)s::text[]) AS n(walk)
ON CONFLICT (walk) DO NOTHING
"""
_FIND: Final = {
    "awards": "SELECT id, user_id FROM points_pointsaward WHERE id > %(after)s ORDER BY id LIMIT %(count)s",
    "events": "SELECT id, user_id FROM metrics_event WHERE id > %(after)s ORDER BY id LIMIT %(count)s",
    "users": "SELECT id, id FROM users_enduser WHERE id > %(after)s ORDER BY id LIMIT %(count)s",
}
"""The short walks, by their name: the next ids, and whose they are."""
_SWEEP: Final = _FIND["users"]


def place_sql(number: str) -> str:
    """Return the SQL of `analytics.rules.place_of` for an expression that is a whole number, 0 or more."""
    kept = f"least({number}, 9200000000000000000)::bigint"
    return f"CASE WHEN {kept} < 100 THEN {kept} ELSE trunc({kept}::numeric, 2 - length({kept}::text))::bigint END"


# Who is rolled up, and what of theirs is not counted yet: all of it in one statement, on one snapshot.
_PERSON: Final = """
SELECT u.id, u.created, date_trunc('week', u.created AT TIME ZONE 'UTC')::date AS week,
       m.user_id IS NULL AS is_new, m.last_day, coalesce(m.days, 0) AS days
FROM unnest(%(users)s::uuid[]) AS n(id) JOIN users_enduser u ON u.id = n.id
LEFT JOIN analytics_usermark m ON m.user_id = u.id
"""
_EVENT: Final = """
SELECT e.user_id, e.metric_id, e.at, (e.at AT TIME ZONE 'UTC')::date AS day, e.kind = 'event' AS counts,
       p.last_day, p.days
FROM person p
JOIN metrics_metrictotal t ON t.user_id = p.id AND t.filter = ''
LEFT JOIN analytics_eventmark m ON (m.user_id, m.metric_id) = (t.user_id, t.metric_id)
JOIN metrics_event e ON e.user_id = t.user_id AND e.metric_id = t.metric_id AND e.at > coalesce(m.at, '-infinity')
WHERE t.at > coalesce(m.at, '-infinity')
"""
# A day is new to a user unless the mark has it. What is older than the mark reaches cannot come: a user's inputs never
# go back in time.
_ACTIVE: Final = """
SELECT user_id, day, last_day, days, greatest(last_day, max(day) OVER (PARTITION BY user_id)) AS newest,
       NOT coalesce(last_day - day BETWEEN 0 AND 62 AND days & (1::bigint << (last_day - day)) <> 0, false) AS is_fresh
FROM (SELECT DISTINCT user_id, day, last_day, days FROM event WHERE counts) AS e
"""
# Their new days, and where there are some, those that were counted before.
_KNOWN: Final = """
SELECT user_id, day, false AS is_old FROM active WHERE is_fresh
UNION ALL
SELECT user_id, last_day - n, true
FROM (SELECT DISTINCT user_id, last_day, days FROM active WHERE is_fresh AND days <> 0) AS a
CROSS JOIN generate_series(0, 62) AS n
WHERE days & (1::bigint << n) <> 0
"""
_FIRST: Final = """
SELECT unit, min(day) AS day, min(day) FILTER (WHERE is_old) AS old_day
FROM known CROSS JOIN (VALUES ('week'), ('month')) AS u(unit)
GROUP BY user_id, unit, date_trunc(unit, day::timestamp)
"""
_LEDGER: Final = """
SELECT p.id AS user_id, b.system_id, b.seq AS upto, p.created AS since, p.week, coalesce(m.seq, 0) AS seq,
       coalesce(m.earned, 0) AS earned, coalesce(m.early, 0) AS early, coalesce(m.peak, 0) AS peak
FROM person p
JOIN points_pointsbalance b ON b.user_id = p.id
LEFT JOIN analytics_ledgermark m ON (m.user_id, m.system_id) = (b.user_id, b.system_id)
WHERE b.seq > coalesce(m.seq, 0)
"""
_LINE: Final = f"""
SELECT l.*, a.seq AS line, a.cause, coalesce(a.trigger_id, '{NO_SUBJECT}') AS trigger_id, a.awarded, a.total, a.boosts,
       a.created, (a.created AT TIME ZONE 'UTC')::date AS day, a.cause <> '{ADJUSTMENT}' AS is_paid,
       a.created < l.since + interval '{EARLY_DAYS} days' AS is_early,
       greatest(l.peak, max(a.total) OVER (
           PARTITION BY a.user_id, a.system_id ORDER BY a.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
       )) AS peak_before
FROM ledger l
JOIN points_pointsaward a ON a.user_id = l.user_id AND a.system_id = l.system_id AND a.seq > l.seq AND a.seq <= l.upto
"""
_MOVED: Final = """
SELECT user_id, system_id, week, earned, early, upto AS seq, greatest(peak, max(total)) AS peak,
       coalesce(sum(awarded) FILTER (WHERE is_paid AND awarded > 0), 0) AS earned_now,
       coalesce(-sum(awarded) FILTER (WHERE is_paid AND awarded < 0), 0) AS spent_now,
       coalesce(sum(awarded) FILTER (WHERE is_paid AND awarded > 0 AND is_early), 0) AS early_now
FROM line GROUP BY user_id, system_id, week, earned, early, upto, peak
"""
_LADDER: Final = """
SELECT system_id, array_agg(threshold ORDER BY threshold) AS thresholds, array_agg(upto ORDER BY threshold) AS uptos
FROM analytics_levelmark GROUP BY system_id
"""

# Then a part for each table that it is added to.
_WRITE_USERS: Final = """
INSERT INTO analytics_usermark (user_id, last_day, days)
SELECT user_id, newest,
       (CASE WHEN newest - last_day <= 62 THEN days << (newest - last_day) ELSE 0 END & 9223372036854775807)
       | coalesce(bit_or(1::bigint << (newest - day)) FILTER (WHERE newest - day <= 62), 0)
FROM active GROUP BY user_id, newest, last_day, days HAVING bool_or(is_fresh)
UNION ALL
SELECT id, NULL, 0 FROM person WHERE is_new AND id NOT IN (SELECT user_id FROM active)
ON CONFLICT (user_id) DO UPDATE SET last_day = excluded.last_day, days = excluded.days
"""
_WRITE_COHORTS: Final = """
INSERT INTO analytics_cohortweek (week, users)
SELECT week, count(*) FROM person WHERE is_new GROUP BY week
ON CONFLICT (week) DO UPDATE SET users = analytics_cohortweek.users + excluded.users
"""
_WRITE_EVENT_MARKS: Final = """
INSERT INTO analytics_eventmark (user_id, metric_id, at)
SELECT user_id, metric_id, max(at) FROM event GROUP BY user_id, metric_id
ON CONFLICT (user_id, metric_id) DO UPDATE SET at = excluded.at
"""
_WRITE_EVENT_DAYS: Final = """
INSERT INTO analytics_eventday (day, metric_id, events)
SELECT day, metric_id, count(*) FROM event WHERE counts GROUP BY day, metric_id
ON CONFLICT (day, metric_id) DO UPDATE SET events = analytics_eventday.events + excluded.events
"""
_WRITE_ACTIVE_DAYS: Final = """
INSERT INTO analytics_activeday AS d (day, users, week_firsts, month_firsts)
SELECT day, sum(users), sum(week_firsts), sum(month_firsts)
FROM (
    SELECT day, 1 AS users, 0 AS week_firsts, 0 AS month_firsts FROM active WHERE is_fresh
    UNION ALL
    SELECT v.day, 0, CASE unit WHEN 'week' THEN v.users ELSE 0 END, CASE unit WHEN 'month' THEN v.users ELSE 0 END
    FROM first f CROSS JOIN LATERAL (VALUES (f.day, 1), (f.old_day, -1)) AS v(day, users)
    WHERE f.day IS DISTINCT FROM f.old_day AND v.day IS NOT NULL
) AS each
GROUP BY day
ON CONFLICT (day) DO UPDATE
SET users = d.users + excluded.users, week_firsts = d.week_firsts + excluded.week_firsts,
    month_firsts = d.month_firsts + excluded.month_firsts
"""
_WRITE_LEDGER_MARKS: Final = """
INSERT INTO analytics_ledgermark AS m (user_id, system_id, seq, earned, spent, early, peak)
SELECT user_id, system_id, seq, earned_now, spent_now, early_now, peak FROM moved
ON CONFLICT (user_id, system_id) DO UPDATE
SET seq = excluded.seq, earned = m.earned + excluded.earned, spent = m.spent + excluded.spent,
    early = m.early + excluded.early, peak = excluded.peak
"""
_WRITE_SYSTEM_DAYS: Final = """
INSERT INTO analytics_systemday AS d (system_id, day, cause, trigger_id, awards, awarded, deducted)
SELECT system_id, day, cause, trigger_id, count(*), sum(greatest(awarded, 0)), sum(greatest(-awarded, 0))
FROM line GROUP BY system_id, day, cause, trigger_id
ON CONFLICT (system_id, day, cause, trigger_id) DO UPDATE
SET awards = d.awards + excluded.awards, awarded = d.awarded + excluded.awarded,
    deducted = d.deducted + excluded.deducted
"""
# What a line would have been without the boost is rounded by itself, so that sums do not depend on who is added when.
_WRITE_BOOST_DAYS: Final = f"""
INSERT INTO analytics_boostday AS d (system_id, boost_id, day, awards, awarded, without)
SELECT l.system_id, CASE WHEN b.external_id IS NULL THEN s.id ELSE '{NO_SUBJECT}' END, l.day,
       count(*), sum(l.awarded), sum(round(l.awarded / s.multiplier, 4))
FROM line l
CROSS JOIN LATERAL jsonb_to_recordset(l.boosts) AS s(id uuid, multiplier numeric)
LEFT JOIN boosts_boost b ON b.id = s.id
WHERE l.boosts <> '[]'
GROUP BY 1, 2, 3
ON CONFLICT (system_id, boost_id, day) DO UPDATE
SET awards = d.awards + excluded.awards, awarded = d.awarded + excluded.awarded, without = d.without + excluded.without
"""
# A user moves from the place of what they had to that of what they have now; whoever has nothing is at no place.
_WRITE_EARNED: Final = f"""
INSERT INTO analytics_earnedtally AS t (system_id, place, users, points)
SELECT m.system_id, {place_sql("v.amount")}, sum(v.users), sum(v.users * v.amount)
FROM moved m CROSS JOIN LATERAL (VALUES (m.earned, -1), (m.earned + m.earned_now, 1)) AS v(amount, users)
WHERE v.amount > 0 AND m.earned_now > 0
GROUP BY 1, 2
ON CONFLICT (system_id, place) DO UPDATE SET users = t.users + excluded.users, points = t.points + excluded.points
"""
_CUT: Final = f"""
SELECT system_id, min(earned) AS earned FROM analytics_topearner GROUP BY system_id HAVING count(*) >= {TOP_KEPT}
"""
_WRITE_TOP: Final = """
INSERT INTO analytics_topearner AS t (system_id, user_id, earned)
SELECT m.system_id, m.user_id, m.earned + m.earned_now
FROM moved m LEFT JOIN cut c ON c.system_id = m.system_id
WHERE m.earned_now > 0 AND m.earned + m.earned_now >= coalesce(c.earned, 0)
ON CONFLICT (system_id, user_id) DO UPDATE SET earned = excluded.earned
"""
_PRUNE_TOP: Final = f"""
DELETE FROM analytics_topearner t
USING (
    SELECT system_id, user_id, row_number() OVER (PARTITION BY system_id ORDER BY earned DESC, user_id) AS place
    FROM analytics_topearner
) AS ranked
WHERE ranked.place > {TOP_KEPT} AND (t.system_id, t.user_id) = (ranked.system_id, ranked.user_id)
"""
_WRITE_EARLY: Final = f"""
INSERT INTO analytics_earlytally AS t (system_id, week, place, users, points)
SELECT m.system_id, m.week, {place_sql("v.amount")}, sum(v.users), sum(v.users * v.amount)
FROM moved m CROSS JOIN LATERAL (VALUES (m.early, -1), (m.early + m.early_now, 1)) AS v(amount, users)
WHERE v.amount > 0 AND m.early_now > 0
GROUP BY 1, 2, 3
ON CONFLICT (system_id, week, place) DO UPDATE SET users = t.users + excluded.users, points = t.points + excluded.points
"""
_MINUTES: Final = place_sql("floor(greatest(0, extract(epoch FROM l.created - l.since)) / 60)")
_WRITE_LEVELS: Final = f"""
INSERT INTO analytics_leveltally AS t (system_id, threshold, place, users)
SELECT l.system_id, k.thresholds[n], {_MINUTES}, count(*)
FROM line l
JOIN ladder k ON k.system_id = l.system_id
CROSS JOIN LATERAL generate_series(
    width_bucket(l.peak_before, k.thresholds) + 1, width_bucket(l.total, k.thresholds)) AS n
WHERE l.total > l.peak_before AND l.user_id <= k.uptos[n]
GROUP BY 1, 2, 3
ON CONFLICT (system_id, threshold, place) DO UPDATE SET users = t.users + excluded.users
"""

_ROLL: Final = f"""
WITH person AS MATERIALIZED ({_PERSON}), event AS MATERIALIZED ({_EVENT}), active AS MATERIALIZED ({_ACTIVE}),
known AS MATERIALIZED ({_KNOWN}), first AS MATERIALIZED ({_FIRST}), cut AS MATERIALIZED ({_CUT}),
ledger AS MATERIALIZED ({_LEDGER}), line AS MATERIALIZED ({_LINE}), moved AS MATERIALIZED ({_MOVED}),
ladder AS MATERIALIZED ({_LADDER}),
write_users AS ({_WRITE_USERS}), write_cohorts AS ({_WRITE_COHORTS}),
write_event_marks AS ({_WRITE_EVENT_MARKS}), write_event_days AS ({_WRITE_EVENT_DAYS}),
write_active_days AS ({_WRITE_ACTIVE_DAYS}), write_ledger_marks AS ({_WRITE_LEDGER_MARKS}),
write_system_days AS ({_WRITE_SYSTEM_DAYS}), write_boost_days AS ({_WRITE_BOOST_DAYS}),
write_earned AS ({_WRITE_EARNED}), write_top AS ({_WRITE_TOP}), write_early AS ({_WRITE_EARLY}),
write_levels AS ({_WRITE_LEVELS})
SELECT (SELECT count(*) FROM line), (SELECT count(*) FROM event)
"""

# A threshold that is new: the users before its mark are counted, those behind it are what is left to do.
_NEXT_THRESHOLD: Final = """
SELECT system_id, threshold, upto FROM analytics_levelmark WHERE upto < %(last)s
ORDER BY system_id, threshold LIMIT 1
"""
_BACKFILL: Final = f"""
WITH held AS MATERIALIZED (
    SELECT user_id, seq, peak FROM analytics_ledgermark
    WHERE system_id = %(system)s AND user_id > %(after)s ORDER BY user_id LIMIT %(count)s
), reached AS (
    SELECT l.created, u.created AS since
    FROM held h JOIN users_enduser u ON u.id = h.user_id
    CROSS JOIN LATERAL (
        SELECT a.created FROM points_pointsaward a
        WHERE a.user_id = h.user_id AND a.system_id = %(system)s AND a.seq <= h.seq AND a.total >= %(threshold)s
        ORDER BY a.seq LIMIT 1
    ) AS l
    WHERE h.peak >= %(threshold)s
), written AS (
    INSERT INTO analytics_leveltally AS t (system_id, threshold, place, users)
    SELECT %(system)s, %(threshold)s, {_MINUTES.replace("l.since", "since").replace("l.created", "created")}, count(*)
    FROM reached GROUP BY 3
    ON CONFLICT (system_id, threshold, place) DO UPDATE SET users = t.users + excluded.users
)
UPDATE analytics_levelmark
SET upto = coalesce((SELECT user_id FROM held ORDER BY user_id OFFSET %(count)s - 1), %(last)s)
WHERE system_id = %(system)s AND threshold = %(threshold)s
"""


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What a call counted, and whether it came to an end: not if another was at it, or its time was up."""

    lines: int
    events: int
    finished: bool


class _Busy(Exception):  # noqa: N818 - no error
    """Another transaction is rolling up."""


class _Run:
    """One call's work, counted as it goes on; `deadline_s` is by the clock that only goes forward."""

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        self.lines = 0
        self.events = 0

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.deadline_s

    def roll(self, cursor: CursorWrapper, users: Sequence[UUID]) -> None:
        """Count what is new of these users. The lock is held, since before this statement began."""
        cursor.execute(_ROLL, {"users": sorted(set(users))})
        lines, events = cursor.fetchone()
        if lines:
            cursor.execute(_PRUNE_TOP)
        self.lines += lines
        self.events += events


def roll_up(*, seconds_max: float = 8, sweep: int = SWEPT_AT_ONCE) -> RolledUp:
    """Count what was awarded and reported since the last time, within about `seconds_max`.

    To be called again and again, by as many processes as wanted. `sweep` is how many users of all are looked at besides
    those who moved a moment ago; until all were, as many such chunks as there is time for.
    """
    run = _Run(time.monotonic() + seconds_max)
    try:
        _follow_levels()
        finished = _backfill(run) and all(_find(run, walk) for walk in _FIND) and (not sweep or _sweep(run, sweep))
    except _Busy:
        finished = False
    return RolledUp(run.lines, run.events, finished)


def rebuild() -> None:
    """Forget all that was rolled up and do it anew, chunk by chunk, while events go on. Takes minutes for millions."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK)
        cursor.execute(f"TRUNCATE {', '.join(model._meta.db_table for model in ROLLED_UP)}")
    while not roll_up().finished:
        # Somebody else may be at it, who will end soon.
        time.sleep(0.1)


def _alone(work: Callable[[CursorWrapper], bool]) -> bool:
    """Do it in a transaction of its own, alone. Raises _Busy where another one is rolling up."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TRY_LOCK)
        if not cursor.fetchone()[0]:
            raise _Busy
        cursor.execute(_PLAN_FOR_FEW)
        return work(cursor)


def _find(run: _Run, walk: str) -> bool:
    """Roll up the users of the newest awards, events or users; tell whether it came to the end."""
    seen: UUID | None = None

    def step(cursor: CursorWrapper) -> bool:
        nonlocal seen
        cursor.execute(_HORIZON)
        (horizon,) = cursor.fetchone()
        cursor.execute(_BEGIN, {"walks": [*_FIND, SWEEP], "first": FIRST_ID, "horizon": horizon})
        progress = RollUpProgress.objects.get(walk=walk)
        cursor.execute(_FIND[walk], {"after": seen or progress.position, "count": FOUND_AT_ONCE})
        rows = cursor.fetchall()
        if rows:
            run.roll(cursor, [user for _, user in rows])
            seen = rows[-1][0]
        is_end = len(rows) < FOUND_AT_ONCE
        position = horizon if is_end else min(seen or horizon, horizon)
        if position > progress.position:
            RollUpProgress.objects.filter(walk=walk).update(position=position)
        return is_end

    while not run.is_over:
        if _alone(step):
            return True
    return False


def _sweep(run: _Run, count: int) -> bool:
    """Roll up the next of all users; until all were looked at, chunk after chunk. Tell whether that is so."""
    while not run.is_over:
        if _alone(lambda cursor: _sweep_chunk(run, cursor, count)):
            return True
    return False


def _sweep_chunk(run: _Run, cursor: CursorWrapper, count: int) -> bool:
    progress = RollUpProgress.objects.get(walk=SWEEP)
    cursor.execute(_SWEEP, {"after": progress.position, "count": count})
    rows = cursor.fetchall()
    if rows:
        run.roll(cursor, [user for _, user in rows])
    progress.position = rows[-1][0] if len(rows) == count else FIRST_ID
    if progress.position == FIRST_ID and progress.completed is None:
        cursor.execute("SELECT now()")
        (progress.completed,) = cursor.fetchone()
    progress.save(update_fields=["position", "completed"])
    return progress.completed is not None


def _follow_levels() -> None:
    """Count the thresholds that levels have now, and no others."""
    needed, counted = thresholds_to_count(load_levels()), set(LevelMark.objects.values_list("system_id", "threshold"))
    if needed == counted:
        return

    def follow(cursor: CursorWrapper) -> bool:
        for system_id, threshold in counted - needed:
            LevelTally.objects.filter(system_id=system_id, threshold=threshold).delete()
            LevelMark.objects.filter(system_id=system_id, threshold=threshold).delete()
        LevelMark.objects.bulk_create(
            [LevelMark(system_id=system_id, threshold=threshold) for system_id, threshold in needed - counted],
            ignore_conflicts=True,
        )
        return True

    _alone(follow)


def _backfill(run: _Run) -> bool:
    """Look for who reached a new threshold already; tell whether all were looked at for all thresholds."""

    def step(cursor: CursorWrapper) -> bool:
        cursor.execute(_NEXT_THRESHOLD, {"last": LAST_ID})
        row = cursor.fetchone()
        if row is not None:
            terms: dict[str, Any] = dict(zip(("system", "threshold", "after"), row, strict=True))
            cursor.execute(_BACKFILL, terms | {"count": BACKFILLED_AT_ONCE, "last": LAST_ID})
        return row is None

    while LevelMark.objects.filter(upto__lt=LAST_ID).exists():
        if run.is_over:
            return False
        _alone(step)
    return True
