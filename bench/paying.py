"""The part of the tick's bench that runs in a Django process of its own, as a Celery worker would: pays and measures.

Started by `bench.tick` as `manage.py shell -c "from bench.paying import run; run(...)"`; its last line is JSON.
"""

import resource
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import msgspec
from django.db import connection, transaction
from django.utils import timezone

from bench.errors import BenchError
from bench.tick import TickRound, TickRun
from boosts.models import Boost
from boosts.services import create_boost
from core.services import create_checked
from engine.tick import pay_due_ticks
from levels.models import Level
from points.models import PointsSystem, PointsTrigger
from points.services import create_trigger
from users.models import Attribute
from webhooks.models import Endpoint

START: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
LEVELS: Final = 20

# Users of many zones, half of them with a second boost, each with a past of one award.
_FILL: Final = """
INSERT INTO users_enduser (id, external_id, name, email, tz, attributes, subscribe_to_emails, control, created, updated)
SELECT (lpad(to_hex(1750000000000 + n), 12, '0') || '7' || substr(md5('user' || n), 1, 3)
        || '8' || substr(md5('user' || n), 4, 15))::uuid,
       'user-' || n, 'User ' || n, 'user-' || n || '@example.com',
       (ARRAY['Europe/London', 'America/New_York', 'Asia/Tokyo', 'Pacific/Kiritimati', NULL])[1 + n %% 5],
       jsonb_build_object('plan', CASE WHEN n %% 2 = 0 THEN 'pro' ELSE 'free' END), true, false,
       %(created)s, %(created)s
FROM generate_series(1, %(users)s) AS n;
"""
_FILL_LEDGER: Final = """
INSERT INTO points_pointsaward (id, user_id, system_id, seq, cause, awarded, total, boosts, created)
SELECT gen_random_uuid(), u.id, %(system)s, 1, 'user_creation', 1 + (hashtext(external_id) & 8191),
       1 + (hashtext(external_id) & 8191), '[]', %(created)s
FROM users_enduser u
"""
_FILL_BALANCES: Final = """
INSERT INTO points_pointsbalance (user_id, system_id, total, seq)
SELECT user_id, system_id, total, seq FROM points_pointsaward
"""
_FILL_DAYS: Final = """
INSERT INTO points_pointsday (user_id, system_id, day, change)
SELECT user_id, system_id, created::date, awarded FROM points_pointsaward
"""
_FILL_DELTAS: Final = """
INSERT INTO core_delta (kind, subject, after, users)
SELECT 'user', NULL, NULL, count(*) FROM users_enduser
UNION ALL
SELECT 'balance', system_id, total, count(*) FROM points_pointsbalance GROUP BY system_id, total
"""

# A ledger of its own with all that the real one has, its key to the users included; what was paid lies ready for it.
_RAW_TABLES: Final = """
CREATE TABLE raw_award (LIKE points_pointsaward INCLUDING ALL);
ALTER TABLE raw_award ADD FOREIGN KEY (user_id) REFERENCES users_enduser (id) DEFERRABLE INITIALLY DEFERRED;
CREATE UNLOGGED TABLE raw_source (LIKE points_pointsaward);
"""
_RAW_CLEAR: Final = "TRUNCATE raw_award, raw_source"
_RAW_READY: Final = "INSERT INTO raw_source SELECT * FROM points_pointsaward WHERE created >= %s ORDER BY id"
_RAW_INSERT: Final = "INSERT INTO raw_award SELECT * FROM raw_source"


def run(users: int, rounds: int) -> None:
    """Fill the database, then pay a tick and copy its awards in turns; print the figures as JSON."""
    trigger = _set_up(users)
    measured = [_run_round(trigger, users, number) for number in range(1, rounds + 1)]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(msgspec.json.encode(TickRun(users, measured, peak_mb)).decode())


def _set_up(users: int) -> PointsTrigger:
    plan = create_checked(Attribute, name="Plan", key="plan", type="user")
    system = create_checked(PointsSystem, name="XP", key="xp", max_points=1_000_000_000)
    for number in range(LEVELS):
        create_checked(
            Level, system=system, name=f"Level {number}", key=f"level-{number}", points=0 if number == 0 else 2**number
        )
    create_checked(Endpoint, url="https://example.com/hook", types=["points.level_changed"])
    trigger = create_trigger(system=system, type="time", status="active", points=7, time_unit="hour", time_interval=1)
    boost: dict[str, Any] = {"system": system, "start": date(2026, 1, 1), "status": "active"}
    create_boost(name="For all", multiplier=Decimal("1.5"), rounding="nearest", **boost)
    create_boost(name="For pros", multiplier=Decimal("2.25"), rounding="down", user_filters=[(plan, "pro")], **boost)
    PointsTrigger.objects.update(time_started=START)
    Boost.objects.update(activated=START)
    _execute(_FILL, users=users, created=START)
    _execute(_FILL_LEDGER, system=system.id, created=START)
    for statement in (_FILL_BALANCES, _FILL_DAYS, _FILL_DELTAS):
        _execute(statement)
    for statement in _RAW_TABLES.strip().split("\n"):
        _execute(statement)
    _settle()
    return trigger


def _run_round(trigger: PointsTrigger, users: int, number: int) -> TickRound:
    """Pay one tick, then copy its awards in one statement. Raises BenchError unless every user got one."""
    began, moments = timezone.now(), list[float]()

    def clock() -> datetime:
        moments.append(time.perf_counter())
        return timezone.now()

    tick_s = _seconds(lambda: pay_due_ticks(START + number * HOUR, clock=clock))
    _execute(_RAW_CLEAR)
    stored = _execute(_RAW_READY, began)
    if stored != users:
        raise BenchError(f"A tick of {users} users left {stored} awards.")
    _settle()
    raw_s = _seconds(lambda: _execute(_RAW_INSERT))
    _settle()
    chunks_ms = sorted((after - before) * 1000 for before, after in pairwise(moments)) or [tick_s * 1000]
    return TickRound(
        tick_s=tick_s,
        raw_s=raw_s,
        chunks=len(moments),
        chunk_p50_ms=chunks_ms[len(chunks_ms) // 2],
        chunk_p99_ms=chunks_ms[len(chunks_ms) * 99 // 100],
        chunk_longest_ms=chunks_ms[-1],
    )


def _seconds(do: Callable[[], object]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


@transaction.atomic
def _execute(statement: str, *arguments: object, **named: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, named or arguments or None)  # type: ignore[arg-type] # all are of SQL's plain types
        return int(cursor.rowcount)


def _settle() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")
